"""Who may read a study: accounts that it is shared with."""

from collections.abc import Collection

from django.db import transaction

from studies.models import About, AccountRole, Researcher, Study
from studies.services.events import changes_between, event_record


def role_set(*, researcher: Researcher, role: AccountRole) -> None:
    """Give an account another role, which holds from its next request on."""
    researcher.role = role
    researcher.save(update_fields=["role"])


def study_share(*, study: Study, researchers: Collection[Researcher]) -> None:
    """Let these accounts, and no others besides its owner and the lab's managers, read a study."""
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=study.pk)
        before = _names(study)
        study.shared_with.set(researchers)
        changes = changes_between({"Shared with": before}, {"Shared with": _names(study)})
        if changes:
            sentence = "Changed who may read the study."
            event_record(study=study, about=About.SHARING, sentence=sentence, changes=changes)


def _names(study: Study) -> list[str]:
    return list(study.shared_with.order_by("username").values_list("username", flat=True))
