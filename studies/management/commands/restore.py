"""`manage.py restore FILE`: make this site the one of a backup."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import BackupRefused
from studies.management.commands._progress import progress_bar
from studies.selectors.integrity import faults_find
from studies.services.backups import backup_read, backup_restore


class Command(BaseCommand):
    """Make this site the one of a backup; its processes must be stopped."""

    help = (
        "Make this site, whose processes are stopped, the one of a backup; if it breaks off, the same command goes on."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path, help="what `manage.py backup` wrote")
        parser.add_argument("--force", action="store_true", help="replace all data of this site")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the whole archive, restore, and look whether all fits together."""
        path = options["file"]
        try:
            size = path.stat().st_size if path.is_file() else None
            with progress_bar(label="checking", unit="B", total=size, scales=True) as bar:
                backup = backup_read(path=path, step=bar.update)
            with progress_bar(label="restoring", unit="B", total=size, scales=True) as bar:
                backup_restore(path=path, backup=backup, overwrites=options["force"], step=bar.update)
        except BackupRefused as error:
            raise CommandError(str(error)) from error
        faults = list(faults_find())
        for fault in faults:
            self.stderr.write(fault)
        counts = ", ".join(f"{n} {name}" for name, n in backup.counts.items())
        self.stdout.write(f"Restored {path}, begun {backup.created_at}, with at least {counts}.")
        if faults:
            raise CommandError(f"{len(faults)} things in it do not fit together; they are listed above.")
