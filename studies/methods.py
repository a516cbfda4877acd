"""The methods that a study can compare, and the one door to `sr_models` and `baselines`.

Networks are imported only when one is loaded: torch takes seconds to import and must not load in web processes.
"""

import functools
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
        parameters: Name -> value, checked.
        bank: The bank, or None.
    """

    factor: int
    parameters: Mapping[str, Any]
    bank: Bank | None


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
        choices: The values allowed, for a choice.
        help: One sentence for the researcher.
    """

    name: str
    label: str
    kind: Literal["number", "choice"]
    default: float | str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""

    def check(self, value: object, *, method: str) -> float | str:
        """Return the value as its kind.

        Raises:
            ParameterInvalid: If it is of another kind, out of range or no choice.
        """
        if self.kind == "choice":
            if value not in self.choices:
                raise ParameterInvalid(
                    f"{self.label} of {method} must be one of {', '.join(self.choices)}, not {value!r}."
                )
            return str(value)
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
        needs: What it is loaded from.
        default_role: What it usually is in a study.
        parameters: What can be set.
        load: Makes an upscaler from what a condition gives; raises `MethodUnavailable` if it cannot.
    """

    slug: str
    label: str
    is_stochastic: bool
    needs: Literal["nothing", "checkpoint", "bank"]
    default_role: Literal["test", "golden", "fidelity"]
    parameters: tuple[Parameter, ...]
    load: Callable[[Need], Upscaler]

    def parameters_check(self, values: Mapping[str, object]) -> dict[str, float | str]:
        """Return every parameter with its given or default value.

        Raises:
            ParameterInvalid: If one is unknown, out of range or of another kind.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in values:
            if name not in known:
                raise ParameterInvalid(f"{self.label} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")
        return {name: known[name].check(values.get(name, known[name].default), method=self.label) for name in known}


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


def checkpoints_folder() -> Path:
    """Return the folder of the checkpoints that come with the platform."""
    return Path(__file__).resolve().parent.parent / "sr_models" / "weights"


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

    network, digest = _network_load("srresnet", str(need.parameters["checkpoint"]), need.factor)

    def run(low_res: Pictures, _seeds: Sequence[int]) -> Pictures:
        with torch.inference_mode():
            return pixel_range(network(model_range(torch.from_numpy(low_res)))).numpy()

    return Upscaler(run, digest)


def _pixel_recursive_load(need: Need) -> Upscaler:
    from sr_models.sampling import sample  # noqa: PLC0415 -- torch must not load in web processes

    network, digest = _network_load("pixel_recursive", str(need.parameters["checkpoint"]), need.factor)
    tau = float(need.parameters["tau"])
    return Upscaler(lambda low_res, seeds: sample(network, low_res, seeds=seeds, tau=tau), digest)


def _network_load(network: str, checkpoint: str, factor: int) -> tuple[Any, str]:
    """Return a trained network and the digest of its file, which is read again only if it was replaced."""
    path = checkpoints_folder() / f"{checkpoint}.safetensors"
    written_ns = path.stat().st_mtime_ns if path.exists() else 0
    loaded, digest = _checkpoint_read(path, network, written_ns)
    if loaded.config.factor != factor:
        raise MethodUnavailable(
            f"The checkpoint {path.name} enlarges {loaded.config.factor} times, but the photo set needs "
            f"{factor} times; choose another checkpoint or a photo set of other sizes."
        )
    return loaded, digest


@functools.lru_cache(maxsize=8)
def _checkpoint_read(path: Path, network: str, _written_ns: int) -> tuple[Any, str]:
    import torch  # noqa: PLC0415 -- as above

    from sr_models.checkpoints import CheckpointError, checkpoint_load  # noqa: PLC0415 -- as above

    # Sampling is many small products: threads within one cost more than they give. Several workers use several cores.
    torch.set_num_threads(1)
    try:
        checkpoint = checkpoint_load(path, network=network)
    except CheckpointError as error:
        raise MethodUnavailable(str(error)) from error
    return checkpoint.network, checkpoint.digest


TAU = Parameter(
    name="tau",
    label="tau",
    kind="number",
    default=1.0,
    minimum=0.1,
    maximum=100.0,
    help="Exponent of the probabilities (Dahl et al. 2017): 1 samples the model, more sharpens. T = 1 / tau.",
)


def _checkpoint_parameter(*names: str) -> Parameter:
    return Parameter("checkpoint", "checkpoint", "choice", names[0], choices=names, help="The trained weights.")


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
        (_checkpoint_parameter("regression_small"),),
        _regression_load,
    ),
    "pixel_recursive": Method(
        "pixel_recursive",
        "Pixel recursive",
        True,
        "checkpoint",
        "test",
        (TAU, _checkpoint_parameter("pixel_recursive_small")),
        _pixel_recursive_load,
    ),
}
"""Slug -> method. To add one: a loader above and an entry here."""
