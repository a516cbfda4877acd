"""Let somebody sign in at once who has tried too often."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.models import Researcher
from studies.services.sign_in import attempts_forget


class Command(BaseCommand):
    """Forget failed attempts to sign in."""

    help = "Forget the failed attempts to sign in to an account, so that it can be tried at once; or all of them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a name, or everybody."""
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("username", nargs="?", help="Name of the account.")
        whose.add_argument("--everybody", action="store_true", help="Of every account, and from every address.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Forget, and say how many."""
        username = None if options["everybody"] else options["username"]
        if username is not None and not Researcher.objects.filter(username=username).exists():
            raise CommandError(f"No account is called “{username}”; give its name, or --everybody.")
        count = attempts_forget(username=username)
        self.stdout.write(f"Forgot {count} failed attempt{'' if count == 1 else 's'} to sign in.")
