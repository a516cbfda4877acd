"""`manage.py prolific_sync STUDY`: bring here how Prolific sees each visit; approve, or ask back, if told to."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.management.commands._lookups import study_find
from studies.recruitment.prolific import PANEL
from studies.recruitment.prolific_api import ProlificClient
from studies.selectors.recruitment import recruitment_get
from studies.services.prolific import submissions_sync


class Command(BaseCommand):
    """Free the places of submissions that were returned, timed out or rejected; best run every few minutes."""

    help = "Ask Prolific how the submissions of a study stand, and free the places of those given back."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="slug of the study")
        parser.add_argument("--approve", action="store_true", help="approve what awaits review and was finished here")
        parser.add_argument(
            "--request-return", metavar="REASON", default="", help="ask those back who handed in without finishing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask, and say what was found."""
        study = study_find(options["study"])
        if recruitment_get(study).panel != PANEL.slug:
            raise CommandError(f"“{study.slug}” does not recruit on Prolific; choose it on the study's page first.")
        if not settings.PROLIFIC_TOKEN:
            raise CommandError("EVALSITE_PROLIFIC_TOKEN is empty; set it to an API token of the Prolific account.")
        client = ProlificClient(token=settings.PROLIFIC_TOKEN, address=settings.PROLIFIC_API_URL)
        synced = submissions_sync(
            study=study, client=client, approve=options["approve"], return_reason=options["request_return"]
        )
        for status, count in sorted(synced.states.items()):
            self.stdout.write(f"{status}: {count}")
        self.stdout.write(
            f"Places freed: {synced.freed}. Approved: {synced.approved}. Asked to return: {synced.asked_to_return}."
        )
        if synced.failures:
            more = f" (and {len(synced.failures) - 1} more)" if len(synced.failures) > 1 else ""
            raise CommandError(f"{synced.failures[0]}{more}")
