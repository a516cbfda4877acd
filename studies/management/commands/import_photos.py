"""`manage.py import_photos FOLDER --set NAME --owner NAME`: photos of a folder or a zip become a photo set."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.management.commands._progress import progress_bar
from studies.models import Cropping, PhotoSet, Researcher
from studies.services import photos


class Command(BaseCommand):
    """Bring photos into a set, new or existing."""

    help = "Bring the photos of folders, files and zips into a photo set; those already in it are left out."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("paths", nargs="+", type=Path, help="folders, pictures and zips")
        parser.add_argument("--set", required=True, help="name of the photo set; made if it is not there")
        parser.add_argument("--owner", required=True, help="user name of the researcher")
        parser.add_argument("--high-res-size", type=int, help="of a new set, in pixels; 32 if not given")
        parser.add_argument("--low-res-size", type=int, help="of a new set, in pixels; 8 if not given")
        parser.add_argument("--cropping", choices=Cropping.values, help="of a new set; centre if not given")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Bring them in and say what became of each."""
        owner = Researcher.objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"There is no researcher {options['owner']!r}; make one with createsuperuser.")
        files = [file for path in options["paths"] for file in _files(path)]
        wanted = {name: options[name] for name in ("high_res_size", "low_res_size", "cropping") if options[name]}
        photo_set = PhotoSet.objects.filter(owner=owner, name=options["set"]).first()
        if photo_set is None:
            try:
                photo_set = photos.photo_set_create(owner=owner, name=options["set"], **wanted)
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
        for name, value in wanted.items():
            if getattr(photo_set, name) != value:
                raise CommandError(
                    f"The set “{photo_set.name}” has {name.replace('_', ' ')} {getattr(photo_set, name)}, not {value}; "
                    "leave that out, or give --set another name."
                )
        bar = progress_bar(files, label="photos", unit="file")
        report = photos.photos_add(photo_set=photo_set, files=_contents(bar))
        for _name, sentence in report.rejected:
            self.stderr.write(sentence)
        self.stdout.write(
            f"{report.added} pictures added to “{photo_set.name}”, {len(report.duplicates)} files were there already, "
            f"{len(report.rejected)} refused."
        )


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise CommandError(f"{path} does not exist; give a folder, a picture or a zip.")
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _contents(files: Iterable[Path]) -> Iterator[photos.Incoming]:
    for path in files:
        with path.open("rb") as file:
            yield from photos.uploads_expand([(path.name, file)])
