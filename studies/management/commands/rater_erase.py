"""`manage.py rater_erase WORD`: delete one rater with every answer, as the law or good manners ask."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import RaterUnknown
from studies.services.retention import rater_erase, rater_find, rater_of_participant


class Command(BaseCommand):
    """Delete one rater with all that they left."""

    help = "Delete one rater with every session and answer. Tables made before cannot be made again from what stays."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is."""
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("word", nargs="?", help="rater-NUMBER, session-NUMBER, a completion code or a session's code")
        who.add_argument("--participant", metavar="ID", help="a panel's id, while it is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete, and say what went."""
        word, participant = options["word"], options["participant"]
        try:
            raters = rater_of_participant(participant=participant) if participant else [rater_find(word=word)]
        except RaterUnknown as error:
            raise CommandError(str(error)) from error
        for rater in raters:
            name = str(rater)
            answers = rater_erase(rater=rater)
            self.stdout.write(f"Erased {name} with {answers} answer{'' if answers == 1 else 's'}.")
