"""A researcher starts a training run, follows it, and does with it what its state allows."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from studies import tasks, training
from studies.admin.training_curve import curve_draw
from studies.admin.training_page import duration_text
from studies.models import Researcher, Study, StudyState, TrainingRun, TrainingSpeed
from studies.services.studies import ConditionSpec, conditions_replace
from tests.admin.test_study_settings import conditions_form
from tests.factories import make_photo_set, make_researcher, make_study
from tests.training import CONFIG, FACTS, in_state, make_run, progress_write

pytestmark = pytest.mark.django_db

ADD = "admin:studies_trainingrun_add"
Committing = Callable[..., Any]


def address(name: str, run: TrainingRun) -> str:
    return reverse(f"admin:studies_trainingrun_{name}", args=[run.pk])


def page_of(client: Client, run: TrainingRun) -> str:
    response = client.get(address("change", run))
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture(autouse=True)
def _checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check configs in this process, which has torch already, and not in one of its own that loads it first."""
    monkeypatch.setattr(training, "_checked", lambda orders: [training._order_check(order) for order in orders])


@pytest.fixture
def entered(researcher: Researcher) -> dict[str, Any]:
    """What a researcher enters into the form."""
    photo_set = make_photo_set(owner=researcher, photos=8, name="Rooms")
    name = training.configs_list()[0].name
    config = CONFIG.format(steps=20, validate_every=10)
    return {"name": "Rooms, tiny", "photo_set": photo_set.pk, "config_name": name, "config": config, "start_from": ""}


# --- The form -------------------------------------------------------------------------------------------------------


def test_form_shows_what_every_shipped_config_is_for(client: Client, entered: dict[str, Any]) -> None:
    page = client.get(reverse(ADD)).content.decode()
    for config in training.configs_list():
        facts = training.shipped_facts()[config.name]
        assert config.about[:40] in page
        assert f"{facts.parameters:,} parameters, {facts.steps:,} steps of {facts.batch} photos" in page
    assert page.count("not measured here yet") == len(training.configs_list())
    assert "Rooms (8 → 32 px), 8 photos" in page


def test_run_is_started_from_the_form_and_trained(
    client: Client, researcher: Researcher, entered: dict[str, Any], django_capture_on_commit_callbacks: Committing
) -> None:
    with django_capture_on_commit_callbacks(execute=False) as waiting:
        response = client.post(reverse(ADD), entered)
    run = TrainingRun.objects.get()
    assert response.headers["Location"] == address("change", run)
    assert (run.owner, run.name, run.slug, run.state) == (researcher, "Rooms, tiny", "rooms-tiny", "queued")
    assert run.config == entered["config"]
    assert (run.network, run.steps, run.batch) == ("srresnet", 20, 2)
    assert len(waiting) == 1
    entry = LogEntry.objects.get(object_id=str(run.pk), user=researcher)
    assert entry.get_change_message().startswith("Made the run from the config")


@pytest.mark.django_db(transaction=True)
def test_page_of_a_finished_run_has_all_that_it_made(client: Client, researcher: Researcher) -> None:
    run = make_run(owner=researcher)
    tasks.training_enqueue(run)
    page = page_of(client, run)
    assert '<span class="rp-badge rp-badge-finished">finished</span>' in page
    assert "Finished 20 steps. Conditions of studies can choose the checkpoint “rooms-tiny”." in page
    assert "20 of 20 steps" in page
    assert "mean squared error" in page
    assert re.search(r'data-path="validation" d="M\d', page)
    (source,) = re.findall(r'<img src="([^"]+)"\s+data-source="grid"', page)
    picture = client.get(source)
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content == (run.folder / "samples.png").read_bytes()
    checkpoint = client.get(address("checkpoint", run))
    assert checkpoint.headers["Content-Disposition"] == 'attachment; filename="rooms-tiny.safetensors"'
    assert b"".join(checkpoint.streaming_content) == run.checkpoint_path.read_bytes()  # type: ignore[attr-defined] # a FileResponse has it


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"config": "[network\n"}, "cannot be read: "),
        ({"config": CONFIG.format(steps=20, validate_every=10) + "stepps = 1\n"}, "unknown key &#x27;stepps&#x27;"),
        ({"config": CONFIG.format(steps=0, validate_every=10)}, "steps must be at least 1, got 0"),
        (
            {"config": CONFIG.format(steps=20, validate_every=10).replace("factor = 4", "factor = 2")},
            "enlarges 2 times",
        ),
        ({"name": ""}, "This field is required"),
        ({"config_name": "guesswork"}, "Select a valid choice"),
        ({"start_from": "regression:nobody"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_what_was_entered_stays(
    client: Client, entered: dict[str, Any], changes: dict[str, str], sentence: str
) -> None:
    response = client.post(reverse(ADD), entered | changes)
    page = response.content.decode()
    assert response.status_code == 200
    assert "Nothing was started" in page
    assert sentence in page
    assert (entered | changes)["config"].strip().replace('"', "&quot;").splitlines()[0] in page
    assert not TrainingRun.objects.exists()


def test_photos_that_do_not_suffice_are_refused(
    client: Client, researcher: Researcher, entered: dict[str, Any]
) -> None:
    few = make_photo_set(owner=researcher, photos=1)
    page = client.post(reverse(ADD), entered | {"photo_set": few.pk}).content.decode()
    assert "has 1 photo, but one is trained on and another is held out" in page


def test_photos_of_others_are_no_choice(client: Client, entered: dict[str, Any]) -> None:
    foreign = make_photo_set(photos=2)
    page = client.post(reverse(ADD), entered | {"photo_set": foreign.pk}).content.decode()
    assert "Select a valid choice" in page


def test_check_starts_nothing_and_says_what_the_config_asks_for(client: Client, entered: dict[str, Any]) -> None:
    facts = training.config_check(entered["config"], name="mine")
    TrainingSpeed.objects.create(key=facts.speed_key, size=32, images_per_s=0.005)
    page = client.post(reverse(ADD), entered | {"check": "1"}).content.decode()
    assert "The config can be used: Regression (srresnet), 4 times, " in page
    assert "20 steps of 2 photos; about 2.2 h here." in page
    assert 'value="Rooms, tiny"' in page
    assert not TrainingRun.objects.exists()


def test_chosen_config_counts_where_its_text_was_not_changed(client: Client, entered: dict[str, Any]) -> None:
    first, *_, last = training.configs_list()
    for text in ("", first.text.replace("\n", "\r\n")):
        client.post(reverse(ADD), entered | {"config_name": last.name, "config": text})
        run = TrainingRun.objects.latest("pk")
        assert (run.config_name, run.config) == (last.name, last.text)


def test_speed_is_measured_when_asked_and_the_form_keeps_what_was_entered(
    client: Client, entered: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr("studies.tasks.speed_measure.delay", lambda *arguments: asked.append(arguments))
    page = client.post(reverse(ADD), entered | {"measure": "1"}).content.decode()
    names = [config.name for config in training.configs_list()]
    assert asked == [(name, 32) for name in names]
    assert 'data-next-ms="2000"' in page
    assert 'value="Rooms, tiny"' in page

    speeds = reverse("admin:studies_trainingrun_speeds") + "?size=32"
    assert client.get(speeds).json()["next_ms"] == 2000
    for facts in training.shipped_facts().values():
        TrainingSpeed.objects.create(key=facts.speed_key, size=32, images_per_s=facts.steps * facts.batch / 3600)
    payload = client.get(speeds).json()
    assert payload["next_ms"] == 0
    assert payload["texts"] == {f"time-{name}": "about 60 min here" for name in names}
    asked.clear()
    client.post(reverse(ADD), entered | {"measure": "1"})
    assert asked == []


def test_without_photos_the_form_leads_to_them(client: Client) -> None:
    page = client.get(reverse(ADD)).content.decode()
    assert "First the photos" in page
    assert "<textarea" not in page


def test_run_again_begins_with_the_entries_of_the_run_but_not_of_others(client: Client, researcher: Researcher) -> None:
    run = make_run(owner=researcher, name="Once more")
    page = client.get(reverse(ADD) + f"?from={run.pk}").content.decode()
    assert 'value="Once more"' in page
    assert "channels = 4" in page
    foreign = make_run(name="Not yours")
    assert "Not yours" not in client.get(reverse(ADD) + f"?from={foreign.pk}").content.decode()


def test_queue_that_cannot_be_reached_is_a_message_and_the_run_stays(
    client: Client, entered: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_options: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("studies.tasks.training_run.apply_async_on_commit", away)
    page = client.post(reverse(ADD), entered, follow=True).content.decode()
    assert "the queue of the workers cannot be reached" in page
    assert TrainingRun.objects.get().state == "queued"


# --- The page -------------------------------------------------------------------------------------------------------


def buttons_of(page: str) -> list[str]:
    """Return the words on the buttons beside the sentence on where the run stands."""
    block = page.partition('class="rp-next"')[2].partition('class="rp-columns"')[0]
    found = re.findall(r'class="rp-button(?: [^"]*)?"[^>]*>(.*?)</(?:a|button)>', block, re.DOTALL)
    return [" ".join(words.split()) for words in found]


@pytest.mark.parametrize(
    ("state", "heard_s_ago", "word", "sentence", "buttons"),
    [
        ("queued", 0, "queued", "It waits for a worker that trains. This page", ["Stop"]),
        ("running", 5, "running", "It trains.", ["Stop"]),
        ("running", 90, "interrupted", "The worker was last heard of", ["Resume", "Stop", "Delete"]),
        ("stopping", 5, "stopping", "It stops after the update", []),
        ("stopped", 0, "stopped", "It was stopped at step 40 of 2,000", ["Resume", "Run again", "Delete"]),
        ("failed", 0, "failed", "The disk is full.", ["Resume", "Run again", "Delete"]),
        ("finished", 0, "finished", "choose the checkpoint “rooms-tiny”", ["Run again", "Delete"]),
    ],
)
def test_page_says_where_the_run_stands_and_offers_what_can_be_done(
    client: Client, researcher: Researcher, state: str, heard_s_ago: float, word: str, sentence: str, buttons: list[str]
) -> None:
    run = make_run(owner=researcher, steps=2_000)
    in_state(run, state, heard_s_ago=heard_s_ago, step=0 if state == "queued" else 40, reason="The disk is full.")
    page = page_of(client, run)
    assert f">{word}</span>" in page
    assert sentence in page
    assert buttons_of(page) == buttons


def test_run_between_two_slices_waits_for_its_turn(client: Client, researcher: Researcher) -> None:
    run = in_state(make_run(owner=researcher), "queued", step=10)
    assert ">waiting for its turn</span>" in page_of(client, run)


def test_long_wait_asks_whether_there_is_a_worker(client: Client, researcher: Researcher) -> None:
    run = make_run(owner=researcher)
    TrainingRun.objects.filter(pk=run.pk).update(queued_at=timezone.now() - timedelta(minutes=5))
    assert "if there is none, have a worker started" in page_of(client, run)


def test_page_follows_by_itself(client: Client, researcher: Researcher) -> None:
    run = in_state(
        make_run(owner=researcher, steps=2_000),
        "running",
        step=40,
        images_per_s=52.5,
        seconds_left=7_300.0,
        trained_s=5,
    )
    empty = client.get(address("progress", run)).json()
    progress_write(run)
    page = page_of(client, run)
    payload = client.get(address("progress", run)).json()
    assert payload["next_ms"] == 2000
    assert payload["version"] != empty["version"]  # the curve takes the place of its announcement
    assert f'data-version="{payload["version"]}"' in page
    assert payload["values"] == {"step": 40}
    texts = payload["texts"]
    assert texts["progress"] == "40 of 2,000 steps"
    assert texts["speed"] == "52.5 photos a second"
    assert texts["left"] == "2.0 h"
    assert texts["training"] == "0.200 bits per sub-pixel"
    assert texts["best"] == "0.220 at step 40"
    assert texts["log"].splitlines()[-1].endswith("step 40: validation joint 0.22")
    for key in [*texts, "step"]:
        assert f'data-text="{key}"' in page or f'data-value="{key}"' in page, key
    assert set(payload["paths"]) == {"training", "validation", "dots"}
    assert all(f'data-path="{name}"' in page for name in payload["paths"])
    assert payload["sources"] == {"grid": ""}

    progress_write(run, steps=60)
    later = client.get(address("progress", run)).json()
    assert later["version"] == payload["version"]
    assert later["paths"] != payload["paths"]
    assert client.get(address("progress", in_state(run, "stopped"))).json()["version"] != payload["version"]


def test_grid_changes_its_address_when_it_is_drawn_anew(client: Client, researcher: Researcher) -> None:
    run = make_run(owner=researcher)
    assert client.get(address("samples", run)).status_code == 404
    assert client.get(address("checkpoint", run)).status_code == 404
    progress_write(run)
    addresses = set()
    for picture in (b"one", b"two"):
        (run.folder / "samples.png").write_bytes(picture)
        source = client.get(address("progress", run)).json()["sources"]["grid"]
        assert client.get(source).content == picture
        addresses.add(source)
    assert len(addresses) == 2


def test_list_shows_state_and_progress(client: Client, researcher: Researcher) -> None:
    in_state(make_run(owner=researcher, steps=2_000), "running", heard_s_ago=90, step=500)
    page = client.get(reverse("admin:studies_trainingrun_changelist")).content.decode()
    assert '<span class="rp-badge rp-badge-interrupted">interrupted</span>' in page
    assert '<progress value="500" max="2000"' in page
    assert "500 of 2,000" in page
    assert "Regression (srresnet), tiny" in page


def test_empty_list_leads_on(client: Client) -> None:
    assert "No training run yet" in client.get(reverse("admin:studies_trainingrun_changelist")).content.decode()


# --- The steps ------------------------------------------------------------------------------------------------------


def take(client: Client, name: str, run: TrainingRun) -> str:
    response = client.post(address(name, run), follow=True)
    assert response.status_code == 200
    run.refresh_from_db()
    return response.content.decode()


def test_stop_asks_first_then_resume_queues_again(
    client: Client, researcher: Researcher, django_capture_on_commit_callbacks: Committing
) -> None:
    run = in_state(make_run(owner=researcher), "running", step=10)
    assert "Nothing is lost: Resume goes on from there." in client.get(address("stop", run)).content.decode()
    run.refresh_from_db()
    assert run.state == "running"
    assert "It stops after the update" in take(client, "stop", run)
    assert run.state == "stopping"
    in_state(run, "stopped")
    with django_capture_on_commit_callbacks() as waiting:
        take(client, "resume", run)
    assert (run.state, len(waiting)) == ("queued", 1)
    entries = LogEntry.objects.filter(object_id=str(run.pk)).order_by("pk")
    assert [entry.get_change_message() for entry in entries] == ["Stopped the run.", "Queued the run again."]
    history = client.get(address("history", run)).content.decode()
    assert "Queued the run again." in history


def test_best_checkpoint_so_far_can_be_used(client: Client, researcher: Researcher) -> None:
    run = in_state(make_run(owner=researcher, steps=2_000), "stopped", step=40)
    progress_write(run)
    (run.folder / "best.safetensors").write_bytes(b"weights")
    assert buttons_of(page_of(client, run)) == [
        "Resume",
        "Download the best so far",
        "Use the best so far",
        "Run again",
        "Delete",
    ]
    assert "it cannot be resumed afterwards" in client.get(address("finish", run)).content.decode()
    take(client, "finish", run)
    assert (run.state, run.checkpoint_path.read_bytes()) == ("finished", b"weights")


@pytest.mark.parametrize(
    ("state", "name"),
    [("stopped", "stop"), ("running", "resume"), ("running", "finish"), ("running", "delete"), ("queued", "delete")],
)
def test_step_out_of_turn_is_a_message(client: Client, researcher: Researcher, state: str, name: str) -> None:
    run = in_state(make_run(owner=researcher), state)
    if name != "resume":
        assert "This is not possible now" in client.get(address(name, run)).content.decode()
    assert 'class="error"' in take(client, name, run)
    assert run.state == state
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", ["stop", "resume", "finish", "delete"])
def test_forged_form_is_refused(researcher: Researcher, name: str) -> None:
    run = in_state(make_run(owner=researcher), "stopped")
    client = Client(enforce_csrf_checks=True)
    client.force_login(researcher)
    assert client.post(address(name, run)).status_code == 403


def test_delete_names_what_goes(
    client: Client, researcher: Researcher, django_capture_on_commit_callbacks: Committing
) -> None:
    run = in_state(make_run(owner=researcher), "finished", step=20)
    progress_write(run)
    Path(settings.CHECKPOINTS_DIR).mkdir(parents=True)
    run.checkpoint_path.write_bytes(b"weights")
    page = client.get(address("delete", run)).content.decode()
    assert "20 steps of training" in page
    assert "Its checkpoint “rooms-tiny” goes too" in page
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(address("delete", run))
    assert response.headers["Location"] == reverse("admin:studies_trainingrun_changelist")
    assert not TrainingRun.objects.exists()
    assert not run.folder.exists()
    assert not run.checkpoint_path.exists()


def test_checkpoint_that_a_study_needs_is_not_deleted(client: Client, researcher: Researcher) -> None:
    run, study = usable_run(researcher), make_study(owner=researcher, state=StudyState.DRAFT)
    conditions_replace(study=study, conditions=[ConditionSpec("regression", {"checkpoint": run.slug})])
    page = client.get(address("delete", run)).content.decode()
    assert "is needed by the study “Photo or not?”" in page
    assert "rp-button-danger" not in page
    assert "the run stays as long as that is so" in client.post(address("delete", run), follow=True).content.decode()
    assert TrainingRun.objects.exists()
    assert "Needed by" in page_of(client, run)


# --- Conditions choose what runs made -------------------------------------------------------------------------------


def usable_run(owner: Researcher) -> TrainingRun:
    """Make a run that is finished, with random weights for its checkpoint."""
    from sr_models.checkpoints import checkpoint_save, network_build

    run = in_state(make_run(owner=owner), "finished")
    run.checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint_save(run.checkpoint_path, network_build("srresnet", {"channels": 4, "blocks": 1}), metadata={})
    return run


def test_condition_can_be_given_the_checkpoint_of_ones_own_run(client: Client, researcher: Researcher) -> None:
    run, foreign = usable_run(researcher), usable_run(make_researcher())
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    editor = reverse("admin:studies_study_conditions", args=[study.pk])
    page = client.get(editor).content.decode()
    assert f'<option value="{run.slug}">{run.slug}</option>' in page
    assert foreign.slug not in page
    row = {"method": "regression", "role": "test", "regression__checkpoint": run.slug, "pixel_recursive__tau": "1"}
    client.post(editor, conditions_form(row))
    assert study.conditions.get().parameters == {"checkpoint": run.slug}
    page = client.get(editor).content.decode()
    assert f'<option value="{run.slug}" selected>' in page
    row["regression__checkpoint"] = foreign.slug
    assert "Select a valid choice" in client.post(editor, conditions_form(row)).content.decode()


def test_checkpoint_that_is_gone_stays_in_view_and_is_said_to_be_missing(
    client: Client, researcher: Researcher
) -> None:
    run = usable_run(researcher)
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    conditions_replace(study=study, conditions=[ConditionSpec("regression", {"checkpoint": run.slug}, role="test")])
    run.checkpoint_path.unlink()
    page = client.get(reverse("admin:studies_study_conditions", args=[study.pk])).content.decode()
    assert f'<option value="{run.slug}" selected>' in page
    page = client.get(reverse("admin:studies_study_change", args=[study.pk])).content.decode()
    assert "checkpoint of Regression must be one of" in page
    assert Study.objects.get().state == "draft"


# --- The drawing ----------------------------------------------------------------------------------------------------


def test_curve_holds_every_point_between_round_levels() -> None:
    curve = curve_draw([(10, 4.31), (20, 4.02), (40, 3.87)], [(40, 3.95)])
    assert curve is not None
    assert curve.levels == ("4.6", "4.4", "4.2", "4.0", "3.8")
    assert curve.steps == ("0", "20", "40")
    assert curve.training == "M150.0 72.5L300.0 145.0L600.0 182.5"
    assert curve.dots == "M600.0 162.5h0"


@pytest.mark.parametrize("loss", [0.0, 1e-4, 0.0123, 1.0, 5.545, 20_000.0])
def test_curve_can_draw_a_constant_loss_of_any_size(loss: float) -> None:
    curve = curve_draw([(1, loss), (2, loss)], [])
    assert curve is not None
    levels = [float(level) for level in curve.levels]
    assert levels == sorted(levels, reverse=True)
    assert len(set(levels)) == 5
    assert levels[-1] <= loss + 1e-9 <= levels[0] + 1e-6


def test_curve_leaves_the_steep_beginning_out_of_its_scale_and_averages_many_points() -> None:
    points = [(step, 8.0 if step < 50 else 4.0 + step % 2) for step in range(1, 2_001)]
    curve = curve_draw(points, points[::20])
    assert curve is not None
    assert float(curve.levels[0]) < 6
    assert curve.training.count("L") < 300
    assert (curve.validation.count("L"), curve.dots) == (99, "")


def test_nothing_is_drawn_of_nothing() -> None:
    assert curve_draw([], []) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "less than a minute"), (600, "10 min"), (7_200, "2.0 h"), (200_000, "2.3 days")],
)
def test_durations_are_in_the_unit_that_suits_them(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words


def test_facts_of_the_tests_are_those_of_their_config() -> None:
    facts = training.config_check(CONFIG.format(steps=20, validate_every=10), name="tiny")
    assert facts._replace(parameters=0, speed_key="") == FACTS._replace(parameters=0, speed_key="")
