"""Forget panels' ids of participants after a time; answers stay."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from studies.management.commands._lookups import study_find
from studies.services.recruitment import panel_ids_delete


class Command(BaseCommand):
    """Delete who came from which panel; run it daily."""

    help = "Delete panels' ids of participants who came longer ago than so many days. Their answers stay."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the age, and perhaps one study."""
        parser.add_argument("--older-than", type=int, required=True, metavar="DAYS", help="90 is a usual choice.")
        parser.add_argument("--study", metavar="SLUG", help="Only of this study.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete, and say how many."""
        days, slug = options["older_than"], options["study"]
        if days < 0:
            raise CommandError(f"--older-than is {days}; give a number of days, 0 or more.")
        study = study_find(slug) if slug else None
        deleted = panel_ids_delete(before=timezone.now() - timedelta(days=days), study=study)
        of = f" of {study.slug}" if study else ""
        self.stdout.write(f"Deleted the panel's ids of {deleted} participant{'' if deleted == 1 else 's'}{of}.")
