"""`manage.py leftovers_delete --older-than DAYS`: forget what visitors left unfinished; run it daily."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from studies.services.retention import leftovers_delete


class Command(BaseCommand):
    """Delete old previews, sessions without an answer, and expired sign-ins."""

    help = "Delete previews and sessions without any answer older than so many days, and expired sign-ins."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the age."""
        parser.add_argument("--older-than", type=int, required=True, metavar="DAYS", help="90 is a usual choice.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete, and say how many."""
        days = options["older_than"]
        if days < 1:
            raise CommandError(f"--older-than is {days}; give a number of days, 1 or more.")
        gone = leftovers_delete(before=timezone.now() - timedelta(days=days))
        self.stdout.write(
            f"Deleted previews: {gone.previews}, sessions without an answer: {gone.unanswered}, "
            f"expired sign-ins: {gone.sign_ins}."
        )
