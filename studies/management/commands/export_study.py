"""`manage.py export_study STUDY FOLDER`: write everything that a paper needs into a folder, or into one bundle."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import ExtraMissing, PictureMissing
from studies.management.commands._lookups import ORIGINS, study_find
from studies.models import Origin, Saw, Study
from studies.reports import FORMATS
from studies.reports.methods_text import METHODS_FORMATS, methods_paragraphs
from studies.reports.responses_parquet import responses_parquet
from studies.reports.section import section_csv
from studies.selectors import exports, figures
from studies.selectors.bundle import ENDINGS, bundle_write
from studies.selectors.looks import interval_get
from studies.selectors.results import origin_default, result_table, sections_get
from studies.selectors.studies import design_json
from studies.services.looks import look_record


class Command(BaseCommand):
    """Write a study's design, raw responses, tables, figures and methods section into a folder."""

    help = "Write a study's design, raw responses, tables, figures and methods section into a folder."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="slug of the study")
        parser.add_argument(
            "folder",
            type=Path,
            help="where to; one that ends in .zip is made one bundle",
        )
        parser.add_argument("--parquet", action="store_true", help="responses as Parquet too; needs the extras")
        parser.add_argument(
            "--raters", choices=ORIGINS, help="whose answers; people, unless only simulated raters came"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the files and name each."""
        study, folder = study_find(options["study"]), options["folder"]
        is_bundle = folder.suffix == ".zip"
        origin = ORIGINS.get(options["raters"]) or origin_default(study)
        look_record(study=study, who="command line", saw=Saw.RATES, shown="manage.py export_study", origin=origin)
        try:
            if is_bundle:
                with folder.open("wb") as packed:
                    bundle_write(study, packed, origin=origin)
                self.stdout.write(str(folder))
                return
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "responses.csv").open("w", newline="", encoding="utf-8") as file:
                file.writelines(exports.responses_csv(study, origin=origin))
            if options["parquet"]:
                rows = exports.responses_rows(study, origin=origin)
                (folder / "responses.parquet").write_bytes(responses_parquet(rows))
            (folder / "design.json").write_text(design_json(study), encoding="utf-8")
            tables_write(study, folder, origin=origin)
            figures_write(study, folder, origin=origin)
            grid = figures.sample_grid(study)
            if grid is not None:
                (folder / "samples.png").write_bytes(grid)
        except (ExtraMissing, PictureMissing) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Cannot write into {folder}: {error.strerror}; choose another folder.") from error
        for path in sorted(folder.iterdir()):
            self.stdout.write(str(path))


def tables_write(study: Study, folder: Path, *, origin: Origin) -> None:
    """Write the table in every form, each section as a CSV file, and the methods section."""
    table = result_table(study, origin=origin)
    sections = sections_get(study, table, has_more=True)
    for name, render in FORMATS.items():
        below = [] if name == "csv" else sections
        (folder / f"results.{ENDINGS[name]}").write_text(render(table, below), encoding="utf-8")
    for section in sections:
        path = folder / f"{section.name.replace('_', '-')}.csv"
        path.write_text(section_csv(section), encoding="utf-8")
    interval = interval_get(study) if origin == Origin.PERSON else None
    paragraphs = methods_paragraphs(json.loads(design_json(study)), table=table, interval=interval)
    for name, write in METHODS_FORMATS.items():
        (folder / f"methods.{ENDINGS[name]}").write_text(write(paragraphs), encoding="utf-8")


def figures_write(study: Study, folder: Path, *, origin: Origin) -> None:
    """Write every figure of the votes in every form."""
    drawn = figures.StudyFigures(study, origin=origin)
    for name in drawn.names:
        for kind in figures.FIGURE_FORMATS:
            (folder / f"{name}.{kind}").write_bytes(drawn.draw(name, file_format=kind))
