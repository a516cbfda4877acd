"""`manage.py evaluate --photos P --conditions …`: the paper's table and figures for any photos, without a study."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from numpy.typing import NDArray

from studies import __version__
from studies.errors import EvalsiteError
from studies.evaluation.conditions import EvaluationCondition, conditions_read, factor_of, tau_label
from studies.evaluation.photo_sets import PARTS, EvaluationPhotos, bank_open, photos_open, size_find
from studies.evaluation.run import Evaluated, device_check, draws_make, evaluate, photos_read
from studies.management.commands._progress import progress_bar
from studies.methods import METHODS, Bank, downsample
from studies.reports.evaluation import EVALUATION_FORMATS

FOUNDING = (
    "bicubic,nearest_neighbour,regression,pixel_recursive:tau=1.0,pixel_recursive:tau=1.1,pixel_recursive:tau=1.2"
)
"""The comparison of the founding study."""

COMPARED_ROWS, DRAWN_ROWS, DRAWS = 8, 4, 10
"""Rows of the two figures, and draws in a row of the second."""

DRAWN_TAU = 1.0


class Command(BaseCommand):
    """Measure methods on photos and print the table; nothing is kept in the database."""

    help = (
        "Measure methods on photos without a study: pSNR, SSIM, MS-SSIM, Consistency, detail and seconds per image, "
        "as a table on standard output, and the paper's figures in a folder. For example: manage.py evaluate --photos "
        "rooms.npz --conditions bicubic,nearest_neighbour,regression,pixel_recursive:tau=1.1 --checkpoint small"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        add = parser.add_argument
        several: dict[str, Any] = {"action": "extend", "nargs": "+", "default": []}
        add("--photos", **several, type=Path, required=True, help="folders, zips, .npz files, CelebA or LMDB folders")
        add(
            "--conditions",
            **several,
            metavar="CONDITION,…",
            help="methods with commas between them; parameters follow after colons, as in pixel_recursive:tau=1.1 "
            "(T = 1/tau = 0.909) or pixel_recursive:tau=1.1:checkpoint=faces; all of the founding study if not given",
        )
        add(
            "--checkpoint",
            **several,
            metavar="NAME|FILE",
            help="name of trained weights, a .safetensors file or the folder of a training run; several serve several "
            "networks",
        )
        add(
            "--bank",
            **several,
            type=Path,
            help="photos that nearest_neighbour searches, of sets with parts the train part; if not given, the train "
            "part of the photos that are evaluated",
        )
        add(
            "--keep-bank",
            type=Path,
            metavar="FOLDER",
            help="new folder in which the bank is kept; a later --bank FOLDER opens it at once",
        )
        add("--leave-out-duplicates", action="store_true", help="leave photos out of the bank that are evaluated too")
        add("--size", type=_positive, help="side of the photos in pixels; what an .npz has, or 32")
        add("--factor", type=_positive, help="how many times to enlarge; what the checkpoints do, or 4")
        add(
            "--split",
            choices=(*PARTS, "all"),
            help="which part of sets with parts; validation if not given, without one test, without that all",
        )
        add(
            "--held-out",
            action="store_true",
            help="of sets without parts, only what training without --validation holds out",
        )
        add("--crop", type=_positive, help="side of the centred square of each picture, in its pixels; the largest")
        add("--limit", type=_positive, help="at most so many photos, the first ones")
        add("--seed", type=int, default=0, help="of the samples (0)")
        add("--threads", type=_positive, default=1, help="that a network may use (1)")
        add("--device", default="cpu", help="where networks run, such as cuda (cpu)")
        add("--format", choices=EVALUATION_FORMATS, default="text")
        add("--figures", type=Path, metavar="FOLDER", help="where to put the figures as PNG, PDF and SVG")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Measure, print the table, and draw the figures."""
        try:
            if options["figures"] is not None:
                options["figures"].mkdir(parents=True, exist_ok=True)  # now, not after a long run
            self._run(options)
        except EvalsiteError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'A file'}: {error.strerror}; choose another place.") from error
        except KeyboardInterrupt as error:
            raise CommandError("Stopped before the end; there is no table.", returncode=130) from error

    def _run(self, options: dict[str, Any]) -> None:
        folder: Path = settings.CHECKPOINTS_DIR
        device_check(options["device"])
        conditions, notes = conditions_read(
            options["conditions"] or [FOUNDING], checkpoints=options["checkpoint"], folder=folder
        )
        photos = photos_open(
            options["photos"],
            size=options["size"] or size_find(options["photos"]),
            split=options["split"],
            held_out=options["held_out"],
            crop=options["crop"],
            limit=options["limit"],
        )
        notes.extend(photos.notes)
        if not options["conditions"] and not options["bank"] and photos.training is None:
            conditions = [condition for condition in conditions if condition.method.needs != "bank"]
            notes.append("nearest_neighbour is left out: it needs --bank PHOTOS.")
        factor = options["factor"] or factor_of(conditions, folder=folder)
        for note in notes:
            self.stderr.write(note, self.style.NOTICE)
        bank = None
        if any(condition.method.needs == "bank" for condition in conditions):
            bank = self._bank_open(photos, notes, factor=factor, options=options)
        running = {"factor": factor, "seed": options["seed"], "folder": folder}
        running |= {"device": options["device"], "threads": options["threads"]}
        shown = _spread(len(photos.photos), COMPARED_ROWS) if options["figures"] else []
        with _bars() as show:
            evaluated = evaluate(
                conditions,
                photos,
                bank=bank,
                notes=notes,
                shown=shown,
                progress=lambda condition, done: show(condition.head, done, len(photos.photos)),
                **running,
            )
        self.stdout.write(EVALUATION_FORMATS[options["format"]](evaluated.table), ending="")
        if options["figures"]:
            for path in _figures_write(options["figures"], conditions, photos, shown, evaluated, running):
                self.stderr.write(str(path), self.style.NOTICE)

    def _bank_open(self, photos: EvaluationPhotos, notes: list[str], *, factor: int, options: dict[str, Any]) -> Bank:
        with _bars() as show:
            opened = bank_open(
                options["bank"],
                photos,
                factor=factor,
                crop=options["crop"],
                leave_out_duplicates=options["leave_out_duplicates"],
                keep=options["keep_bank"],
                progress=show,
            )
        self.stderr.write(opened.note, self.style.NOTICE)
        notes.append(opened.note)
        return opened.bank


def _figures_write(
    folder: Path,
    conditions: Sequence[EvaluationCondition],
    photos: EvaluationPhotos,
    shown: Sequence[int],
    evaluated: Evaluated,
    running: dict[str, Any],
) -> Iterator[Path]:
    """Draw the paper's figures and yield their files: all conditions side by side, and many draws from one input."""
    truth = photos_read(photos, shown)
    inputs = downsample(truth, factor=running["factor"])
    order = list(METHODS)  # the paper's; conditions of one method stay as they were typed
    ordered = sorted(conditions, key=lambda condition: order.index(condition.method.slug))
    heads = [condition.head for condition in ordered]
    if len(set(heads)) < len(heads):
        heads = [condition.label for condition in ordered]
    samples = [evaluated.samples[condition.name] for condition in ordered]
    heads = [head.replace("tau ", "tau\N{NO-BREAK SPACE}") for head in heads]
    columns = [("input", inputs), *zip(heads, samples, strict=True), ("truth", truth)]
    yield from _grid_write(folder / "comparison", columns, title="", about=evaluated.table.photos)
    drawn = {condition.checkpoint: condition for condition in ordered if condition.method.is_stochastic}
    for checkpoint, condition in drawn.items():
        few = inputs[:DRAWN_ROWS]
        draws = draws_make(condition, few, count=DRAWS, tau=DRAWN_TAU, **running)
        columns = [("input", few), *((f"draw {k}", drawn) for k, drawn in enumerate(draws, 1))]
        columns.append(("truth", truth[:DRAWN_ROWS]))
        title = f"Draws from one input at {tau_label(DRAWN_TAU)}, {checkpoint}"
        name = f"draws-{Path(checkpoint).stem}" if len(drawn) > 1 else "draws"
        yield from _grid_write(folder / name, columns, title=title, about=evaluated.table.photos)


def _grid_write(
    stem: Path, columns: Sequence[tuple[str, NDArray[np.uint8]]], *, title: str, about: str
) -> Iterator[Path]:
    from studies.reports.figures import picture_grid  # noqa: PLC0415 -- matplotlib loads only where a figure is drawn

    for ending in ("png", "pdf", "svg"):
        path = stem.with_name(f"{stem.name}.{ending}")
        path.write_bytes(picture_grid(columns, file_format=ending, title=title, source=about, version=__version__))
        yield path


def _spread(count: int, rows: int) -> list[int]:
    """Return the numbers of photos that are shown: evenly spread over the set, since neighbours are often alike."""
    return [int(number) for number in np.unique(np.linspace(0, count - 1, min(rows, count)).round())]


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that moves the bar of a label to a number of photos; a new label begins a new bar."""
    with contextlib.ExitStack() as stack:
        bars: dict[str, Any] = {}

        def show(label: str, done: int, total: int) -> None:
            if label not in bars:
                stack.close()
                bars.clear()
                bars[label] = stack.enter_context(progress_bar(label=label, unit="photo", total=total))
            bars[label].update(done - bars[label].n)

        yield show


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; got {text!r}")
    return number
