"""`manage.py set_role ACCOUNT ROLE`: give an account a role."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.models import AccountRole, Researcher
from studies.services.sharing import role_set


class Command(BaseCommand):
    """Give an account a role."""

    help = "Give an account a role: researcher (own studies), manager (all studies) or viewer (reads what is shared)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("account", help="its name")
        parser.add_argument("role", choices=AccountRole.values)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Give it, and say so."""
        researcher = Researcher.objects.filter(username=options["account"]).first()
        if researcher is None:
            names = ", ".join(Researcher.objects.order_by("username").values_list("username", flat=True)) or "none yet"
            raise CommandError(f"There is no account “{options['account']}”; there are: {names}.")
        role_set(researcher=researcher, role=AccountRole(options["role"]))
        self.stdout.write(f"“{researcher.username}” is a {researcher.get_role_display().split(':')[0]} now.")
