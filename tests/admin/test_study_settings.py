"""A researcher makes a study: preset, conditions, protocol; and cannot change it any more once it is no draft."""

import dataclasses
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from studies.forms import ProtocolForm
from studies.markdown import markdown_to_html
from studies.models import Researcher, Study, StudyState
from studies.protocols import PRESETS
from studies.selectors.studies import study_problems
from studies.statistics.quality import RULE_PRESETS
from tests.factories import make_photo_set, make_picture, make_researcher, make_study, png_bytes

pytestmark = pytest.mark.django_db


def address(name: str, study: Study) -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk])


def create(client: Client, **fields: Any) -> Any:
    """Send the form of a new study."""
    sizes = {"high_res_size": 32, "low_res_size": 8, "cropping": "centre"}
    given = {"title": "Rooms", "slug": "rooms", "seed": 3} | sizes | fields
    return client.post(reverse("admin:studies_study_add"), given)


def conditions_form(*rows: dict[str, Any]) -> dict[str, Any]:
    """Fill in the form of the conditions."""
    fields: dict[str, Any] = {"conditions-TOTAL_FORMS": len(rows), "conditions-INITIAL_FORMS": 0}
    for i, row in enumerate(rows):
        given = {"role": "test", "label": "", "bank": "", "ORDER": i + 1} | row
        fields |= {f"conditions-{i}-{name}": value for name, value in given.items()}
    return fields


def protocol_form(study: Study, **changes: Any) -> dict[str, Any]:
    """Fill in the form of the protocol as a browser does, which ends lines in its own way."""
    values = {name: getattr(study, name) for name in ProtocolForm.Meta.fields} | changes
    return {name: value.replace("\n", "\r\n") if isinstance(value, str) else value for name, value in values.items()}


# --- A new study ----------------------------------------------------------------------------------------------------


def test_new_study_is_a_draft_of_the_founding_protocol_and_goes_on_with_its_photos(
    client: Client, researcher: Researcher
) -> None:
    photo_set = make_photo_set(owner=researcher, photos=1)
    response = create(client, photo_set=photo_set.pk)
    study = Study.objects.get()
    assert response.headers["Location"] == address("photos", study)
    assert (study.owner, study.state, study.preset, study.seed) == (researcher, "draft", "founding", 3)
    assert list(study.conditions.values_list("method", flat=True)) == [
        "bicubic",
        "regression",
        *["pixel_recursive"] * 3,
    ]


def test_protocol_page_shows_where_each_preset_comes_from(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    text = client.get(address("protocol", study)).content.decode()
    for preset in PRESETS.values():
        assert preset.label in text
    assert "arXiv 1702.00783" in text


def test_form_takes_the_set_that_a_link_names(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=1)
    text = client.get(reverse("admin:studies_study_add"), {"photo_set": photo_set.pk}).content.decode()
    assert f'<option value="{photo_set.pk}" selected>' in text


def test_photos_come_from_one_place(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=1)
    assert "Choose a set that is here, or upload photos" in create(client).content.decode()
    upload = SimpleUploadedFile("new.png", png_bytes(make_picture()))
    both = create(client, photo_set=photo_set.pk, photos=upload).content.decode()
    assert "take one of the two" in both
    assert not Study.objects.exists()


def test_sizes_of_new_photos_must_go_together(client: Client, researcher: Researcher) -> None:
    upload = SimpleUploadedFile("new.png", png_bytes(make_picture()))
    text = create(client, photos=upload, high_res_size=32, low_res_size=7).content.decode()
    assert "7 px do not go into 32 px a whole number of times; take 2, 4, 8, 16" in text
    assert not researcher.photo_sets.exists()


def test_taken_short_name_is_refused(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    response = create(client, photo_set=study.photo_set_id, slug=study.slug)
    assert "Another study has this short name" in response.content.decode()
    assert Study.objects.count() == 1


def test_photos_of_others_are_no_choice(client: Client, researcher: Researcher) -> None:
    make_photo_set(owner=researcher, photos=1)
    foreign = make_photo_set(owner=make_researcher(), photos=1)
    response = create(client, photo_set=foreign.pk)
    assert "Select a valid choice" in response.content.decode()
    assert not Study.objects.exists()


# --- Conditions -----------------------------------------------------------------------------------------------------


def test_conditions_are_replaced_in_the_order_given(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    form = conditions_form(
        {"method": "pixel_recursive", "pixel_recursive__tau": "1.3", "ORDER": 2},
        {"method": "bicubic", "role": "golden", "ORDER": 1},
        {"method": "bicubic", "label": "Left out", "DELETE": "on"},
    )
    response = client.post(address("conditions", study), form)
    assert response.headers["Location"] == address("change", study)
    assert list(study.conditions.values_list("label", "role")) == [
        ("Bicubic", "golden"),
        ("Pixel recursive, tau 1.3", "test"),
    ]
    assert study.conditions.get(method="pixel_recursive").parameters == {
        "tau": 1.3,
        "checkpoint": "small",
    }


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"method": "pixel_recursive", "pixel_recursive__tau": "-1"}, "tau of Pixel recursive must lie between"),
        ({"method": "pixel_recursive", "pixel_recursive__tau": "warm"}, "Enter a number"),
        ({"method": "nearest_neighbour"}, "searches a bank of training photos; choose one"),
        ({"method": "guesswork"}, "Select a valid choice"),
    ],
)
def test_condition_that_cannot_be_is_refused_at_its_field(
    client: Client, researcher: Researcher, row: dict[str, str], sentence: str
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    before = list(study.conditions.values_list("pk", flat=True))
    response = client.post(address("conditions", study), conditions_form(row))
    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert list(study.conditions.values_list("pk", flat=True)) == before


def test_two_conditions_of_one_name_are_refused(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    response = client.post(address("conditions", study), conditions_form({"method": "bicubic"}, {"method": "bicubic"}))
    assert "Two conditions are called “Bicubic”" in response.content.decode()
    assert study.conditions.count() == 3


def test_editor_offers_every_parameter_with_its_range(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    text = client.get(address("conditions", study)).content.decode()
    assert 'name="conditions-0-pixel_recursive__tau"' in text
    assert "0.1 to 100" in text
    assert 'name="conditions-__prefix__-method"' in text  # what “Add a condition” copies


# --- Protocol -------------------------------------------------------------------------------------------------------


def test_protocol_is_saved_and_its_texts_keep_the_right_numbers(client: Client, researcher: Researcher) -> None:
    photo_set = make_photo_set(owner=researcher, photos=1)
    create(client, photo_set=photo_set.pk)
    study = Study.objects.get()
    form = protocol_form(study, practice_count=3, test_count=20, golden_count=2, exposure_ms=500)
    client.post(address("protocol", study), form)
    study.refresh_from_db()
    assert (study.practice_count, study.test_count, study.exposure_ms) == (3, 20, 500)
    assert "First come 3 pairs for practice" in study.instructions_text
    assert "Then come 22 pairs that count" in study.instructions_text
    assert "It takes about 2 minutes" in study.consent_text
    assert "\r" not in study.consent_text


def test_own_texts_stay_as_they_were_written(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    client.post(address("protocol", study), protocol_form(study, consent_text="Mine.\n\nEnd.", practice_count=1))
    study.refresh_from_db()
    assert (study.consent_text, study.practice_count) == ("Mine.\n\nEnd.", 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"golden_count": 50, "test_count": 4}, "There are 50 golden pairs but only 4 test pairs"),
        ({"golden_count": 1, "golden_misses_allowed": 2}, "no more than 1 can be missed"),
        ({"exposure_ms": 1}, "is too short for a browser"),
        ({"question": ""}, "This field is required"),
        ({"equivalence_margin": 0.4}, "less than or equal to 0.25"),
        ({"reference_condition": "bicubic"}, "bicubic is not one of the available choices"),
        (
            {"comparison_family": "all_pairs", "reference_condition": "smooth"},
            "All pairs are compared, so there is no reference",
        ),
    ],
)
def test_setting_that_cannot_be_is_refused_at_its_field(
    client: Client, researcher: Researcher, changes: dict[str, Any], sentence: str
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    response = client.post(address("protocol", study), protocol_form(study, **changes))
    assert response.status_code == 200
    assert sentence in response.content.decode()


def test_reference_is_chosen_among_the_tested_conditions_and_missed_when_it_goes(
    client: Client, researcher: Researcher
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    page = client.get(address("protocol", study)).content.decode()
    assert "the first tested: Nearest neighbour" in page
    client.post(address("protocol", study), protocol_form(study, reference_condition="smooth"))
    study.refresh_from_db()
    assert study.reference_condition == "smooth"
    study.conditions.filter(slug="smooth").update(slug="other", label="Other")
    assert "The reference “smooth” is no tested condition; choose one of nearest-neighbour, other" in " ".join(
        study_problems(study)
    )
    assert "smooth, no longer tested" in client.get(address("protocol", study)).content.decode()


def test_change_stands_in_the_history_with_both_values(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    client.post(address("protocol", study), protocol_form(study, gap_ms=700))
    history = " ".join(client.get(address("history", study)).content.decode().split())
    assert "Changed the protocol." in history
    assert "Gap, ms: <del>600</del> → <ins>700</ins>" in history


# --- No draft any more ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [StudyState.READY, StudyState.OPEN, StudyState.PAUSED, StudyState.CLOSED])
def test_study_that_is_no_draft_refuses_every_change(client: Client, researcher: Researcher, state: StudyState) -> None:
    study = make_study(owner=researcher, state=state)
    conditions, design = list(study.conditions.values()), study.design
    for name, form, button in (
        ("protocol", protocol_form(study, exposure_ms=50), "Save the protocol"),
        ("conditions", conditions_form({"method": "bicubic"}), "Save conditions"),
    ):
        text = client.post(address(name, study), form, follow=True).content.decode()
        assert ("make a new study" if study.is_frozen else "take it back to draft") in text
        page = client.get(address(name, study)).content.decode()
        assert button not in page
    assert client.post(address("delete", study), {"post": "yes"}).status_code == 403
    study.refresh_from_db()
    assert (study.exposure_ms, study.design) == (1000, design)
    assert list(study.conditions.values()) == conditions


def test_draft_can_be_deleted(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    client.post(address("delete", study), {"post": "yes"})
    assert not Study.objects.exists()


# --- Rules that leave sessions out ----------------------------------------------------------------------------------


def test_figures_of_the_rules_stand_beside_them_and_follow_what_is_typed(
    client: Client, researcher: Researcher
) -> None:
    study = make_study(
        owner=researcher, state=StudyState.DRAFT, practice_count=10, test_count=40, golden_count=5, spare_photos=0
    )
    page = client.get(address("protocol", study)).content.decode()
    for words in (
        "out at 1 of 5 missed",
        "<strong>3.1 %</strong>",
        "<strong>9.6 %</strong>",
        "<strong>22.6 %</strong>",
    ):
        assert words in page
    robust = dataclasses.asdict(RULE_PRESETS["robust"].rules)
    typed = {"practice_count": 10, "practice_pass": 0, "test_count": 40, "golden_count": 8} | robust
    text = client.get(address("figures", study), typed).content.decode()
    for words in ("out at 2 of 8 missed", "<strong>3.5 %</strong>", "out at 15 in a row", "<strong>0.11 %</strong>"):
        assert words in text
    assert "marked below 6 of the last 10" in text
    assert "sent back" not in text
    text = client.get(address("figures", study), typed | {"practice_pass": 8}).content.decode()
    reported = typed | {"left_page_limit": 3, "missed_limit": 9}
    text = client.get(address("figures", study), reported).content.decode()
    for words in ("out at 3 departures from the page", "out at 9 pairs that missed", "only a pilot tells"):
        assert words in text
    text = client.get(address("figures", study), typed | {"practice_pass": 8}).content.decode()
    for words in ("sent back below 8 of 10 right, twice", "<strong>10.6 %</strong>", "<strong>10.4 %</strong>"):
        assert words in text
    study.refresh_from_db()
    assert study.run_limit == 0  # nothing is saved
    text = client.get(address("figures", study), typed | {"golden_count": 60}).content.decode()
    assert "No figures for these numbers: There are 60 golden pairs but only 40 test pairs; have fewer." in text
    nothing = typed | dict.fromkeys(typed, 0) | {"test_count": 40, "fast_share": 0.2}
    assert "No rule is on" in client.get(address("figures", study), nothing).content.decode()


def test_text_is_previewed_by_the_renderer_that_raters_get_and_not_saved(
    client: Client, researcher: Researcher
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    assert client.get(address("protocol", study)).content.decode().count("data-written=") == 3
    where = reverse("admin:studies_study_written")
    text = "# Your part\n\nLook **twice**.\n\n<script>alert(1)</script> ![x](https://a.b/c.png) [x](javascript:x)"
    shown = client.post(where, {"text": text}).content.decode().strip()
    assert shown == markdown_to_html(text, heading="h3").strip()
    assert "<h3>Your part</h3>" in shown
    assert "<strong>twice</strong>" in shown
    assert not re.search(r"<script|<img|javascript:x\"", shown)
    assert "Nothing is written yet" in client.post(where, {"text": " \n"}).content.decode()
    assert client.get(where).status_code == 405
    before = study.consent_text
    study.refresh_from_db()
    assert study.consent_text == before


def test_nobody_previews_without_an_account_or_from_another_site() -> None:
    where = reverse("admin:studies_study_written")
    assert Client().post(where, {"text": "x"}).status_code == 302
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(make_researcher())
    assert guarded.post(where, {"text": "x"}).status_code == 403


def test_figures_of_a_foreign_study_are_not_shown(client: Client) -> None:
    assert client.get(address("figures", make_study(state=StudyState.DRAFT))).status_code in (302, 403, 404)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"run_limit": 1}, "Every answer is a row of one"),
        ({"run_limit": 9}, "After practice come 5 pairs, so no row is as long as 9"),
        ({"side_bias_p": 0.001}, "even a rater who takes one side always has p = 0.062"),
        ({"practice_least": 6}, "looks at the last 10 practice pairs, but there are 2"),
        ({"automated_limit": 6}, "After practice come 5 pairs, so that 6 cannot be reached"),
        (
            {"missed_limit": 2, "exposure_ms": 0, "layout": "simultaneous"},
            "Images that stay until the answer cannot miss their exposure",
        ),
        ({"practice_pass": 3}, "Of 2 practice pairs, no more than 2 can be right"),
        ({"practice_least": 11, "practice_count": 10}, "less than or equal to 10"),
        ({"fast_share": 20}, "less than or equal to 1"),
        ({"fast_ms": 100_000}, "less than or equal to 5000"),
    ],
)
def test_rule_that_cannot_work_is_refused_at_its_field(
    client: Client, researcher: Researcher, changes: dict[str, Any], sentence: str
) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    response = client.post(address("protocol", study), protocol_form(study, **changes))
    assert sentence in response.content.decode()


def test_rules_are_saved_and_shown_where_the_study_is_opened(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    client.post(address("protocol", study), protocol_form(study, run_limit=4, fast_ms=250, median_ms_least=300))
    study.refresh_from_db()
    assert (study.run_limit, study.fast_ms, study.median_ms_least) == (4, 250, 300)
    assert study.quality_rules.run_limit == 4
    ready = make_study(owner=researcher, state=StudyState.READY, run_limit=4)
    assert "out at 4 in a row on one side" in client.get(address("open", ready)).content.decode()
    frozen = client.get(address("protocol", make_study(owner=researcher, run_limit=4))).content.decode()
    assert "out at 4 in a row on one side" in frozen
    assert "data-rules" not in frozen
