"""`manage.py backup FILE`: the whole site in one file, while raters vote."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import BackupRefused
from studies.management.commands._progress import progress_bar
from studies.services.backups import backup_size, backup_write


class Command(BaseCommand):
    """Write database, pictures, checkpoints and secret key into one archive."""

    help = "Write the database as of one moment, all pictures, checkpoints and the secret key into one archive."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path, help="where to, such as evalsite-2026-11-25.zip")
        parser.add_argument("--force", action="store_true", help="replace a file of that name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write, and say what is in it."""
        path = options["file"]
        try:
            with progress_bar(label=path.name, unit="B", total=backup_size(), scales=True) as bar:
                written = backup_write(path=path, overwrites=options["force"], step=bar.update)
        except BackupRefused as error:
            raise CommandError(str(error)) from error
        counts = ", ".join(f"{n} {name}" for name, n in written.counts.items())
        self.stdout.write(
            f"Wrote {path}, {path.stat().st_size:,} bytes in {len(written.files)} files: {counts}. "
            "It holds panels' ids and password hashes: keep it where only you can read it."
        )
