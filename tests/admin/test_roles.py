"""Every address of a study's pages, for every role: a new address without a line here fails."""

from typing import NamedTuple

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from studies.models import AccountRole, Origin, Researcher, Study, StudyState
from studies.services.sharing import study_share
from studies.services.studies import ConditionSpec, study_close
from tests.factories import make_photo_set, make_researcher, make_session, make_small_study

pytestmark = pytest.mark.django_db

READ, ANSWER, OWN, OWN_POST, ANYBODY, MAKE = "read", "answer", "own", "own_post", "anybody", "make"
"""Who may do what at an address.

READ: whoever may read the study may GET, and POST is refused. ANSWER: likewise, and owners POST. OWN: owners alone.
OWN_POST: owners alone, by POST only. ANYBODY: every account. MAKE: every account but viewers.
"""

WHO: dict[str, tuple[str, tuple[str, ...]]] = {
    "add": (MAKE, ()),
    "bundle": (ANSWER, ()),
    "bundle_progress": (READ, ()),
    "change": (READ, ()),
    "changelist": (ANYBODY, ()),
    "check": (OWN, ()),
    "clone": (OWN, ()),
    "close": (OWN, ()),
    "conditions": (ANSWER, ()),
    "delete": (OWN, ()),
    "design": (READ, ()),
    "events": (READ, ()),
    "figure": (READ, ("fool-rates", "svg")),
    "figures": (READ, ()),
    "history": (READ, ()),
    "live": (ANSWER, ()),
    "live_parts": (READ, ()),
    "live_rates": (READ, ()),
    "import": (MAKE, ()),
    "link_close": (OWN_POST, ()),
    "link_open": (OWN_POST, ()),
    "open": (OWN, ()),
    "pause": (OWN, ()),
    "photos": (OWN, ()),
    "picture": (READ, ("diffusion", "1")),
    "pictures": (ANSWER, ("diffusion",)),
    "pictures_discard": (OWN_POST, ("diffusion",)),
    "pictures_inputs": (READ, ("diffusion",)),
    "pictures_progress": (READ, ("diffusion",)),
    "pictures_take": (OWN_POST, ("diffusion",)),
    "plan": (ANSWER, ()),
    "plan_answer": (READ, ()),
    "planner": (ANYBODY, ()),
    "planner_answer": (ANYBODY, ()),
    "prepare": (OWN_POST, ()),
    "preset": (OWN_POST, ()),
    "preview": (OWN, ()),
    "progress": (READ, ()),
    "protocol": (ANSWER, ()),
    "recruitment": (OWN, ()),
    "reopen": (OWN, ()),
    "responses": (READ, ()),
    "results": (READ, ()),
    "resume": (OWN_POST, ()),
    "samples": (READ, ()),
    "section": (READ, ("differences", "csv")),
    "sharing": (OWN, ()),
    "table": (READ, ("csv",)),
    "trial": (OWN, ()),
}

JOBS = {f"studies_{name}" for name in ("jobs", "jobs_progress", "job", "job_progress", "job_act")}
OF_NO_STUDY = {"written", "plan_curve", "plan_check"} | JOBS
"""What pages ask for while something is typed or waited for, and the jobs; each is tested with its page."""


class Actor(NamedTuple):
    """Somebody with an account."""

    name: str
    role: AccountRole
    is_superuser: bool = False
    is_owner: bool = False
    is_shared: bool = False

    @property
    def reads(self) -> bool:
        return self.owns or self.is_shared or self.is_owner

    @property
    def owns(self) -> bool:
        if self.is_superuser or self.role == AccountRole.MANAGER:
            return True
        return self.is_owner and self.role != AccountRole.VIEWER


ACTORS = (
    Actor("owner", AccountRole.RESEARCHER, is_owner=True),
    Actor("owner who became a viewer", AccountRole.VIEWER, is_owner=True),
    Actor("other researcher", AccountRole.RESEARCHER),
    Actor("researcher it is shared with", AccountRole.RESEARCHER, is_shared=True),
    Actor("other viewer", AccountRole.VIEWER),
    Actor("viewer it is shared with", AccountRole.VIEWER, is_shared=True),
    Actor("lab manager", AccountRole.MANAGER),
    Actor("superuser", AccountRole.RESEARCHER, is_superuser=True),
)


def client_of(researcher: Researcher) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(researcher)
    return client


def status_of(client: Client, path: str) -> int:
    """Return how a GET is answered, its body read to the end."""
    response = client.get(path)
    if response.streaming:
        b"".join(response.streaming_content)  # type: ignore[attr-defined] # it streams
        for close in response._resource_closers:  # type: ignore[attr-defined] # closing the response would close the test's database too
            close()
    return response.status_code


def address(name: str, study: Study, *rest: str) -> str:
    arguments = [] if WHO[name][0] in (ANYBODY, MAKE) else [study.pk, *rest]
    return reverse(f"admin:studies_study_{name}", args=arguments)


def test_every_address_of_a_study_has_a_line() -> None:
    names = {pattern.name for pattern in admin.site._registry[Study].get_urls() if pattern.name}
    assert {name.removeprefix("studies_study_") for name in names} == set(WHO) | OF_NO_STUDY


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
def test_each_address_lets_in_whom_it_should(actor: Actor) -> None:
    researcher = make_researcher(role=actor.role, is_superuser=actor.is_superuser)
    conditions = (ConditionSpec("bicubic"), ConditionSpec("uploaded", label="Diffusion"))
    study = make_small_study(
        owner=researcher if actor.is_owner else make_researcher(), state=StudyState.DRAFT, conditions=conditions
    )
    study_share(study=study, researchers=[researcher] if actor.is_shared else [])
    client, before, log = client_of(researcher), Study.objects.values().get(), study.events.count()
    for name, (kind, rest) in WHO.items():
        path = address(name, study, *rest)
        got = status_of(client, path)
        if kind in (ANYBODY, MAKE):
            refused = kind == MAKE and actor.role == AccountRole.VIEWER
            assert got == (403 if refused else 200), name
            continue
        if not actor.reads:
            assert got in (404, 405), name
            if kind != READ:
                assert client.post(path).status_code in (404, 405), name
            continue
        if kind == OWN_POST:
            assert got == 405 or (got == 403 and not actor.owns), name
        elif kind == OWN and not actor.owns:
            assert got == 403, name
        else:
            assert got in (200, 302) or (name in ("figure", "section", "samples", "picture") and got == 404), name
        if not actor.owns:
            assert client.post(path).status_code in (403, 405), name
        elif kind == ANSWER:
            assert client.post(path).status_code in (200, 302, 422), name
    if not actor.owns:
        assert (Study.objects.values().get(), study.events.count()) == (before, log)


def test_without_an_account_every_address_leads_to_the_login() -> None:
    study = make_small_study(state=StudyState.DRAFT)
    for name, (_, rest) in WHO.items():
        response = Client().get(address(name, study, *rest))
        assert response.status_code == 302, name
        assert response.headers["Location"].startswith(reverse("admin:login"))


def test_whoever_only_reads_sees_no_button_that_changes_anything_and_no_code() -> None:
    viewer = make_researcher(role=AccountRole.VIEWER)
    study = make_small_study()
    study_share(study=study, researchers=[viewer])
    client = client_of(viewer)
    page = client.get(address("change", study)).content.decode()
    assert page.count("<form") == 1  # signing out
    for name in ("clone", "pause", "close", "recruitment", "sharing", "preview"):
        assert f"/{name}/" not in page
    assert study.code not in page
    thumbnail = reverse("admin:studies_photo_high_res", args=[study.photo_set.photos.earliest("pk").pk])
    assert thumbnail in page
    assert client.get(thumbnail).status_code == 200
    photo_set = client.get(reverse("admin:studies_photoset_change", args=[study.photo_set_id])).content.decode()
    assert "/upload/" not in photo_set
    assert client.post(reverse("admin:studies_photoset_upload", args=[study.photo_set_id])).status_code == 403


def test_whoever_only_reads_cannot_look_while_the_study_runs() -> None:
    reader = make_researcher()
    study = make_small_study()
    make_session(study)
    study_share(study=study, researchers=[reader])
    client = client_of(reader)
    for name, rest in (("table", ("csv",)), ("responses", ()), ("figure", ("fool-rates", "svg"))):
        page = client.get(address(name, study, *rest), follow=True).content.decode()
        assert "those it is shared with see results once it is closed" in page
    assert "Show live results" not in client.get(address("results", study)).content.decode()
    assert not study.looks.exists()
    study_close(study=study)
    assert client.get(address("table", study, "csv")).status_code == 200


def test_codes_of_the_recruitment_stay_with_owners() -> None:
    from studies.models import Recruitment
    from studies.services.recruitment import recruitment_change

    viewer = make_researcher(role=AccountRole.VIEWER)
    study = make_small_study(state=StudyState.DRAFT)
    study_share(study=study, researchers=[viewer])
    recruitment_change(recruitment=Recruitment(study=study, exits={"completed": "SECRET1"}))
    for name in ("history", "events"):
        seen = {}
        for who in (viewer, study.owner):
            response = client_of(who).get(address(name, study))
            text = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined] # it streams
            seen[who.pk] = "SECRET1" in text.decode()
            assert "Changed the recruitment." in text.decode()
        assert seen == {viewer.pk: False, study.owner_id: True}


def test_sharing_is_saved_by_the_owner_and_recorded() -> None:
    reader = make_researcher()
    study = make_small_study(state=StudyState.DRAFT)
    page = client_of(study.owner).post(address("sharing", study), {"shared_with": [reader.pk]}, follow=True)
    assert "Who may read the study is saved." in page.content.decode()
    assert list(study.shared_with.all()) == [reader]
    (event,) = study.events.filter(about="sharing")
    assert event.changed == [("Shared with", [], [reader.username])]
    names = client_of(reader).get(reverse("admin:studies_study_changelist")).content.decode()
    assert study.title in names


def test_managers_work_with_the_photos_and_studies_of_all() -> None:
    manager = make_researcher(role=AccountRole.MANAGER)
    photo_set, study = make_photo_set(photos=1), make_small_study()
    client = client_of(manager)
    assert str(photo_set) in client.get(reverse("admin:studies_study_add")).content.decode()
    client.post(address("pause", study))
    study.refresh_from_db()
    assert study.state == StudyState.PAUSED
    assert study.events.latest("pk").who == manager.username
    assert client.get(reverse("admin:studies_researcher_changelist")).status_code == 403


def test_roles_are_given_by_a_command_or_by_a_superuser(capsys: pytest.CaptureFixture[str]) -> None:
    researcher = make_researcher()
    call_command("set_role", researcher.username, "viewer")
    assert capsys.readouterr().out == f"“{researcher.username}” is a viewer now.\n"
    researcher.refresh_from_db()
    assert researcher.only_reads
    with pytest.raises(CommandError, match="There is no account “nobody”; there are: "):
        call_command("set_role", "nobody", "viewer")
    boss = client_of(make_researcher(is_superuser=True))
    form = boss.get(reverse("admin:studies_researcher_change", args=[researcher.pk])).content.decode()
    assert "lab manager: everybody" in form
    assert "/auth/group/" not in boss.get(reverse("admin:index")).content.decode()


def test_simulated_votes_of_a_running_study_are_no_secret_to_readers() -> None:
    reader, study = make_researcher(), make_small_study()
    make_session(study, origin=Origin.SIMULATED)
    study_share(study=study, researchers=[reader])
    assert client_of(reader).get(address("table", study, "csv")).status_code == 200
