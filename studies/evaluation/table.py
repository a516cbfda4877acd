"""The table of an evaluation: a row for each condition, its means over all photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studies import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """Means of one condition over all photos; None where the photos are too small for a metric.

    Attributes:
        condition: As it was typed.
        label: What people read.
        method: Key of `METHODS`.
        parameters: Name -> value; of a checkpoint its name or its file.
        digest: SHA-256 of the checkpoint or of the bank, or "".
        psnr: dB; infinite if a sample equals its photo.
        ssim: In [-1, 1].
        ms_ssim: Five scales, in [0, 1].
        ms_ssim_3: Three scales, in [0, 1].
        consistency: Mean squared error on [0, 1] between the input and the sample made small again.
        detail: Mean absolute gradient of the samples over that of the photos; None if all photos are flat.
        seconds_per_image: By the clock of the table.
    """

    condition: str
    label: str
    method: str
    parameters: Mapping[str, float | str]
    digest: str
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    ms_ssim_3: float | None
    consistency: float | None
    detail: float | None
    seconds_per_image: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationTable:
    """An evaluation's rows, and everything that is needed to repeat it.

    Attributes:
        rows: In the order in which the conditions were typed.
        photos: Which they are.
        photos_digest: SHA-256 of them, as `sr_models.data` gives it.
        n_photos: Their number.
        size: Side of the photos in pixels.
        factor: How many times the methods enlarge.
        downsampling: Name of the operator that made the inputs.
        seed: The seed that was given.
        device: Where networks ran.
        threads: Threads that a network could use.
        clock: What `seconds_per_image` are: "processor" seconds of all threads together, or "wall" seconds.
        notes: Sentences on what was decided on the way.
        version: Of evalsite.
    """

    rows: Sequence[EvaluationRow]
    photos: str
    photos_digest: str
    n_photos: int
    size: int
    factor: int
    downsampling: str
    seed: int
    device: str
    threads: int
    clock: str
    notes: Sequence[str]
    version: str = __version__

    @property
    def low_res_size(self) -> int:
        """Side of the inputs in pixels."""
        return self.size // self.factor
