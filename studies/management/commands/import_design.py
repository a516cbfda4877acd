"""`manage.py import_design FILE --set NAME --owner NAME`: an exported design becomes a study."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import DesignInvalid
from studies.models import PhotoSet, Researcher
from studies.services.designs import design_import


class Command(BaseCommand):
    """Make a draft study from a design."""

    help = "Make a draft study from an exported design; its photos are found by SHA-256 in a set that you name."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path, help="design.json, as exported")
        parser.add_argument("--owner", required=True, help="user name of the researcher")
        parser.add_argument("--set", required=True, help="name of the photo set with the design's photos")
        parser.add_argument("--bank", help="name of the photo set that is searched; found by its digest if not given")
        parser.add_argument("--slug", default="", help="another short name; the hash then becomes another one too")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make it."""
        owner = Researcher.objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"There is no researcher {options['owner']!r}; make one with createsuperuser.")
        if not options["file"].is_file():
            raise CommandError(f"There is no file {options['file']}; give a design as a study's page exports it.")
        try:
            study = design_import(
                data=options["file"].read_bytes(),
                owner=owner,
                photo_set=_set_find(owner, options["set"]),
                bank=_set_find(owner, options["bank"]) if options["bank"] else None,
                slug=options["slug"],
            )
        except DesignInvalid as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The study “{study.title}” ({study.slug}) is a draft.")


def _set_find(owner: Researcher, name: str) -> PhotoSet:
    found = PhotoSet.objects.filter(owner=owner, name=name).first()
    if found is None:
        there = ", ".join(PhotoSet.objects.filter(owner=owner).values_list("name", flat=True)) or "none"
        raise CommandError(f"{owner.username} has no photo set {name!r}; there is: {there}.")
    return found
