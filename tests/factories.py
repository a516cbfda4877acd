"""Things to test with, made quickly and through the services: researchers, photo sets, studies, sessions."""

import io
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studies import tasks
from studies.models import (
    AccountRole,
    Kind,
    Origin,
    PhotoSet,
    RatingSession,
    Researcher,
    Side,
    Study,
    StudyState,
)
from studies.selectors.sessions import passage_get
from studies.services.photos import photo_set_create, photos_add
from studies.services.responses import Recorded, response_record
from studies.services.sessions import session_start
from studies.services.studies import (
    ConditionSpec,
    conditions_replace,
    study_close,
    study_create,
    study_open,
    study_pause,
    study_prepare,
)

_serial = count(1)

PASSWORD = "correct horse battery staple"
"""Of every researcher made here."""


def make_researcher(*, is_superuser: bool = False, role: AccountRole = AccountRole.RESEARCHER) -> Researcher:
    """Make an account that may sign in to the admin with `PASSWORD`."""
    name = f"researcher-{next(_serial)}"
    make = Researcher.objects.create_superuser if is_superuser else Researcher.objects.create_user
    return make(name, password=PASSWORD, is_staff=True, role=role)


def make_picture(*, size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    """Make a picture (size, size, 3) uint8 that looks a little like a photo: soft shapes under fine noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float64)
    return np.clip(soft + rng.normal(0, 12, soft.shape), 0, 255).astype(np.uint8)


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def make_photo_set(*, owner: Researcher | None = None, name: str = "", photos: int = 6, size: int = 32) -> PhotoSet:
    """Make a set of random photos, all different, through an upload."""
    serial = next(_serial)
    photo_set = photo_set_create(
        owner=owner or make_researcher(), name=name or f"Set {serial}", high_res_size=size, low_res_size=size // 4
    )
    files = [(f"photo-{i:03}.png", png_bytes(make_picture(size=size, seed=serial * 10_000 + i))) for i in range(photos)]
    report = photos_add(photo_set=photo_set, files=files)
    assert (report.added, report.rejected) == (photos, ())
    return photo_set


def make_study(
    *,
    owner: Researcher | None = None,
    state: StudyState = StudyState.OPEN,
    conditions: Sequence[ConditionSpec] | None = None,
    practice_count: int = 2,
    test_count: int = 4,
    golden_count: int = 1,
    spare_photos: int = 2,
    size: int = 32,
    preset: str = "founding",
    **fields: Any,
) -> Study:
    """Make a study and lead it to a state, through the services: no network is needed, so it takes about a second.

    Args:
        owner: The researcher; a new one if None.
        state: Any state. Samples are made at once, except for a draft; one that is preparing has all but its pairs.
        conditions: What is compared; two methods that need no checkpoint, and bicubic for golden pairs, if None.
        practice_count: Practice pairs of a session.
        test_count: Test pairs of a session.
        golden_count: Golden pairs of a session.
        spare_photos: Photos beyond those that one session shows.
        size: Side of the photos, in pixels.
        preset: Protocol to start from.
        fields: Further fields of the study, as `exposure_ms=50`.
    """
    owner = owner or make_researcher()
    counts = {"practice_count": practice_count, "test_count": test_count, "golden_count": golden_count}
    photo_set = make_photo_set(owner=owner, photos=sum(counts.values()) + spare_photos, size=size)
    serial = next(_serial)
    study = study_create(owner=owner, title="Photo or not?", slug=f"study-{serial}", photo_set=photo_set, preset=preset)
    for name, value in (counts | fields).items():
        setattr(study, name, value)
    study.full_clean()
    study.save()
    if conditions is None:
        bank = make_photo_set(owner=owner, photos=8, size=size)
        conditions = (
            ConditionSpec("bicubic"),
            ConditionSpec("nearest_neighbour", bank=bank),
            ConditionSpec("bicubic", role="test", label="Smooth"),
        )
    conditions_replace(study=study, conditions=conditions)
    if state == StudyState.DRAFT:
        return study
    study_prepare(study=study)
    if state == StudyState.PREPARING:
        return study
    tasks.samples_plan(study.pk)
    study.refresh_from_db()
    assert study.state == StudyState.READY
    if state != StudyState.READY:
        study_open(study=study)
    if state == StudyState.PAUSED:
        study_pause(study=study)
    if state == StudyState.CLOSED:
        study_close(study=study)
    return study


def make_open_study(**options: Any) -> Study:
    """Make a study that takes raters; the options are those of `make_study`."""
    return make_study(state=StudyState.OPEN, **options)


def make_small_study(*, state: StudyState = StudyState.OPEN, **options: Any) -> Study:
    """Make a study for tests that need one, but not its pictures: four pairs a session, in a third of the time."""
    counts = {"practice_count": 1, "test_count": 2, "golden_count": 1, "spare_photos": 0}
    conditions = (ConditionSpec("bicubic"), ConditionSpec("bicubic", role="test", label="Smooth"))
    return make_study(**{"state": state, "conditions": conditions} | counts | options)


def answer_current(session: RatingSession, *, correct: bool = True, rt_ms: int = 700) -> Recorded:
    """Answer the current trial of a session, through the service."""
    trial = session.trials.get(code=passage_get(session).trials[0])
    side = Side(trial.photo_side)
    return response_record(
        session=session,
        trial_code=trial.code,
        chosen_side=side if correct else side.other,
        rt_ms=rt_ms,
        exposure_first_ms=1000.0,
        exposure_second_ms=1000.0,
        was_hidden=False,
    )


def make_session(
    study: Study, *, origin: Origin = Origin.PERSON, answers: Sequence[bool] | None = None
) -> RatingSession:
    """Start a session and answer its first trials.

    Args:
        study: A study that takes raters of this origin.
        origin: Who answers.
        answers: Whether each answer in turn chooses the photo; None answers all, and rightly.
    """
    session = session_start(study=study, origin=origin)
    total = study.practice_count + study.main_count
    for correct in [True] * total if answers is None else answers:
        answer_current(session, correct=correct)
    session.refresh_from_db()
    return session


def make_crowd(study: Study, *, raters: int) -> None:
    """Let raters finish a study, each fooled by every third pair: by others than the rater before.

    Practice and golden pairs are answered rightly wherever the plan has put them, so that every session counts.
    """
    for rater in range(raters):
        session = session_start(study=study)
        kinds = session.trials.order_by("position").values_list("kind", flat=True)
        for place, kind in enumerate(kinds):
            answer_current(session, correct=kind != Kind.TEST or (rater + place) % 3 != 0)
