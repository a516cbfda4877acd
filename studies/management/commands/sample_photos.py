"""`manage.py sample_photos STUDY`: prepare a study's samples here and now, with a progress bar."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.errors import EvalsiteError
from studies.management.commands._lookups import study_find
from studies.management.commands._progress import progress_bar
from studies.models import Condition, Study, StudyState
from studies.services import samples
from studies.services.studies import study_prepare


class Command(BaseCommand):
    """Make a study's samples in this process instead of the worker's."""

    help = "Make a study's samples in this process, with a progress bar; run again, it goes on where it stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="slug of the study")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make them."""
        study = study_find(options["study"])
        try:
            if study.state != StudyState.READY:
                study_prepare(study=study)
                samples_make(study)
        except EvalsiteError as error:
            raise CommandError(str(error)) from error
        study.refresh_from_db()
        self.stdout.write(f"The study “{study.title}” is {study.state}.")


def samples_make(study: Study) -> None:
    """Make every pending sample of a study that is preparing, showing one bar for each condition.

    Raises:
        CommandError: If samples failed; the message gives the reasons.
    """
    chunks = samples.samples_plan(study=study)
    labels = dict(Condition.objects.filter(study=study).values_list("samples__pk", "label"))
    totals: dict[str, int] = {}
    for keys in chunks:
        totals[labels[keys[0]]] = totals.get(labels[keys[0]], 0) + len(keys)
    for label, total in totals.items():
        with progress_bar(label=label, unit="sample", total=total) as bar:
            for keys in chunks:
                if labels[keys[0]] == label:
                    samples.samples_generate(keys=keys)
                    bar.update(len(keys))
    if not samples.preparation_finish(study=study):
        reasons = set(
            Condition.objects.filter(study=study, samples__status="failed").values_list("samples__reason", flat=True)
        )
        raise CommandError(f"The study “{study.title}” is not ready: {' '.join(sorted(reasons))}")
