"""`manage.py import_samples STUDY CONDITION FOLDER|ZIP`: pictures made elsewhere become the samples of a condition."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import EvalsiteError
from studies.management.commands._lookups import study_find
from studies.management.commands._progress import progress_bar
from studies.models import SampleUpload, UploadState
from studies.selectors.photos import photos_judged
from studies.selectors.uploads import missing_stems, replaced_count
from studies.services import uploads


class Command(BaseCommand):
    """Match pictures to the photos of a study by file name, report, and take them over all at once."""

    help = (
        "Take over pictures made elsewhere for a condition of the method “uploaded”, matched to photos by file name; "
        "a report comes first, and unless every photo gets its picture nothing is taken over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="slug of the study, a draft")
        parser.add_argument("condition", help="slug of the condition, as in exports")
        parser.add_argument("path", type=Path, help="a folder or a zip of pictures")
        parser.add_argument("--partial", action="store_true", help="take over what there is; the rest may come later")
        parser.add_argument("--replace", action="store_true", help="let pictures that are there already be replaced")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Check, report and take over."""
        study = study_find(options["study"])
        condition = study.conditions.filter(slug=options["condition"]).first()
        if condition is None:
            there = ", ".join(study.conditions.values_list("slug", flat=True)) or "none"
            raise CommandError(f"“{study.title}” has no condition {options['condition']!r}; there is: {there}.")
        try:
            upload = uploads.upload_begin(condition=condition, name=options["path"].name)
            total = photos_judged(study).count()
            with progress_bar(uploads.folder_files(options["path"]), label="pictures", unit="file", total=total) as bar:
                uploads.upload_check(key=upload.pk, files=bar)
            upload.refresh_from_db()
            self._report(upload, is_partial=options["partial"], may_replace=options["replace"])
            taken = uploads.upload_take(condition=condition)
        except EvalsiteError as error:
            raise CommandError(str(error)) from error
        finally:
            uploads.upload_discard(condition=condition)
        self.stdout.write(f"{taken.pictures} pictures taken over, {taken.replaced} of them replaced earlier ones.")

    def _report(self, upload: SampleUpload, *, is_partial: bool, may_replace: bool) -> None:
        """Say what was found, and refuse what was not agreed to."""
        if upload.state == UploadState.FAILED:
            raise CommandError(upload.reason)
        for sentence in (sentence for kind in uploads.FINDINGS for sentence in upload.findings[kind]):
            self.stderr.write(sentence)
        missing, replaced = missing_stems(upload.condition, upload=upload), replaced_count(upload)
        if missing:
            self.stderr.write(f"No picture for: {', '.join(missing)}.")
        self.stdout.write(
            f"{upload.pictures.count()} pictures belong to photos of the study, {len(missing)} are missing."
        )
        if missing and not is_partial:
            raise CommandError(
                "Nothing was taken over: bring the missing pictures too, or take the others with --partial."
            )
        if replaced and not may_replace:
            raise CommandError(
                f"Nothing was taken over: {replaced} photos have their picture already; replace those with --replace."
            )
