"""`manage.py results STUDY`: print the results table."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.management.commands._lookups import ORIGINS, study_find
from studies.models import Origin, Saw
from studies.reports import FORMATS
from studies.reports.published import PUBLISHED
from studies.selectors.results import result_table, sections_get
from studies.services.looks import look_record
from studies.statistics.arguments import alpha_argument


class Command(BaseCommand):
    """Print a study's results table."""

    help = "Print a study's results: fool rates with intervals beside pSNR, SSIM, MS-SSIM and Consistency."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="slug of the study")
        parser.add_argument("--format", choices=FORMATS, default="text")
        parser.add_argument(
            "--raters", choices=ORIGINS, help="whose answers; people, unless only simulated raters came"
        )
        parser.add_argument("--alpha", type=alpha_argument, default=0.05, help="one minus the level of the intervals")
        parser.add_argument("--estimand", choices=("new", "these"), default="new", help="new images, or these only")
        parser.add_argument(
            "--more", action="store_true", help="sensitivity, agreement, times, order and pixel metrics below"
        )
        parser.add_argument(
            "--reference", choices=sorted(PUBLISHED), help="the founding paper's figures below, as published"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the table."""
        study = study_find(options["study"])
        table = result_table(
            study,
            origin=ORIGINS.get(options["raters"]),
            alpha=options["alpha"],
            estimand=options["estimand"],
        )
        origin = Origin(table.origin)
        look_record(study=study, who="command line", saw=Saw.RATES, shown="manage.py results", origin=origin)
        is_csv = options["format"] == "csv"
        for name in ("reference", "more"):
            if is_csv and options[name]:
                raise CommandError(f"--{name} adds a second table, and a CSV file holds one; take another --format.")
        more, reference = options["more"], options["reference"]
        sections = [] if is_csv else sections_get(study, table, has_more=more, reference=reference)
        self.stdout.write(FORMATS[options["format"]](table, sections))
