"""Researchers work with their own objects; those of others do not exist for them. Accounts are for superusers."""

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, reverse

from studies.models import Photo, PhotoSet, Rater, RatingSession, Researcher, Study, StudyState, TrainingRun
from tests.factories import PASSWORD, make_photo_set, make_researcher, make_session, make_study
from tests.training import make_run

pytestmark = pytest.mark.django_db

MODELS = (Study, PhotoSet, Photo, RatingSession, Rater, TrainingRun)


def addresses_of(found: dict[type[Model], int]) -> list[str]:
    """Return every address of the admin that leads to one of these objects."""
    addresses = []
    for model, key in found.items():
        for pattern in admin.site._registry[model].get_urls():
            if not pattern.name:
                continue
            for arguments in ([key], [key, "csv"]):
                try:
                    addresses.append(reverse(f"admin:{pattern.name}", args=arguments))
                except NoReverseMatch:
                    continue
    return addresses


@pytest.fixture
def foreign() -> dict[type[Model], int]:
    """One object of each kind that belongs to somebody else."""
    study = make_study(owner=make_researcher())
    session = make_session(study)
    photo = study.photo_set.photos.first()
    assert photo is not None
    return {
        Study: study.pk,
        PhotoSet: study.photo_set_id,
        Photo: photo.pk,
        RatingSession: session.pk,
        Rater: session.rater_id,
        TrainingRun: make_run(owner=study.owner, photo_set=study.photo_set).pk,
    }


def test_objects_of_others_are_not_found_at_any_address(client: Client, foreign: dict[type[Model], int]) -> None:
    addresses = addresses_of(foreign)
    assert len(addresses) > 40
    for address in addresses:
        assert {client.get(address).status_code, client.post(address).status_code} <= {404, 405}, address
        assert 404 in (client.get(address).status_code, client.post(address).status_code), address


def test_lists_hold_only_what_one_owns(client: Client, researcher: Researcher, foreign: dict[type[Model], int]) -> None:
    own = make_study(owner=researcher)
    make_session(own)
    make_run(owner=researcher, photo_set=own.photo_set)
    for model in MODELS:
        name = model._meta.model_name
        response = client.get(reverse(f"admin:studies_{name}_changelist"))
        keys = {row.pk for row in response.context["cl"].result_list}
        assert keys
        assert foreign[model] not in keys


def test_superuser_sees_everything(foreign: dict[type[Model], int]) -> None:
    client = Client()
    client.force_login(make_researcher(is_superuser=True))
    for model, key in foreign.items():
        name = model._meta.model_name
        assert client.get(reverse(f"admin:studies_{name}_change", args=[key])).status_code == 200
        page = client.get(reverse(f"admin:studies_{name}_changelist")).content.decode()
        assert ("column-owner" in page) == (model in (Study, PhotoSet, TrainingRun))


def test_superuser_may_use_the_photos_of_others() -> None:
    client = Client()
    client.force_login(make_researcher(is_superuser=True))
    photo_set = make_photo_set(owner=make_researcher(), photos=1)
    page = client.get(reverse("admin:studies_study_add")).content.decode()
    assert str(photo_set) in page


def test_without_an_account_every_address_leads_to_the_login(foreign: dict[type[Model], int]) -> None:
    for address in addresses_of(foreign):
        response = Client().get(address)
        assert response.status_code == 302, address
        assert response.headers["Location"].startswith(reverse("admin:login"))


def test_user_who_is_no_staff_stays_outside(foreign: dict[type[Model], int]) -> None:
    client = Client()
    client.force_login(Researcher.objects.create_user("visitor"))
    assert client.get(reverse("admin:studies_study_changelist")).status_code == 302


def test_accounts_are_for_superusers(client: Client) -> None:
    assert client.get(reverse("admin:studies_researcher_changelist")).status_code == 403
    assert client.get(reverse("admin:studies_researcher_add")).status_code == 403


def test_new_account_can_work_at_once() -> None:
    boss = Client()
    boss.force_login(make_researcher(is_superuser=True))
    fields = {
        "username": "grace",
        "role": "researcher",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    boss.post(reverse("admin:studies_researcher_add"), fields)
    grace = Client()
    assert grace.login(username="grace", password=PASSWORD)
    assert grace.get(reverse("admin:studies_study_changelist")).status_code == 200
    assert grace.get(reverse("admin:studies_photoset_add")).status_code == 200
    assert boss.get(reverse("admin:studies_researcher_changelist")).status_code == 200


def test_account_may_be_edited_by_a_superuser() -> None:
    boss = Client()
    boss.force_login(make_researcher(is_superuser=True))
    other = make_researcher()
    page = boss.get(reverse("admin:studies_researcher_change", args=[other.pk])).content.decode()
    assert "Superusers do what lab managers do" in page


@pytest.mark.parametrize("model", [RatingSession, Rater])
def test_sessions_and_raters_are_only_looked_at(client: Client, researcher: Researcher, model: type) -> None:
    session = make_session(make_study(owner=researcher))
    found = session if model is RatingSession else session.rater
    name = "ratingsession" if model is RatingSession else "rater"
    page = client.get(reverse(f"admin:studies_{name}_change", args=[found.pk])).content.decode()
    assert session.code not in page  # whoever has it could answer in the rater's place
    assert session.rater.code not in page
    assert client.post(reverse(f"admin:studies_{name}_change", args=[found.pk]), {}).status_code == 403
    assert client.post(reverse(f"admin:studies_{name}_delete", args=[found.pk]), {"post": "yes"}).status_code == 403
    assert client.get(reverse(f"admin:studies_{name}_add")).status_code == 403


def test_lists_say_what_is_in_them(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.OPEN)
    make_session(study)
    page = client.get(reverse("admin:studies_study_changelist")).content.decode()
    assert 'class="rp-badge rp-badge-open"' in page
    assert '<td class="field-n_people">1</td>' in page
    page = client.get(reverse("admin:studies_photoset_changelist")).content.decode()
    assert page.count("/high-res.png") == 10  # five of the study's photos, five of its bank


def test_empty_lists_lead_on(client: Client) -> None:
    assert "No study yet" in client.get(reverse("admin:studies_study_changelist")).content.decode()
    assert "No photos yet" in client.get(reverse("admin:studies_photoset_changelist")).content.decode()


def test_index_offers_what_a_researcher_works_with(client: Client, researcher: Researcher) -> None:
    make_photo_set(owner=researcher, photos=1)
    page = client.get(reverse("admin:index")).content.decode()
    assert reverse("admin:studies_study_changelist") in page
    assert reverse("admin:studies_researcher_changelist") not in page
