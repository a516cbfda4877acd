"""The methods that a study can compare, and the one door to `sr_models` and `baselines`.

Networks are imported only when one is loaded: torch takes seconds to import and must not load in web processes.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.errors import MethodUnavailable, ParameterInvalid

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Upscaler:
    """A method that is loaded and ready.

    Attributes:
        run: `(low_res (n, h, w, 3) uint8 sRGB, seeds (n,)) -> high_res (n, H, W, 3) uint8 sRGB`. One photo's result
            depends on its own seed, not on its neighbours in the batch.
        digest: SHA-256 of what it was loaded from (a checkpoint, a bank), or "".
    """

    run: Callable[[Pictures, Sequence[int]], Pictures]
    digest: str = ""

    def __call__(self, low_res: Pictures, /, *, seeds: Sequence[int]) -> Pictures:
        """Enlarge a batch; shapes as in `run`."""
        return self.run(low_res, seeds)


class Bank(NamedTuple):
    """Training photos among which the nearest one is searched.

    Attributes:
        low_res: (m, h, w, 3) uint8 sRGB.
        high_res: (m, H, W, 3) uint8 sRGB.
        digest: SHA-256 of the bank.
    """

    low_res: Pictures
    high_res: Pictures
    digest: str


class Need(NamedTuple):
    """What a condition gives its method to load.

    Attributes:
        factor: High-resolution pixels per low-resolution pixel along each axis.
        parameters: Name -> value, checked. A checkpoint is a name; in place of it `manage.py evaluate` may give the
            path of a file.
        bank: The bank, or None.
        checkpoints: Folder of the researchers' own checkpoints, or None if there are only those that come with the
            platform.
        device: Where networks run, as torch names it.
    """

    factor: int
    parameters: Mapping[str, Any]
    bank: Bank | None
    checkpoints: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Parameter:
    """A number or a choice that a method takes.

    Attributes:
        name: Key in `Condition.parameters`.
        label: Name for people.
        kind: What it is.
        default: Its value when nothing is said.
        minimum: Smallest number allowed.
        maximum: Largest number allowed.
        choices: The values allowed, for a choice; of checkpoints those that come with the platform.
        help: One sentence for the researcher.
        network: For a checkpoint, the network that it must hold, as in `checkpoint_names`; else "".
    """

    name: str
    label: str
    kind: Literal["number", "choice"]
    default: float | str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    network: str = ""

    def check(self, value: object, *, method: str, checkpoints: Path | None = None) -> float | str:
        """Return the value as its kind.

        Args:
            value: What was given. Of a checkpoint that comes with the platform also the name of its file, which
                conditions of earlier versions hold, such as "regression_small" for "small".
            method: Label of the method, for the sentence if the value is refused.
            checkpoints: Folder of the researchers' own checkpoints, which may be chosen too.

        Raises:
            ParameterInvalid: If it is of another kind, out of range or no choice.
        """
        if self.kind == "choice":
            own = _own_checkpoint_names(self.network, checkpoints) if self.network else ()
            choices = (*self.choices, *(name for name in own if name not in self.choices))
            if value in choices:
                return str(value)
            bare = str(value).removeprefix(f"{self.network}_")
            if self.network and bare in self.choices:
                return bare
            raise ParameterInvalid(f"{self.label} of {method} must be one of {', '.join(choices)}, not {value!r}.")
        try:
            number = float(value)  # type: ignore[arg-type] # what cannot be a number is caught below
        except (TypeError, ValueError) as error:
            raise ParameterInvalid(f"{self.label} of {method} must be a number, not {value!r}.") from error
        low, high = self.minimum, self.maximum
        if not np.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
            raise ParameterInvalid(f"{self.label} of {method} must lie between {low:g} and {high:g}, not {number:g}.")
        return number


@dataclass(frozen=True)
class Method:
    """A way from low to high resolution.

    Attributes:
        slug: Key of `METHODS`.
        label: Name for people.
        is_stochastic: Whether the seed matters.
        needs: What it is loaded from; "files" are pictures made elsewhere, kept for each photo of a study.
        default_role: What it usually is in a study.
        parameters: What can be set.
        load: Makes an upscaler from what a condition gives; raises `MethodUnavailable` if it cannot.
    """

    slug: str
    label: str
    is_stochastic: bool
    needs: Literal["nothing", "checkpoint", "bank", "files"]
    default_role: Literal["test", "golden", "fidelity"]
    parameters: tuple[Parameter, ...]
    load: Callable[[Need], Upscaler]

    def parameters_check(
        self, values: Mapping[str, object], *, checkpoints: Path | None = None
    ) -> dict[str, float | str]:
        """Return every parameter with its given or default value.

        Args:
            values: Name -> value; those left out take their default.
            checkpoints: Folder of the researchers' own checkpoints, which may be chosen too.

        Raises:
            ParameterInvalid: If one is unknown, out of range or of another kind.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in values:
            if name not in known:
                raise ParameterInvalid(f"{self.label} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")
        return {
            name: parameter.check(values.get(name, parameter.default), method=self.label, checkpoints=checkpoints)
            for name, parameter in known.items()
        }


def method_get(slug: str) -> Method:
    """Return a method by its slug.

    Raises:
        MethodUnavailable: If there is none; the sentence lists those there are.
    """
    if slug not in METHODS:
        raise MethodUnavailable(f"There is no method {slug!r}; choose one of {', '.join(METHODS)}.")
    return METHODS[slug]


def downsample(high_res: Pictures, *, factor: int) -> Pictures:
    """Reduce pictures (n, H, W, 3) uint8 sRGB by the platform's one operator; returns (n, H/factor, W/factor, 3)."""
    from sr_models import pixels  # noqa: PLC0415 -- sr_models is reached only from inside this module's functions

    return pixels.downsample(high_res, factor=factor)


def downsampling_operator() -> str:
    """Return the name of the operator, as designs record it."""
    from sr_models import pixels  # noqa: PLC0415 -- as above

    return pixels.DOWNSAMPLING_OPERATOR


class CheckpointHeader(NamedTuple):
    """What the header of a checkpoint tells before its weights are read.

    Attributes:
        network: "pixel_recursive", or "regression" for every network that predicts one picture.
        factor: How many times it enlarges along each axis.
    """

    network: str
    factor: int


def checkpoints_folder() -> Path:
    """Return the folder of the checkpoints that come with the platform: `<network>_<name>.safetensors`."""
    return Path(__file__).resolve().parent.parent / "sr_models" / "weights"


def checkpoint_names(network: str, folder: Path | None) -> tuple[str, ...]:
    """Return the names of the checkpoints that a method can be given.

    Args:
        network: "pixel_recursive" or "regression".
        folder: Folder of the researchers' own checkpoints, `<name>.safetensors` of any network, or None.

    Returns:
        Those that come with the platform, then the researchers' own; each kind in the order of the alphabet. An own one
        with the name of one that comes with the platform is left out: a name never changes its meaning.
    """
    shipped = _shipped_checkpoint_names(network)
    return (*shipped, *(name for name in _own_checkpoint_names(network, folder) if name not in shipped))


def checkpoint_path(name: str, *, network: str, folder: Path | None) -> Path:
    """Return the file of a checkpoint by its name; where there is none, the place where it is missed."""
    shipped = checkpoints_folder() / f"{network}_{name}.safetensors"
    if folder is None or shipped.exists() or name not in _own_checkpoint_names(network, folder):
        return shipped
    return folder / f"{name}.safetensors"


def checkpoint_header(path: Path) -> CheckpointHeader | None:
    """Read what network a file holds, without torch and without its weights; None if it is no checkpoint of ours."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 -- only where a header is looked at

    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
        network, factor = header["network"], int(json.loads(header["config"])["factor"])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None
    return CheckpointHeader("pixel_recursive" if network == "pixel_recursive" else "regression", factor)


def _shipped_checkpoint_names(network: str) -> tuple[str, ...]:
    paths = checkpoints_folder().glob(f"{network}_*.safetensors")
    return tuple(sorted(path.stem.removeprefix(f"{network}_") for path in paths))


def _own_checkpoint_names(network: str, folder: Path | None) -> tuple[str, ...]:
    if folder is None:
        return ()
    headers = {path.stem: checkpoint_header(path) for path in sorted(folder.glob("*.safetensors"))}
    return tuple(name for name, header in headers.items() if header is not None and header.network == network)


def _bicubic_load(need: Need) -> Upscaler:
    from baselines.interpolation import bicubic  # noqa: PLC0415 -- baselines are reached only from inside functions

    return Upscaler(lambda low_res, _seeds: bicubic(low_res, factor=need.factor))


def _nearest_neighbour_load(need: Need) -> Upscaler:
    from baselines.nearest_example import NearestExample  # noqa: PLC0415 -- as above

    if need.bank is None or not len(need.bank.low_res):
        raise MethodUnavailable("Nearest neighbour needs a bank of training photos; choose a photo set that has some.")
    search = NearestExample(need.bank.low_res, need.bank.high_res)
    return Upscaler(lambda low_res, _seeds: search(low_res), need.bank.digest)


def _regression_load(need: Need) -> Upscaler:
    import torch  # noqa: PLC0415 -- torch must not load in web processes

    from sr_models.pixels import model_range, pixel_range  # noqa: PLC0415 -- as above

    network, digest = _network_load("regression", need)

    def run(low_res: Pictures, _seeds: Sequence[int]) -> Pictures:
        with torch.inference_mode():
            inputs = model_range(torch.from_numpy(low_res)).to(need.device)
            return pixel_range(network(inputs)).cpu().numpy()

    return Upscaler(run, digest)


def _pixel_recursive_load(need: Need) -> Upscaler:
    from sr_models.sampling import sample  # noqa: PLC0415 -- torch must not load in web processes

    network, digest = _network_load("pixel_recursive", need)
    tau = float(need.parameters["tau"])
    return Upscaler(lambda low_res, seeds: sample(network, low_res, seeds=seeds, tau=tau), digest)


def _network_load(network: str, need: Need) -> tuple[Any, str]:
    """Return a trained network and the digest of its file, which is read again only if it was replaced."""
    checkpoint = need.parameters["checkpoint"]
    path = (
        checkpoint
        if isinstance(checkpoint, Path)
        else checkpoint_path(str(checkpoint), network=network, folder=need.checkpoints)
    )
    written_ns = path.stat().st_mtime_ns if path.exists() else 0
    loaded, digest = _checkpoint_read(path, network, need.device, written_ns)
    if loaded.config.factor != need.factor:
        raise MethodUnavailable(
            f"The checkpoint {path.name} enlarges {loaded.config.factor} times, but the photo set needs "
            f"{need.factor} times; choose another checkpoint or a photo set of other sizes."
        )
    return loaded, digest


@functools.lru_cache(maxsize=8)
def _checkpoint_read(path: Path, network: str, device: str, _written_ns: int) -> tuple[Any, str]:
    import torch  # noqa: PLC0415 -- as above

    from sr_models.checkpoints import CheckpointError, checkpoint_load  # noqa: PLC0415 -- as above
    from sr_models.pixel_recursive import PixelRecursive  # noqa: PLC0415 -- as above

    # Sampling is many small products: threads within one cost more than they give. Several workers use several cores.
    torch.set_num_threads(1)
    try:
        checkpoint = checkpoint_load(path, device=device, network=network if network == "pixel_recursive" else None)
    except CheckpointError as error:
        raise MethodUnavailable(str(error)) from error
    if network == "regression" and isinstance(checkpoint.network, PixelRecursive):
        raise MethodUnavailable(
            f"The checkpoint {path.name} holds the network 'pixel_recursive', which makes samples; choose one of a "
            "regression network."
        )
    return checkpoint.network, checkpoint.digest


def _uploaded_load(_need: Need) -> Upscaler:
    raise MethodUnavailable(
        "Uploaded pictures belong to the photos of their study and enlarge no others; name a method that does, or "
        "upload pictures in a study."
    )


TAU = Parameter(
    name="tau",
    label="tau",
    kind="number",
    default=1.0,
    minimum=0.1,
    maximum=100.0,
    help="Exponent of the probabilities (Dahl et al. 2017): 1 samples the model, more sharpens. The usual temperature "
    "is T = 1 / tau: tau 1.1 is T 0.909, tau 1.2 is T 0.833.",
)

DEFAULT_CHECKPOINT = "small"
"""Trained on faces and rooms, for whoever names none."""


def _checkpoint_parameter(network: str) -> Parameter:
    names = _shipped_checkpoint_names(network)
    default = DEFAULT_CHECKPOINT if DEFAULT_CHECKPOINT in names or not names else names[0]
    about = "The trained weights."
    return Parameter("checkpoint", "checkpoint", "choice", default, choices=names, help=about, network=network)


METHODS: dict[str, Method] = {
    "bicubic": Method("bicubic", "Bicubic", False, "nothing", "golden", (), _bicubic_load),
    "nearest_neighbour": Method(
        "nearest_neighbour", "Nearest neighbour", False, "bank", "test", (), _nearest_neighbour_load
    ),
    "regression": Method(
        "regression",
        "Regression",
        False,
        "checkpoint",
        "test",
        (_checkpoint_parameter("regression"),),
        _regression_load,
    ),
    "pixel_recursive": Method(
        "pixel_recursive",
        "Pixel recursive",
        True,
        "checkpoint",
        "test",
        (TAU, _checkpoint_parameter("pixel_recursive")),
        _pixel_recursive_load,
    ),
    "uploaded": Method("uploaded", "Uploaded pictures", False, "files", "test", (), _uploaded_load),
}
"""Slug -> method. To add one: a loader above and an entry here."""
