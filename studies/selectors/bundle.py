"""Everything of a study in one zip, from which its table can be computed again; see docs/reports.md."""

import csv
import hashlib
import importlib.util
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from django.db.models.fields.files import FieldFile

import studies
from studies.errors import PictureMissing
from studies.models import About, Bundle, Origin, Study
from studies.reports import FORMATS
from studies.reports.bundle_text import bundle_readme, bundle_requirements
from studies.reports.figures import FileFormat
from studies.reports.methods_text import METHODS_FORMATS, methods_paragraphs
from studies.reports.recomputed import report_recompute
from studies.reports.responses_parquet import responses_parquet
from studies.reports.section import section_csv
from studies.selectors.events import events_rows
from studies.selectors.exports import responses_csv, responses_rows
from studies.selectors.figures import FIGURE_FORMATS, StudyFigures, sample_grid
from studies.selectors.looks import interval_get
from studies.selectors.studies import design_json
from studies.selectors.versions import results_version
from studies.statistics.responses_csv import read_responses

ENDINGS = {"text": "txt", "csv": "csv", "json": "json", "latex": "tex", "markdown": "md", "html": "html"}
"""Ending of each form of the tables."""

STIMULI_COLUMNS = ("file", "shown_as", "condition", "photo", "scene", "use", "seed", "sha256")
SOURCES = ("__init__.py", "errors.py", "statistics/*.py", "reports/*.py")
"""Of the package `studies`, what computes the tables."""

STORED = (".png", ".parquet", ".pdf")
"""What is compressed already."""

Written = Callable[[BinaryIO], None]


def bundle_version(study: Study, *, origin: Origin) -> str:
    """Return the word that a bundle of what the study is now would have."""
    events = study.events.exclude(about=About.SHARING)  # these are not in it
    words = f"{results_version(study, origin=origin)}/{events.count()}"
    return hashlib.sha256(words.encode()).hexdigest()


def bundle_get(study: Study, *, origin: Origin) -> Bundle | None:
    """Return the latest bundle, if it is of what the study is now."""
    return Bundle.objects.filter(study=study, origin=origin, version=bundle_version(study, origin=origin)).first()


def bundle_write(study: Study, file: BinaryIO, *, origin: Origin) -> None:
    """Write the bundle of the votes of one origin; the same study gives the same bytes.

    Responses and pictures go through one by one: what is held in memory grows with neither.

    Raises:
        PictureMissing: If the file of a picture is gone.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "responses.csv"
            with path.open("w", newline="", encoding="utf-8") as text:
                text.writelines(responses_csv(study, origin=origin))
            entries = dict(_entries(study, path, origin=origin))
            with zipfile.ZipFile(file, "w") as archive:
                for name in sorted(entries):
                    info = zipfile.ZipInfo(f"{study.slug}/{name}")  # of 1980: the time of writing is no part of a study
                    info.external_attr = 0o644 << 16
                    info.create_system = 3  # on every system what it is on Unix
                    info.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
                    with archive.open(info, "w", force_zip64=True) as entry:
                        entries[name](cast(BinaryIO, entry))
    except FileNotFoundError as error:
        raise PictureMissing(
            "{file} is gone: bring it back from a backup, then try again.", file=error.filename
        ) from error


def _entries(study: Study, responses: Path, *, origin: Origin) -> Iterator[tuple[str, Written]]:
    """Yield each name with what writes its file."""
    read = read_responses(responses)
    report = report_recompute(read, origin=origin.value, plan=read.plan, has_more=True)  # type: ignore[arg-type] # previews have no bundle
    has_parquet = importlib.util.find_spec("pyarrow") is not None
    yield "README.md", _text(bundle_readme(report.table, has_parquet=has_parquet))
    yield "requirements.txt", _text("\n".join([*bundle_requirements(), ""]))
    yield "design.json", _text(design_json(study))
    yield "responses.csv", _copied(responses)
    if has_parquet:
        yield "responses.parquet", lambda file: _put(file, responses_parquet(responses_rows(study, origin=origin)))
    yield "events.csv", _text(_csv(events_rows(study, hides_codes=True, hides_names=True)))
    for format_name in FORMATS:
        yield f"tables/results.{ENDINGS[format_name]}", _text(report.render(format_name))
    for section in report.sections:
        yield f"tables/{section.name.replace('_', '-')}.csv", _text(section_csv(section))
    figures = StudyFigures(study, origin=origin)
    yield from _methods(study, figures, origin=origin)
    yield from _figures(study, figures)
    yield from _stimuli(study)
    package = Path(str(studies.__file__)).parent
    for pattern in SOURCES:
        for path in package.glob(pattern):
            yield f"studies/{path.relative_to(package).as_posix()}", _copied(path)


def _methods(study: Study, figures: StudyFigures, *, origin: Origin) -> Iterator[tuple[str, Written]]:
    interval = interval_get(study, hides_names=True) if origin == Origin.PERSON else None
    paragraphs = methods_paragraphs(json.loads(design_json(study)), table=figures.table, interval=interval)
    for name, write in METHODS_FORMATS.items():
        yield f"methods.{ENDINGS[name]}", _text(write(paragraphs))


def _figures(study: Study, figures: StudyFigures) -> Iterator[tuple[str, Written]]:
    for name in figures.names:
        for kind in FIGURE_FORMATS:
            yield f"figures/{name}.{kind}", _drawn(figures, name, kind)
    grid = sample_grid(study)
    if grid is not None:
        yield "figures/samples.png", _bytes(grid)


def _stimuli(study: Study) -> Iterator[tuple[str, Written]]:
    """Yield the pictures of every pair, and the list of them."""
    rows: list[tuple[str, ...]] = [STIMULI_COLUMNS]
    uses = study.study_photos.filter(photo__samples__pair__study=study).distinct()
    for entry in uses.select_related("photo").order_by("photo__sha256").iterator():
        photo = entry.photo
        name = f"stimuli/photos/{photo.sha256[:16]}.png"
        rows.append((name, "photo", "", photo.sha256[:16], photo.source_sha256[:16], entry.use, "", photo.sha256))
        yield name, _picture(photo.high_res)
    pairs = study.pairs.select_related("sample__photo", "sample__condition")
    for pair in pairs.order_by("sample__condition__position", "sample__photo__sha256").iterator():
        sample, photo = pair.sample, pair.sample.photo
        name = f"stimuli/samples/{sample.condition.slug}/{photo.sha256[:16]}.png"
        of_photo = (photo.sha256[:16], photo.source_sha256[:16])
        rows.append((name, "sample", sample.condition.slug, *of_photo, pair.kind, str(sample.seed), sample.sha256))
        yield name, _picture(sample.picture)
    yield "stimuli/stimuli.csv", _text(_csv(rows))


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _put(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _bytes(content: bytes) -> Written:
    return lambda file: _put(file, content)


def _text(content: str) -> Written:
    return _bytes(content.encode())


def _copied(path: Path) -> Written:
    def written(file: BinaryIO) -> None:
        with path.open("rb") as opened:
            shutil.copyfileobj(opened, file)

    return written


def _picture(picture: FieldFile) -> Written:
    def written(file: BinaryIO) -> None:
        with picture.open("rb") as opened:
            shutil.copyfileobj(opened, file)

    return written


def _drawn(figures: StudyFigures, name: str, kind: FileFormat) -> Written:
    return lambda file: _put(file, figures.draw(name, file_format=kind))
