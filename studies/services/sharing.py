"""Who may read a study: accounts that it is shared with, and whoever has its public link."""

from collections.abc import Collection

from django.db import transaction

from studies.errors import SharingImpossible
from studies.models import About, AccountRole, PublicLink, Researcher, Study, StudyState
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


def public_link_open(*, study: Study, gives_bundle: bool) -> PublicLink:
    """Let anybody who has the link read the results; one that is there already keeps its address.

    Raises:
        SharingImpossible: If the study is not closed, so that its results may still be hidden by its design.
    """
    with transaction.atomic():
        study.refresh_from_db(from_queryset=Study.objects.select_for_update())
        if study.state != StudyState.CLOSED:
            raise SharingImpossible(
                f"“{study.title}” is {study.state}: results can be made public once the study is closed."
            )
        before = PublicLink.objects.filter(study=study).first()
        link, _ = PublicLink.objects.update_or_create(study=study, defaults={"gives_bundle": gives_bundle})
        words = {None: "off", False: "results", True: "results and bundle"}
        changes = changes_between(
            {"Public link": words[before.gives_bundle if before else None]}, {"Public link": words[gives_bundle]}
        )
        if changes:
            sentence = "Let anybody with the public link read the results."
            event_record(study=study, about=About.SHARING, sentence=sentence, changes=changes)
    return link


def public_link_close(*, study: Study) -> None:
    """End the public link for good: a later one has another address."""
    with transaction.atomic():
        deleted, _ = PublicLink.objects.filter(study=study).delete()
        if deleted:
            event_record(study=study, about=About.SHARING, sentence="Switched the public link off.")


def _names(study: Study) -> list[str]:
    return list(study.shared_with.order_by("username").values_list("username", flat=True))
