"""A run is trained by one worker at a time, in slices, and loses nothing when workers stop, die or are late."""

import errno
import os
import re
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone
from safetensors.numpy import load_file

from studies import methods, tasks, training
from studies.errors import CheckpointInUse, ConfigInvalid, TrainingImpossible, TrainingStateWrong
from studies.models import Sample, StudyState, TrainingRun, TrainingSpeed
from studies.selectors.training import (
    Entry,
    checkpoint_choices,
    curve_points,
    is_interrupted,
    progress_read,
    samples_wait,
    seconds_estimate,
    start_path,
)
from studies.services import training as service
from studies.services.photos import photo_set_create, photos_add
from studies.services.studies import ConditionSpec, conditions_replace, study_prepare
from tests.factories import make_photo_set, make_picture, make_researcher, make_study, png_bytes
from tests.training import CONFIG, FACTS, make_run

pytestmark = pytest.mark.django_db(transaction=True)

Report = Callable[[training.Progress], None]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often whether a run shall stop."""
    monkeypatch.setattr(service, "WATCH_S", 0.005)


@pytest.fixture
def checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check configs in this process, which has torch already, and not in one of its own that loads it first."""
    monkeypatch.setattr(training, "_checked", lambda orders: [training._order_check(order) for order in orders])


@pytest.fixture
def at_first_report(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something while a run is really trained: when it reports for the first time."""
    keep = service._progress_keep

    def arrange(act: Callable[[], object]) -> None:
        def act_once(*args: Any, **kwargs: Any) -> None:
            monkeypatch.setattr(service, "_progress_keep", keep)
            keep(*args, **kwargs)
            act()

        monkeypatch.setattr(service, "_progress_keep", act_once)

    return arrange


def slice_of(
    run: TrainingRun,
    *,
    ticket: int | None = None,
    is_shutting_down: Callable[[], bool] = lambda: False,
    makes_samples: bool = False,
) -> str | None:
    """Train a run for one slice, as a worker would that takes its message."""
    return service.slice_train(
        run_pk=run.pk,
        ticket=run.ticket if ticket is None else ticket,
        is_shutting_down=is_shutting_down,
        makes_samples=makes_samples,
    )


def trained(run: TrainingRun) -> TrainingRun:
    tasks.training_enqueue(run)
    run.refresh_from_db()
    return run


# --- To the end -----------------------------------------------------------------------------------------------------


def test_run_is_trained_to_its_end_and_gives_a_checkpoint_that_a_study_can_use() -> None:
    owner = make_researcher()
    run = trained(make_run(owner=owner))
    assert (run.state, run.step, run.claim, run.reason[:8]) == ("finished", 20, "", "Finished")
    assert run.ended_at is not None
    assert methods.checkpoint_names("regression", Path(settings.CHECKPOINTS_DIR))[-1] == run.slug == "rooms-tiny"
    study = make_study(owner=owner, state=StudyState.DRAFT)
    mine = ConditionSpec("regression", {"checkpoint": run.slug}, role="test")
    conditions_replace(study=study, conditions=[ConditionSpec("bicubic"), mine])
    study_prepare(study=study)
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert study.state == StudyState.READY
    digests = Sample.objects.filter(condition__method="regression").values_list("source_digest", flat=True)
    assert len(set(digests)) == 1
    assert "" not in digests


def test_progress_is_kept_for_the_page() -> None:
    run = trained(make_run())
    entries = progress_read(run)
    validation = curve_points(entries, kind="validation")
    assert [step for step, _ in validation] == [10, 20]
    assert all(0 < loss < 1 for _, loss in (*validation, *curve_points(entries, kind="train")))
    assert re.search(r"\d photos to train on, \d to validate", " ".join(entry.text for entry in entries))
    assert str(entries[-1]).endswith(run.reason)
    assert (run.folder / "samples.png").is_file()


def test_steps_made_twice_count_once_in_the_curve() -> None:
    now = timezone.now()
    steps = [10, 20, 30, 20, 30, 40]
    entries = [Entry(now, "train", step, {"joint": place}, 1.0, "") for place, step in enumerate(steps)]
    assert curve_points(entries, kind="train") == [(10, 0), (20, 3), (30, 4), (40, 5)]


def test_line_that_a_crash_left_unfinished_is_passed_over() -> None:
    run = trained(make_run())
    entries = progress_read(run)
    with (run.folder / "progress.jsonl").open("a") as file:
        file.write('{"at": "2026-01-01T00:00:00+00:00", "ki')
    assert progress_read(run) == entries


def test_two_slices_lead_to_the_same_weights_as_one_go(
    at_first_report: Callable[[Callable[[], object]], None],
) -> None:
    owner = make_researcher()
    photo_set = make_photo_set(owner=owner, photos=8)
    whole = trained(make_run(owner=owner, photo_set=photo_set, steps=60))
    parts = make_run(owner=owner, photo_set=photo_set, steps=60)
    over: list[bool] = []
    at_first_report(lambda: over.append(True))
    assert slice_of(parts, is_shutting_down=lambda: bool(over)) == "now"
    parts.refresh_from_db()
    assert 0 < parts.step < 60
    assert slice_of(parts) is None
    one, two = (load_file(run.checkpoint_path) for run in (whole, parts))
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_slice_ends_by_itself_after_one_update_at_least_and_the_run_is_queued_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "SLICE_S", 0.0)
    run = trained(make_run(steps=4))
    assert (run.state, run.step) == ("finished", 4)
    assert 1 < run.ticket <= 5  # a message for each slice


def test_photos_that_are_added_later_do_not_change_a_run(
    at_first_report: Callable[[Callable[[], object]], None],
) -> None:
    run = make_run(steps=60)
    over: list[bool] = []
    at_first_report(lambda: over.append(True))
    assert slice_of(run, is_shutting_down=lambda: bool(over)) == "now"
    photos_add(photo_set=run.photo_set, files=[("new.png", png_bytes(make_picture(seed=7)))])
    assert trained(run).state == "finished"
    assert "7 photos to train on, 1 to validate" in " ".join(entry.text for entry in progress_read(run))


def test_run_begins_from_weights_of_another(at_first_report: Callable[[Callable[[], object]], None]) -> None:
    owner = make_researcher()
    first = trained(make_run(owner=owner))
    weights = load_file(first.checkpoint_path)
    second = make_run(owner=owner, photo_set=first.photo_set, start_from=f"regression:{first.slug}", steps=1)
    second.config = second.config.replace("decay_steps = 4", "decay_steps = 1\nlearning_rate = 1e-12")
    second.save()
    assert trained(second).state == "finished"
    after = load_file(second.checkpoint_path)
    trainable = [key for key in weights if "running" not in key and "num_batches" not in key]
    assert all(np.allclose(weights[key], after[key], atol=1e-6) for key in trainable)


# --- One worker at a time -------------------------------------------------------------------------------------------


def test_second_worker_leaves_a_run_alone_that_is_trained(
    at_first_report: Callable[[Callable[[], object]], None],
) -> None:
    run = make_run()
    answers: list[Any] = []

    def second() -> None:
        answers.append(slice_of(run))
        tasks.training_enqueue(run)  # as a worker that starts does with everything that is not at rest

    at_first_report(second)
    assert slice_of(run) is None
    run.refresh_from_db()
    assert (answers, run.state, run.step) == ([None], "finished", 20)
    started = [entry for entry in progress_read(run) if entry.text.startswith("Trains on")]
    assert len(started) == 1


def test_void_message_is_not_followed() -> None:
    run = make_run()
    old = service.ticket_draw(run=run)
    service.ticket_draw(run=run)
    assert slice_of(run, ticket=old) is None
    run.refresh_from_db()
    assert (run.state, run.folder.exists()) == ("queued", False)


def claimed_elsewhere(run: TrainingRun, *, heard_s_ago: float, host: str = "elsewhere") -> TrainingRun:
    heard = timezone.now() - timedelta(seconds=heard_s_ago)
    TrainingRun.objects.filter(pk=run.pk).update(state="running", claim=f"{host}/1/x", heartbeat_at=heard, step=7)
    run.refresh_from_db()
    return run


def test_claim_of_another_machine_holds_until_that_is_not_heard_of() -> None:
    run = claimed_elsewhere(make_run(), heard_s_ago=1)
    assert not is_interrupted(run)
    assert slice_of(run) == "later"
    run.refresh_from_db()
    assert run.claim == "elsewhere/1/x"
    claimed_elsewhere(run, heard_s_ago=90)
    assert is_interrupted(run)
    assert slice_of(run) is None
    run.refresh_from_db()
    assert run.state == "finished"


def test_run_of_a_worker_that_died_here_is_taken_up_by_the_next_one_at_once() -> None:
    run = claimed_elsewhere(make_run(), heard_s_ago=1, host=socket.gethostname())
    tasks.work_resume()
    run.refresh_from_db()
    assert run.state == "finished"


def test_run_that_takes_its_worker_down_again_and_again_fails() -> None:
    run = claimed_elsewhere(make_run(), heard_s_ago=90)
    TrainingRun.objects.filter(pk=run.pk).update(crashes=2)
    tasks.work_resume()
    run.refresh_from_db()
    assert (run.state, run.claim) == ("failed", "")
    assert "died 3 times in a row" in run.reason
    service.run_resume(run=run)
    assert (run.state, run.crashes) == ("queued", 0)
    assert trained(run).state == "finished"


def test_worker_that_was_taken_for_dead_changes_nothing_any_more(
    at_first_report: Callable[[Callable[[], object]], None],
) -> None:
    run = make_run(steps=2_000)
    at_first_report(lambda: claimed_elsewhere(run, heard_s_ago=0))
    assert slice_of(run) is None
    run.refresh_from_db()
    assert (run.state, run.claim, run.step) == ("running", "elsewhere/1/x", 7)


def test_signs_of_life_are_given_while_a_run_is_trained(
    monkeypatch: pytest.MonkeyPatch, at_first_report: Callable[[Callable[[], object]], None]
) -> None:
    monkeypatch.setattr(service, "HEARTBEAT_S", 0.01)
    run = make_run(steps=30)
    past = timezone.now() - timedelta(hours=1)

    def wait() -> None:
        TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=past)
        while TrainingRun.objects.get(pk=run.pk).heartbeat_at == past:
            pass

    at_first_report(wait)
    slice_of(run)
    run.refresh_from_db()
    assert run.state == "finished"


# --- Stop and go on -------------------------------------------------------------------------------------------------


def test_run_is_stopped_where_it_is_and_goes_on_from_there(
    at_first_report: Callable[[Callable[[], object]], None],
) -> None:
    run = make_run(steps=3_000)
    at_first_report(lambda: service.run_stop(run=TrainingRun.objects.get(pk=run.pk)))
    assert slice_of(run) is None
    run.refresh_from_db()
    assert run.state == "stopped"
    assert 0 < run.step < 3_000
    with pytest.raises(TrainingStateWrong, match="is stopped, so there is nothing to stop"):
        service.run_stop(run=run)
    stopped_at = run.step
    TrainingRun.objects.filter(pk=run.pk).update(
        config=CONFIG.format(steps=stopped_at + 5, validate_every=10), steps=stopped_at + 5
    )
    service.run_resume(run=run)
    trained(run)
    assert (run.state, run.step) == ("finished", stopped_at + 5)
    first_after = next(e for e in progress_read(run)[::-1] if e.text.startswith("Trains on"))
    assert f"going on from about step {stopped_at}" in first_after.text


def test_run_that_waits_is_stopped_at_once_and_its_message_is_not_followed() -> None:
    run = make_run()
    ticket = service.ticket_draw(run=run)
    service.run_stop(run=run)
    assert run.state == "stopped"
    assert slice_of(run, ticket=ticket) is None
    assert not run.folder.exists()


def test_stop_of_a_run_whose_worker_died_is_done_by_whoever_comes() -> None:
    run = claimed_elsewhere(make_run(), heard_s_ago=1)
    service.run_stop(run=run)
    assert run.state == "stopping"
    with pytest.raises(TrainingStateWrong):
        service.run_stop(run=run)
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=90))
    tasks.work_resume()
    run.refresh_from_db()
    assert (run.state, run.claim) == ("stopped", "")


def test_run_whose_worker_is_gone_can_be_stopped_or_resumed_by_hand() -> None:
    run = claimed_elsewhere(make_run(), heard_s_ago=90)
    service.run_resume(run=run)
    assert (run.state, run.claim) == ("queued", "")
    claimed_elsewhere(run, heard_s_ago=90)
    service.run_stop(run=run)
    assert (run.state, run.claim) == ("stopped", "")


@pytest.mark.parametrize("state", ["queued", "running", "finished"])
def test_only_a_run_that_rests_is_resumed(state: str) -> None:
    run = make_run()
    claim = {"claim": "here/1/x", "heartbeat_at": timezone.now()} if state == "running" else {}
    TrainingRun.objects.filter(pk=run.pk).update(state=state, **claim)
    with pytest.raises(TrainingStateWrong, match="only one that rests"):
        service.run_resume(run=run)


def test_worker_that_is_asked_to_end_keeps_the_run_and_hands_it_back(
    at_first_report: Callable[[Callable[[], object]], None],
) -> None:
    run = make_run(steps=3_000)
    over: list[bool] = []
    at_first_report(lambda: over.append(True))
    assert slice_of(run, is_shutting_down=lambda: bool(over)) == "now"
    run.refresh_from_db()
    assert (run.state, run.claim, 0 < run.step < 3_000) == ("queued", "", True)
    assert (run.folder / "state.pt").is_file()
    begun = progress_read(run)
    assert slice_of(run, is_shutting_down=lambda: True) == "now"  # it takes no other message up
    assert progress_read(run) == begun


def test_run_makes_way_for_samples_that_wait_for_the_same_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SHORT_SLICE_S", 0.01)
    study = make_study(state=StudyState.PREPARING)
    assert samples_wait()
    run = make_run(steps=3_000)
    assert slice_of(run, makes_samples=True) == "now"
    run.refresh_from_db()
    assert 0 < run.step < 3_000
    tasks.samples_plan(study.pk)
    assert not samples_wait()


def test_run_that_rests_can_be_ended_with_its_best_checkpoint() -> None:
    run = make_run()
    TrainingRun.objects.filter(pk=run.pk).update(state="stopped")
    with pytest.raises(TrainingStateWrong, match="has not kept a checkpoint yet"):
        service.run_finish(run=run)
    run.folder.mkdir(parents=True)
    (run.folder / "best.safetensors").write_bytes(b"weights")
    service.run_finish(run=run)
    assert (run.state, run.checkpoint_path.read_bytes()) == ("finished", b"weights")
    assert "Ended by hand at step 0 of 20." in run.reason


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_full_disk_is_said_and_mended_by_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(training, "photos_write", full)
        run = trained(make_run())
    assert (run.state, run.reason[:50]) == ("failed", "Training could not go on (No space left on device)")
    service.run_resume(run=run)
    assert trained(run).state == "finished"


def test_config_that_cannot_be_used_fails_with_its_sentence() -> None:
    run = make_run()
    TrainingRun.objects.filter(pk=run.pk).update(config=run.config + "stepps = 3\n")
    assert trained(run).state == "failed"
    assert "unknown key 'stepps'" in run.reason


def test_photo_whose_file_is_gone_fails_the_run_with_a_reason() -> None:
    run = make_run()
    photo = run.photo_set.photos.first()
    assert photo is not None
    photo.high_res.delete(save=False)
    assert trained(run).state == "failed"
    assert "No such file" in run.reason


def test_what_nobody_thought_of_is_a_reason_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("out of memory\n on the device")

    run = make_run()
    monkeypatch.setattr(training, "train", broken)
    assert trained(run).state == "failed"
    assert "Training failed (RuntimeError: out of memory on the device)" in run.reason


@pytest.mark.parametrize(
    ("photos", "factor", "sentence"),
    [
        (1, 4, "has 1 photo, but one is trained on"),
        (3, 8, "The config enlarges 8 times, but the photo set “Rooms” needs 4 times; set factor = 4"),
    ],
)
def test_photos_that_do_not_fit_are_refused(photos: int, factor: int, sentence: str) -> None:
    photo_set = make_photo_set(name="Rooms", photos=photos)
    with pytest.raises(TrainingImpossible, match=sentence):
        service.photos_check(photo_set=photo_set, facts=FACTS._replace(factor=factor))


# --- Checkpoints and files ------------------------------------------------------------------------------------------


def test_runs_of_one_name_get_checkpoints_of_their_own() -> None:
    owner = make_researcher()
    Path(settings.CHECKPOINTS_DIR).mkdir(parents=True)
    photo_set = make_photo_set(owner=owner, photos=2)
    slugs = [make_run(owner=owner, photo_set=photo_set, name=name).slug for name in ("Attics", "attics!", "Small", "★")]
    assert slugs == ["attics", "attics-2", "small-2", "run"]  # “small” comes with the platform


def test_own_checkpoints_and_no_others_can_be_chosen() -> None:
    run = trained(make_run())
    stranger = make_researcher()
    assert run.slug in checkpoint_choices("regression", researcher=run.owner)
    assert run.slug not in checkpoint_choices("pixel_recursive", researcher=run.owner)
    assert checkpoint_choices("regression", researcher=stranger) == methods.checkpoint_names("regression", None)
    assert run.slug in checkpoint_choices("regression", researcher=make_researcher(is_superuser=True))
    assert start_path(f"regression:{run.slug}") == run.checkpoint_path
    assert start_path("") is None


def test_deleted_run_takes_its_files_along() -> None:
    run = trained(make_run())
    folder, checkpoint = run.folder, run.checkpoint_path
    assert folder.is_dir()
    assert checkpoint.is_file()
    service.run_delete(run=run)
    assert not folder.exists()
    assert not checkpoint.exists()
    assert not TrainingRun.objects.exists()


def test_checkpoint_that_a_study_needs_keeps_its_run() -> None:
    owner = make_researcher()
    run = trained(make_run(owner=owner))
    study = make_study(owner=owner, state=StudyState.DRAFT)
    conditions_replace(study=study, conditions=[ConditionSpec("regression", {"checkpoint": run.slug})])
    with pytest.raises(CheckpointInUse, match=r"needed by the study “Photo or not\?”"):
        service.run_delete(run=run)
    assert run.checkpoint_path.is_file()
    conditions_replace(study=study, conditions=[ConditionSpec("bicubic")])
    waiting = make_run(owner=owner, start_from=f"regression:{run.slug}", name="Next")
    with pytest.raises(CheckpointInUse, match="needed by the training run “Next”"):
        service.run_delete(run=run)
    service.run_stop(run=waiting)
    service.run_delete(run=run)
    assert not run.checkpoint_path.exists()


@pytest.mark.parametrize("state", ["queued", "running", "stopping"])
def test_run_that_has_a_worker_is_not_deleted(state: str) -> None:
    run = make_run()
    claim = {} if state == "queued" else {"claim": "here/1/x", "heartbeat_at": timezone.now()}
    TrainingRun.objects.filter(pk=run.pk).update(state=state, **claim)
    with pytest.raises(TrainingStateWrong, match=f"is {state}; stop it first"):
        service.run_delete(run=run)


# --- The door to the networks ---------------------------------------------------------------------------------------


def test_photos_of_one_photograph_are_never_on_both_sides() -> None:
    photo_set = photo_set_create(
        owner=make_researcher(), name="Tiles", high_res_size=16, low_res_size=4, cropping="tiles"
    )
    rng = np.random.default_rng(0)
    files = [(f"{i}.png", png_bytes(rng.integers(0, 256, (40, 70, 3), dtype=np.uint8))) for i in range(6)]
    photos_add(photo_set=photo_set, files=files)
    photos = list(photo_set.photos.order_by("pk"))
    sources = [photo.source_sha256 for photo in photos]
    held = training.hold_out(sources, [photo.sha256 for photo in photos])
    assert 0 < held.sum() < len(photos)
    assert {s for s, h in zip(sources, held, strict=True) if h}.isdisjoint(
        s for s, h in zip(sources, held, strict=True) if not h
    )


def test_photos_of_a_single_photograph_are_parted_one_by_one() -> None:
    held = training.hold_out(["ab"] * 40, [f"{number:x}" for number in range(1, 41)])
    assert held.sum() == 2  # 20 and 40


def test_written_photos_are_read_back_in_place(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    held_out = np.array([False, True, False, False, True])
    training.photos_write(tmp_path / "photos.npz", iter(pictures), held_out=held_out, size=16)
    with np.load(tmp_path / "photos.npz") as archive:
        assert np.array_equal(archive["images"], pictures)
        assert np.array_equal(archive["split"], held_out)
    assert [path.name for path in tmp_path.iterdir()] == ["photos.npz"]


def test_configs_are_checked_by_a_process_of_its_own_with_a_limit_on_memory() -> None:
    text = CONFIG.format(steps=20, validate_every=10)
    texts = {"good": text, "misspelt": f"{text}stepps = 1\n", "huge": text.replace("channels = 4", "channels = 200000")}
    orders = [{"name": name, "text": text, "start_from": ""} for name, text in texts.items()]
    good, misspelt, huge = training._checked(orders)
    assert good["facts"] | {"parameters": 0, "speed_key": ""} == FACTS._replace(parameters=0, speed_key="")._asdict()
    assert good["facts"]["parameters"] > 500
    assert "'stepps'" in misspelt["error"]
    assert "The config huge cannot be used: its network needs more than 8 GB" in huge["error"]


def test_config_that_is_no_toml_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigInvalid, match=r"The config mine cannot be read: .*line 2"):
        training.config_check("[network]\nname = \n", name="mine")


def test_check_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECK_S", 0.01)
    with pytest.raises(ConfigInvalid, match=r"could not be built within 0\.01 seconds .* make it smaller"):
        training.config_check(CONFIG.format(steps=20, validate_every=10), name="mine")


def test_weights_of_another_network_are_no_beginning(tmp_path: Path, checked_here: None) -> None:
    run = trained(make_run())
    with pytest.raises(ConfigInvalid, match="rooms-tiny is of another network than the config wider"):
        training.config_check(
            run.config.replace("channels = 4", "channels = 6"), name="wider", start_from=run.checkpoint_path
        )
    assert training.config_check(run.config, name="same", start_from=run.checkpoint_path).factor == 4


def test_configs_that_differ_in_length_only_train_equally_fast(checked_here: None) -> None:
    from sr_models.train import TrainingConfig

    assert set(TrainingConfig.__dataclass_fields__) >= training.LENGTH_KEYS
    text = CONFIG.format(steps=20, validate_every=10)
    keys = [
        training.config_check(each, name="mine").speed_key
        for each in (text, CONFIG.format(steps=900, validate_every=50), text.replace("batch = 2", "batch = 4"))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_every_shipped_config_can_be_used_and_says_what_it_is_for(checked_here: None) -> None:
    configs = training.configs_list()
    training._shipped_facts.cache_clear()
    assert set(training.shipped_facts()) == {config.name for config in configs}
    assert all(len(config.about) > 20 for config in configs)


def test_check_of_the_shipped_configs_that_failed_is_tried_again(
    checked_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    training._shipped_facts.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(training, "_checked", lambda orders: [{"error": "The machine is busy."} for _ in orders])
        assert training.shipped_facts() == {}
    assert training.shipped_facts() != {}


def test_measured_speed_becomes_an_estimate(monkeypatch: pytest.MonkeyPatch, checked_here: None) -> None:
    monkeypatch.setattr(training, "MEASURE_S", 0.05)
    text = CONFIG.format(steps=20, validate_every=10)
    monkeypatch.setattr(training, "configs_list", lambda: (training.ShippedConfig("tiny", "", text),))
    tasks.speed_measure("tiny", 16)
    speed = TrainingSpeed.objects.get()
    facts = training.config_check(text, name="tiny")
    assert seconds_estimate(facts, size=16) == pytest.approx(40 / speed.images_per_s)
    assert seconds_estimate(facts, size=32) is None
