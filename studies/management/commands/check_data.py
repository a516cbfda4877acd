"""`manage.py check_data`: whether what the site keeps fits together."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from studies.management.commands._progress import progress_bar
from studies.selectors.integrity import faults_find


class Command(BaseCommand):
    """Look whether frozen designs, sessions, answers and pictures fit together."""

    help = (
        "Look whether frozen designs, sessions, answers and the files of pictures fit together, and name what does not."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Name each fault, and fail if there is one."""
        faults = list(progress_bar(faults_find(), label="faults found", unit="fault"))
        for fault in faults:
            self.stderr.write(fault)
        if faults:
            raise CommandError(f"{len(faults)} things do not fit together; they are listed above.")
        self.stdout.write("Designs, sessions, answers and pictures fit together.")
