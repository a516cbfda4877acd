"""The one door to `sr_models.train`: the configs that come with the platform, the check of a config, and a run.

A config is checked by building its network, which needs torch, and torch must not load in web processes: the check is
a process of its own (`python -m studies.training`), with limits on time and memory, since the config may ask for a
network of any size.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.errors import ConfigInvalid, TrainingImpossible

if TYPE_CHECKING:
    from sr_models.train import TrainingConfig

CHECK_S = 60
"""Seconds in which the network of a config must be built."""
CHECK_BYTES = 8_000_000_000
"""Memory that it may take, torch itself included."""

MEASURE_S = 5.0
MEASURE_BATCH = 8
"""How long, and with how many photos at most, the speed of a config is measured."""

ENDLESS = 1_000_000
"""Updates of a run that only measures, which is stopped long before."""

HELD_OUT_EVERY = 20
"""Of the photographs of a set, about one in so many is held out for validation."""

LENGTH_KEYS = frozenset(
    {
        *("steps", "decay_steps", "warmup_steps", "halve_every", "schedule", "learning_rate", "gradient_norm"),
        *("validate_every", "validation_photos", "patience", "keep_every_s", "log_every"),
        *("average_decay", "max_per_person", "seed"),
    }
)
"""Keys of a config that do not change how fast it trains, or hardly."""


@dataclass(frozen=True)
class ShippedConfig:
    """A config that comes with the platform.

    Attributes:
        name: Of its file, without the ending.
        about: The comment at its head: what it is for.
        text: The whole TOML.
    """

    name: str
    about: str
    text: str


class ConfigFacts(NamedTuple):
    """What a config asks for.

    Attributes:
        network: Name of the network.
        factor: How many times it enlarges along each axis.
        parameters: Numbers that are trained.
        steps: Updates in the run.
        batch: Photos an update.
        speed_key: SHA-256 of all that decides how fast it trains; configs that differ in their length only share it.
    """

    network: str
    factor: int
    parameters: int
    steps: int
    batch: int
    speed_key: str


class Progress(NamedTuple):
    """What a run tells while it goes on.

    Attributes:
        step: Updates made.
        steps: Updates in the run.
        figures: Means over the training photos since the last report: "joint", "conditioning" and "prior" in bits per
            sub-pixel, or "mse".
        images_per_s: Photos a second.
        seconds_left: Until the last update.
        validation: The same figures on the validation photos, if they were just measured.
    """

    step: int
    steps: int
    figures: dict[str, float]
    images_per_s: float
    seconds_left: float
    validation: dict[str, float] | None


class Outcome(NamedTuple):
    """How a run ended: "finished", "stopped" or "patience", at which step, and a sentence that says so."""

    reason: str
    step: int
    sentence: str


# --- Configs --------------------------------------------------------------------------------------------------------


def configs_list() -> tuple[ShippedConfig, ...]:
    """Return the configs that come with the platform, in the order of the alphabet."""
    folder = Path(__file__).resolve().parent.parent / "sr_models" / "configs"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.toml"))}
    return tuple(ShippedConfig(name, _comment(text), text) for name, text in texts.items())


def _comment(text: str) -> str:
    """Return the comment at the head of a TOML text as running words."""
    head = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.lstrip("# ").rstrip() for line in head).replace("`", "")


def config_check(text: str, *, name: str, start_from: Path | None = None) -> ConfigFacts:
    """Check a config in a process of its own, and return what it asks for.

    Args:
        text: The TOML.
        name: Of the config, for sentences.
        start_from: A checkpoint whose weights are to be the beginning; its network must be that of the config.

    Raises:
        ConfigInvalid: If it is no TOML, has an unknown or impossible key, asks for a network that is too large, or if
            the checkpoint is of another network.
    """
    try:
        tomllib.loads(text)  # what is no TOML is refused at once
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"The config {name} cannot be read: {error}.") from error
    order = {"name": name, "text": text, "start_from": str(start_from or "")}
    (answer,) = _checked([order])
    if "error" in answer:
        raise ConfigInvalid(answer["error"])
    return ConfigFacts(**answer["facts"])


def shipped_facts() -> dict[str, ConfigFacts]:
    """Return what each config that comes with the platform asks for; it takes seconds the first time in a process.

    If the machine is too busy to find out in time, there is none, and the next call tries again.
    """
    try:
        return _shipped_facts()
    except ConfigInvalid:
        return {}


@functools.lru_cache(maxsize=1)
def _shipped_facts() -> dict[str, ConfigFacts]:
    configs = configs_list()
    answers = _checked([{"name": config.name, "text": config.text, "start_from": ""} for config in configs])
    for answer in answers:
        if "error" in answer:
            raise ConfigInvalid(answer["error"])
    return {config.name: ConfigFacts(**answer["facts"]) for config, answer in zip(configs, answers, strict=True)}


def _checked(orders: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Have configs checked by a process of its own; each answer has "facts" or "error"."""
    command = [sys.executable, "-m", "studies.training"]
    root = Path(__file__).resolve().parent.parent
    given = json.dumps(orders)
    try:
        done = subprocess.run(  # noqa: S603 -- our own words; the config goes in as data
            command, input=given, capture_output=True, text=True, timeout=CHECK_S, cwd=root, check=True
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        error = (
            f"The config {orders[0]['name']} cannot be used: its network could not be built within {CHECK_S} seconds "
            f"and {CHECK_BYTES // 1_000_000_000} GB; make it smaller."
        )
        return [{"error": error} for _ in orders]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def _order_check(order: dict[str, str]) -> dict[str, Any]:
    from sr_models.checkpoints import CheckpointError, checkpoint_load, network_build  # noqa: PLC0415 -- as in `train`
    from sr_models.train import ConfigError, config_parse  # noqa: PLC0415 -- as in `train`

    try:
        config = config_parse(order["text"], name=order["name"])
        network = network_build(config.network, config.sizes)
        if order["start_from"]:
            path = Path(order["start_from"])
            given = {key: value.shape for key, value in checkpoint_load(path).network.state_dict().items()}
            if given != {key: value.shape for key, value in network.state_dict().items()}:
                return {
                    "error": f"The checkpoint {path.stem} is of another network than the config {order['name']}: "
                    "choose a checkpoint that this config, or one with the same [network], has made."
                }
    except (ConfigError, CheckpointError) as error:
        return {"error": str(error)}
    except (RuntimeError, MemoryError):  # what torch raises where memory ends
        return {
            "error": f"The config {order['name']} cannot be used: its network needs more than "
            f"{CHECK_BYTES // 1_000_000_000} GB of memory; make it smaller."
        }
    facts = ConfigFacts(
        network=config.network,
        factor=network.config.factor,  # type: ignore[union-attr, arg-type] # a Module's attribute is Any
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        steps=config.steps,
        batch=config.batch,
        speed_key=_speed_key(config),
    )
    return {"facts": facts._asdict()}


def _speed_key(config: Any) -> str:
    kept = {key: value for key, value in asdict(config).items() if key not in LENGTH_KEYS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def main() -> None:
    """Check the configs that standard input gives as JSON, and write the answers as JSON."""
    import torch  # noqa: F401, PLC0415 -- takes memory of its own before the limit is set on what a network takes

    resource.setrlimit(resource.RLIMIT_AS, (CHECK_BYTES, CHECK_BYTES))
    json.dump([_order_check(order) for order in json.load(sys.stdin)], sys.stdout)


# --- Photos ---------------------------------------------------------------------------------------------------------


def hold_out(sources: Sequence[str], photos: Sequence[str]) -> NDArray[np.bool_]:
    """Say which photos are for validation: about every `HELD_OUT_EVERY`th photograph, by its hash, at least one.

    Photos that were cut from one photograph stay together, so that none is validated on a scene that is trained on.
    Where all come from one photograph, they are parted one by one.

    Args:
        sources: SHA-256 of the photograph that each photo was cut from, in hex.
        photos: SHA-256 of each photo, in hex.

    Returns:
        (n,) bool.
    """
    keys = sources if len(set(sources)) > 1 else photos
    numbers = {key: int(key, 16) for key in keys}
    held = {key for key, number in numbers.items() if number % HELD_OUT_EVERY == 0}
    if not held or len(held) == len(numbers):
        held = {min(numbers, key=lambda key: (numbers[key] % HELD_OUT_EVERY, key))}
    return np.array([key in held for key in keys])


def photos_write(path: Path, photos: Iterable[NDArray[np.uint8]], *, held_out: NDArray[np.bool_], size: int) -> None:
    """Write photos as an uncompressed `.npz` that `sr_models` reads in place: `images` and `split`; all or nothing.

    Args:
        path: Where to.
        photos: (size, size, 3) uint8 sRGB each, as many as `held_out` has entries; one is in memory at a time.
        held_out: (n,) bool, which of them are for validation.
        size: Side of the photos in pixels.

    Raises:
        OSError: If the disk is full.
    """
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        shape = (len(held_out), size, size, 3)
        with archive.open("images.npy", "w", force_zip64=True) as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            for photo in photos:
                member.write(photo.tobytes())
        with archive.open("split.npy", "w") as member:
            np.lib.format.write_array(member, held_out.astype(np.uint8))
    partial.replace(path)


# --- Runs -----------------------------------------------------------------------------------------------------------


def train(
    config: str,
    *,
    name: str,
    photos: Path,
    size: int,
    out: Path,
    start_from: Path | None,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> Outcome:
    """Train in a folder, from its beginning or from what was kept there last, until the end or until told to stop.

    Args:
        config: The TOML.
        name: Of the run, for sentences.
        photos: What `photos_write` wrote.
        size: Side of the photos in pixels.
        out: The folder.
        start_from: A checkpoint whose weights are the beginning of a new run, or None.
        report: Called now and then.
        should_stop: Asked before each update.
        say: Told, a sentence at a time, what photos and parameters there are.

    Raises:
        ConfigInvalid: If the config cannot be used.
        TrainingImpossible: If the photos, the checkpoint or what was kept cannot.
        OSError: If the disk is full; what was kept before is still there.
    """
    from sr_models import train as network_training  # noqa: PLC0415 -- it needs torch, which must not load in web processes

    try:
        parsed = network_training.config_parse(config, name=name)
    except network_training.ConfigError as error:
        raise ConfigInvalid(str(error)) from error
    return _train(
        parsed,
        photos=photos,
        size=size,
        out=out,
        start_from=start_from,
        report=report,
        should_stop=should_stop,
        say=say,
    )


def speed_measure(config: str, *, name: str, size: int) -> float:
    """Train on noise for some seconds, and return how many photos a second that makes here.

    The first update, which prepares, is not counted. Batches of more than `MEASURE_BATCH` photos are measured with so
    many.

    Args:
        config: The TOML.
        name: Of the config, for sentences.
        size: Side of the photos in pixels.

    Raises:
        ConfigInvalid: If the config cannot be used.
    """
    from sr_models import train as network_training  # noqa: PLC0415 -- as above

    try:
        parsed = network_training.config_parse(config, name=name)
    except network_training.ConfigError as error:
        raise ConfigInvalid(str(error)) from error
    batch = min(parsed.batch, MEASURE_BATCH)
    endless = dataclasses.replace(parsed, batch=batch, steps=ENDLESS, validate_every=ENDLESS, validation_photos=1)
    times: list[float] = []

    def is_enough() -> bool:
        times.append(time.perf_counter())
        return len(times) > 3 and times[-1] - times[1] > MEASURE_S

    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos.npz"
        noise = np.random.default_rng(0).integers(0, 256, (MEASURE_BATCH, size, size, 3), np.uint8)
        photos_write(photos, noise, held_out=np.arange(MEASURE_BATCH) == 0, size=size)
        out = Path(folder)
        _train(
            endless,
            photos=photos,
            size=size,
            out=out,
            start_from=None,
            report=lambda _progress: None,
            should_stop=is_enough,
            say=lambda _sentence: None,
        )
    return batch / statistics.median(later - earlier for earlier, later in itertools.pairwise(times[1:]))


def _train(
    config: "TrainingConfig",
    *,
    photos: Path,
    size: int,
    out: Path,
    start_from: Path | None,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> Outcome:
    import torch  # noqa: PLC0415 -- as above

    from sr_models import train as network_training  # noqa: PLC0415 -- as above
    from sr_models.checkpoints import CheckpointError  # noqa: PLC0415 -- as above
    from sr_models.data import DataError  # noqa: PLC0415 -- as above

    is_begun = (out / "state.pt").exists()
    try:
        outcome = network_training.train(
            config,
            data=[photos],
            size=size,
            out=out,
            resume=is_begun,
            device="cuda" if torch.cuda.is_available() else "cpu",
            start_from=None if is_begun else start_from,
            report=lambda progress: report(Progress(*progress)),
            should_stop=should_stop,
            say=say,
        )
    except network_training.ConfigError as error:
        raise ConfigInvalid(str(error)) from error
    except (CheckpointError, DataError) as error:
        raise TrainingImpossible(str(error)) from error
    return Outcome(*outcome)


if __name__ == "__main__":
    main()
