"""A design that travels makes the same study elsewhere; a clone makes one like it here."""

import io
import json
import secrets
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from studies.errors import DesignInvalid
from studies.models import (
    PanelEntry,
    PhotoSet,
    RatingSession,
    Recruitment,
    Researcher,
    Sample,
    Study,
    StudySetup,
    StudyState,
    UploadedPicture,
)
from studies.selectors.photos import photo_stems
from studies.selectors.pictures import picture_read
from studies.selectors.studies import design_get, design_json
from studies.services.designs import design_import, study_clone
from studies.services.sessions import session_start
from studies.services.studies import ConditionSpec, conditions_replace
from tests.factories import (
    make_photo_set,
    make_picture,
    make_researcher,
    make_session,
    make_small_study,
    make_study,
    png_bytes,
)

pytestmark = pytest.mark.django_db


class Site:
    """A researcher at their browser and their command line."""

    def __init__(self, researcher: Researcher) -> None:
        self.researcher = researcher
        self.client = Client()
        self.client.force_login(researcher)

    def step(self, study: Study, name: str, **files: Any) -> None:
        response = self.client.post(reverse(f"admin:studies_study_{name}", args=[study.pk]), files)
        assert response.status_code == 302

    def upload(self, study: Study, outputs: dict[str, bytes]) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in outputs.items():
                archive.writestr(name, data)
        args = [study.pk, "gan"]
        file = SimpleUploadedFile("outputs.zip", packed.getvalue())
        self.client.post(reverse("admin:studies_study_pictures", args=args), {"pictures": [file]})
        self.client.post(reverse("admin:studies_study_pictures_take", args=args))

    def exported(self, study: Study) -> bytes:
        content: bytes = self.client.get(reverse("admin:studies_study_design", args=[study.pk])).content
        return content


def plans(study: Study, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[Any, ...]]]:
    """Return what six raters would see, each with a known seed."""
    seeds = count(1)
    monkeypatch.setattr(secrets, "randbits", lambda _bits: next(seeds))
    sessions = [session_start(study=study) for _ in range(6)]
    shown = (
        "kind",
        "photo_side",
        "pair__sample__photo__sha256",
        "pair__sample__condition__slug",
        "pair__sample__sha256",
    )
    return [list(session.trials.order_by("position").values_list(*shown)) for session in sessions]


def files_of(photo_set: PhotoSet) -> dict[str, bytes]:
    return {photo.name: png_bytes(picture_read(photo.high_res)) for photo in photo_set.photos.all()}


def folder_of(path: Path, files: dict[str, bytes]) -> str:
    """Write files so that they come in another order than before, with one more."""
    path.mkdir()
    for i, (_name, data) in enumerate(reversed(files.items())):
        (path / f"{i:03}.png").write_bytes(data)
    return str(path)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("preset", ["founding", "founding_mixed"])
def test_design_imported_into_an_empty_site_is_the_same_study(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Site(make_researcher())
    study = make_study(owner=here.researcher, state=StudyState.DRAFT, preset=preset, seed=5, run_limit=4, gap_ms=650)
    bank = study.conditions.get(method="nearest_neighbour").bank
    assert bank is not None
    gan, nearest = ConditionSpec("uploaded", label="GAN"), ConditionSpec("nearest_neighbour", bank=bank)
    conditions_replace(study=study, conditions=[nearest, ConditionSpec("bicubic"), gan])
    conditions_replace(study=study, conditions=[gan, ConditionSpec("bicubic"), nearest])  # keys in another order
    stems = photo_stems(study.photo_set.photos.order_by("pk"))
    made = {pk: png_bytes(make_picture(seed=i)) for i, pk in enumerate(stems)}
    here.upload(study, {f"{stems[pk]}.png": data for pk, data in made.items()})
    by_photo = {photo.sha256: made[photo.pk] for photo in study.photo_set.photos.all()}
    here.step(study, "prepare")
    here.step(study, "open")
    study.refresh_from_db()
    design, judged, searched = here.exported(study), files_of(study.photo_set), files_of(bank)
    planned = plans(study, monkeypatch)
    call_command("flush", interactive=False, verbosity=0)
    assert not Study.objects.exists()

    there = Site(make_researcher())
    name = there.researcher.username
    spare = {"more.png": png_bytes(make_picture(seed=77))}
    for set_name, files in (("Judged", judged | spare), ("Bank", searched)):
        call_command("import_photos", folder_of(tmp_path / set_name, files), set=set_name, owner=name, verbosity=0)
    photo_set = PhotoSet.objects.get(name="Judged")
    sent = {"design": SimpleUploadedFile("design.json", design), "photo_set": photo_set.pk, "bank": "", "slug": ""}
    assert there.client.post(reverse("admin:studies_study_import"), sent).status_code == 302
    again = Study.objects.get()
    assert again.state == StudyState.DRAFT
    stems = photo_stems(photo_set.photos.all())
    uploads = {f"{stems[p.pk]}.png": by_photo[p.sha256] for p in photo_set.photos.all() if p.sha256 in by_photo}
    there.upload(again, uploads)
    there.step(again, "prepare")
    assert (
        "The same as of the imported design"
        in there.client.get(reverse("admin:studies_study_open", args=[again.pk])).content.decode()
    )
    there.step(again, "open")
    again.refresh_from_db()
    assert again.design_sha256 == study.design_sha256
    assert there.exported(again) == design
    assert plans(again, monkeypatch) == planned
    page = there.client.get(reverse("admin:studies_study_change", args=[again.pk])).content.decode()
    assert "The very same study." in page


def changed(*path: str | int, to: object) -> Callable[[dict[str, Any]], object]:
    """Return what sets one value of a design."""

    def change(design: dict[str, Any]) -> None:
        place: Any = design
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed("schema", to=2), "In the design, schema is 2: this version reads 1; take the version"),
        (changed("surprise", to=1), "The design has “surprise”, which this version does not know"),
        (lambda design: design.pop("photos"), "The design lacks “photos”"),
        (changed("photos", to={}), "photos is {}: it must be a list."),
        (changed("seed", to=True), "seed is true: it must be a whole number."),
        (changed("title", to=""), 'title is "": This field cannot be blank.'),
        (changed("title", to="a\0b"), "it must be a text or a number"),
        (
            changed("protocol", "gap_ms", to=99_999),
            "gap_ms is 99999: Ensure this value is less than or equal to 10000.",
        ),
        (changed("protocol", "gap_ms", to="600"), 'protocol.gap_ms is "600": this version would make it 600;'),
        (changed("protocol", "owner_id", to=1), "Protocol has “owner_id”, which this version does not know"),
        (changed("protocol", "layout", to="round"), "layout is \"round\": Value 'round' is not a valid choice."),
        (
            changed("exclusions", "incomplete", to=False),
            "exclusions.incomplete is false: this version would make it true",
        ),
        (changed("analysis", "alpha", to=0.1), "analysis.alpha is 0.1: this version would make it 0.05"),
        (
            changed("pictures", "high_res_size", to=64),
            "pictures.high_res_size is 64: the set “Judged” has 32; name another.",
        ),
        (changed("pictures", "downsampling", to="box"), 'pictures.downsampling is "box"'),
        (changed("photos", 0, "sha256", to="0" * 64), "The set “Judged” lacks 1 of the 4 photos of the design"),
        (changed("photos", 0, "use", to="fun"), 'use of photo 1 is "fun": choose one of practice, main.'),
        (changed("photos", 0, to=[]), "photo 1 is []: it must have a SHA-256 and a use."),
        (changed("conditions", 0, "method", to="magic"), "There is no method 'magic'; choose one of"),
        (changed("conditions", 0, "parameters", to={"tau": 1}), "Bicubic has no parameter 'tau'"),
        (changed("conditions", 0, "role", to="star"), 'role of condition 1 is "star": choose one of test, golden'),
        (
            changed("conditions", 1, "slug", to="else"),
            'conditions 2.slug is "else": this version would make it "smooth"',
        ),
        (changed("conditions", 0, to=3), "condition 1 is 3: it must be an object with named values."),
        (changed("conditions", 1, "digest", to=7), "digest of condition 2 is 7: it must be a text"),
    ],
)
def test_design_that_cannot_be_made_is_refused_with_the_value_and_nothing_is_made(
    change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    study = make_small_study(state=StudyState.READY)
    PhotoSet.objects.filter(pk=study.photo_set_id).update(name="Judged")
    design = json.loads(design_json(study))
    change(design)
    with pytest.raises(DesignInvalid) as caught:
        design_import(
            data=json.dumps(design).encode(),
            owner=study.owner,
            photo_set=PhotoSet.objects.get(pk=study.photo_set_id),
            slug="again",
        )
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Study.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is no JSON in UTF-8"),
        (b"\xff\xfe", "The file is no JSON in UTF-8"),
        (b"[1]", "The file is JSON, but no design"),
        (b"[" * 100_000, "The file is no JSON in UTF-8"),
        (b'{"schema": 1, "schema": 1}', "“schema” twice in one place"),
        (b'{"schema": NaN}', "NaN, which is no number"),
        (b'{"schema": 1, "title": "\\ud800"}', "The file is no JSON in UTF-8"),
        (b"1" * 5_000, "The file is no JSON in UTF-8"),
        (b" " * 20_000_001, "The file has 20 MB, of at most 20"),
    ],
)
def test_file_that_is_no_design_is_refused(data: bytes, sentence: str) -> None:
    photo_set = make_photo_set(photos=0)
    with pytest.raises(DesignInvalid, match=sentence):
        design_import(data=data, owner=photo_set.owner, photo_set=photo_set)


def test_bank_and_checkpoint_of_the_same_name_but_another_content_are_refused() -> None:
    study = make_study()
    design = design_json(study).encode()
    other = make_photo_set(owner=study.owner, name="Other bank")
    with pytest.raises(
        DesignInvalid, match=r"“Nearest neighbour” searches the bank of digest .*Other bank” has another"
    ):
        design_import(data=design, owner=study.owner, photo_set=study.photo_set, bank=other, slug="again")
    stranger = make_researcher()
    with pytest.raises(DesignInvalid, match="and no photo set of yours has it: bring in the bank's photos"):
        design_import(data=design, owner=stranger, photo_set=study.photo_set, slug="again")
    changed_design = json.loads(design)
    entry = {"slug": "regression", "label": "Regression", "role": "test", "method": "regression"}
    changed_design["conditions"] = [*changed_design["conditions"][:1], entry | {"parameters": {}, "digest": "0" * 64}]
    with pytest.raises(
        DesignInvalid, match="with the checkpoint “small” of digest 000000000000, but here that name has"
    ):
        design_import(
            data=json.dumps(changed_design).encode(), owner=study.owner, photo_set=study.photo_set, slug="again"
        )


def test_design_of_a_draft_takes_the_whole_set_and_a_taken_name_needs_another() -> None:
    study = make_small_study(state=StudyState.DRAFT)
    data = design_json(study).encode()
    with pytest.raises(
        DesignInvalid, match=f"There is a study with the short name “{study.slug}” here: give another one"
    ):
        design_import(data=data, owner=study.owner, photo_set=study.photo_set)
    again = design_import(data=data, owner=study.owner, photo_set=study.photo_set, slug="again")
    assert (again.photos_fixed, again.imported_sha256) == (False, "")
    ours, theirs = design_get(again), design_get(study)
    assert ours | {"study": ""} == theirs | {"study": ""}


def test_import_is_refused_on_its_page_and_by_its_command_in_one_sentence(tmp_path: Path) -> None:
    site = Site(make_researcher())
    page = site.client.get(reverse("admin:studies_study_import")).content.decode()
    assert "First the photos" in page
    photo_set = make_photo_set(owner=site.researcher, name="Judged", photos=0)
    sent = {"design": SimpleUploadedFile("design.json", b"{}"), "photo_set": photo_set.pk}
    response = site.client.post(reverse("admin:studies_study_import"), sent)
    assert response.status_code == 422
    assert "Nothing was made. The file is JSON, but no design" in response.content.decode()
    foreign = sent | {"design": SimpleUploadedFile("design.json", b"{}"), "photo_set": make_photo_set(photos=0).pk}
    assert (
        "not one of the available choices"
        in site.client.post(reverse("admin:studies_study_import"), foreign).content.decode()
    )
    name = site.researcher.username
    (tmp_path / "design.json").write_bytes(b"{}")
    for arguments, sentence in (
        ((tmp_path / "design.json", "Judged", name), "The file is JSON, but no design"),
        ((tmp_path / "none.json", "Judged", name), "There is no file"),
        ((tmp_path / "design.json", "Other", name), "has no photo set 'Other'; there is: Judged."),
        ((tmp_path / "design.json", "Judged", "nobody"), "There is no researcher 'nobody'"),
    ):
        file, set_name, owner = arguments
        with pytest.raises(CommandError, match=sentence):
            call_command("import_design", str(file), set=set_name, owner=owner)
    study = make_small_study(owner=site.researcher, state=StudyState.READY)
    (tmp_path / "design.json").write_text(design_json(study))
    out = io.StringIO()
    options = {"set": study.photo_set.name, "owner": name, "slug": "again", "stdout": out}
    call_command("import_design", str(tmp_path / "design.json"), **options)
    assert "(again) is a draft." in out.getvalue()


def test_clone_has_every_setting_and_nothing_of_the_raters() -> None:
    study = make_study(seed=3, gap_ms=650, fast_ms=300, stopping_rule="results")
    Recruitment.objects.create(
        study=study, panel="prolific", group="rooms", exits={"completed": "C1"}, sends_failed_attention=True
    )
    StudySetup.objects.create(study=study, steps_done=["photos"], question={"goal": "half_width"}, currency="EUR")
    session = make_session(study)
    PanelEntry.objects.create(study=study, panel="prolific", participant="p1", session=session)
    site = Site(study.owner)
    address = reverse("admin:studies_study_clone", args=[study.pk])
    assert f'value="{study.slug}-2"' in site.client.get(address).content.decode()
    refused = site.client.post(address, {"title": "Again", "slug": study.slug}).content.decode()
    assert "Another study has this short name" in refused
    page = site.client.post(address, {"title": "Again", "slug": "again"}, follow=True).content.decode()
    assert f"with all the settings of “{study.slug}”, and none of its votes" in page
    clone = Study.objects.get(slug="again")
    assert (clone.state, clone.title, clone.design, clone.code != study.code) == (StudyState.DRAFT, "Again", "", True)
    ours, theirs = design_get(clone), json.loads(study.design)
    for name in ("protocol", "exclusions", "analysis", "pictures", "seed"):
        assert ours[name] == theirs[name]
    assert [c | {"digest": ""} for c in ours["conditions"]] == [c | {"digest": ""} for c in theirs["conditions"]]
    assert clone.recruitment.group == "rooms"
    assert (clone.recruitment.exits, clone.recruitment.sends_failed_attention) == ({}, False)
    assert (clone.setup.steps_done, clone.setup.question, clone.setup.currency) == ([], {"goal": "half_width"}, "EUR")
    assert not RatingSession.objects.filter(study=clone).exists()
    assert not Sample.objects.filter(condition__study=clone).exists()
    assert not clone.panel_entries.exists()
    assert study.conditions.count() == clone.conditions.count()


@pytest.mark.django_db(transaction=True)
def test_clone_has_its_own_files_of_uploaded_pictures() -> None:
    conditions = (ConditionSpec("bicubic"), ConditionSpec("uploaded", label="GAN"))
    study = make_small_study(state=StudyState.DRAFT, conditions=conditions)
    site = Site(study.owner)
    stems = photo_stems(study.photo_set.photos.all())
    site.upload(study, {f"{stem}.png": png_bytes(make_picture(seed=pk)) for pk, stem in stems.items()})
    clone = study_clone(study=study, owner=study.owner, title="Again", slug="again")
    study.delete()
    site.step(clone, "prepare")
    clone.refresh_from_db()
    assert clone.state == StudyState.READY
    assert UploadedPicture.objects.filter(condition__study=clone).count() == 4
    with pytest.raises(ValidationError, match="Study with this Slug already exists"):
        study_clone(study=clone, owner=clone.owner, title="Again", slug="again")


def test_every_key_of_a_design_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "design-schema.md").read_text(encoding="utf-8")
    design = design_get(make_small_study())
    parts = [design, *(design[name] for name in ("protocol", "exclusions", "analysis", "pictures"))]
    parts += [design[name][0] for name in ("photos", "conditions", "pairs")]
    assert [key for part in parts for key in part if f"`{key}`" not in text] == []
