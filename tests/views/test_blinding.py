"""An attacker plays whole sessions with all that a browser gets but the meaning of the pixels, and learns nothing.

What must be equal for every pair is compared: headers, lengths, pages, replies. What differs from pair to pair (codes,
places, times, what practice told) becomes features, of which the attacker takes the best on half of the sessions and
tries it on the other half.
"""

import re
import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from scipy import stats

from studies.models import Kind, RatingSession, Side, Study, Trial
from tests.factories import make_open_study
from tests.views.player import answer_body, page_state

SESSIONS = 6
RISK = 1e-7
"""Chance that an honest platform fails one of these tests."""

CODE = re.compile(r"[-\w]{22}")


@dataclass
class Seen:
    """What the attacker saw of one pair, and, for the judgement only, the truth."""

    features: dict[str, float]
    headers: dict[str, str]
    page: str
    state: dict[str, Any]
    reply: dict[str, Any]
    length: int
    brought: bytes | None
    fetched: bytes
    photo_side: str
    kind: str


def session_play(client: Client, study: Study) -> list[Seen]:
    """Play one session over HTTP; return what was seen of each pair, practice first."""
    begun = client.post(reverse("studies:entry", args=[study.code]), {"agrees": "on"})
    address = begun["Location"]
    session = RatingSession.objects.get(code=address.split("/")[2])
    truths = {trial.code: trial for trial in session.trials.all()}
    fetched: dict[str, tuple[Any, float, int]] = {}
    brought: dict[str, tuple[bytes, float]] = {}
    told: list[str] = []
    seen = []
    passage: dict[str, Any] = {"phase": "practice"}
    place = 0
    while passage["phase"] != "finished":
        page = client.get(address)
        state = page_state(page)
        passage = state["passage"]
        for code in passage["trials"]:
            if code not in fetched:
                start = time.perf_counter()
                response = client.get(address + f"t/{code}", headers={"Accept-Encoding": "gzip, br, zstd"})
                fetched[code] = (response, time.perf_counter() - start, len(fetched))
        code = passage["trials"][0]
        response, seconds, order = fetched[code]
        start = time.perf_counter()
        reply = client.post(address + "answer", answer_body(code), "application/json").json()
        answer_s = time.perf_counter() - start
        if pictures := reply.pop("pictures"):
            brought[pictures["trial"]] = (b64decode(pictures["values"]), answer_s)
        values, brought_s = brought.get(code, (None, 0.0))
        truth: Trial = truths[code]
        seen.append(
            Seen(
                features={
                    "place": place,
                    "place_parity": place % 2,
                    "place_in_nine": place % 9,
                    "fetch_order": order,
                    "fetch_s": seconds,
                    "answer_s": answer_s,
                    "brought_s": brought_s,
                    "code_rank": sorted(truths).index(code),
                    "code_sum": sum(code.encode()),
                    "code_parity": sum(code.encode()) % 2,
                    "code_vs_next": float(code < passage["trials"][-1]),
                    **{f"code_{i}": ord(letter) for i, letter in enumerate(code)},
                    "told_first": told.count("first"),
                    "told_last": float(told[-1:] == ["first"]),
                },
                headers=dict(response.headers),
                page=CODE.sub("code", page.content.decode().replace(f'"position": {passage["position"]}', "")),
                state=state,
                reply=reply,
                length=len(response.content),
                brought=values,
                fetched=response.content,
                photo_side=truth.photo_side,
                kind=truth.kind,
            )
        )
        if reply["feedback"]:
            told.append(reply["feedback"]["photo_side"])
        passage = reply["passage"]
        place += 1
    return seen


_played: list[list[Seen]] = []


@pytest.fixture
def sessions(db: None) -> list[list[Seen]]:
    """Sessions of the founding protocol, played once for all tests here."""
    if not _played:
        study = make_open_study(practice_count=10, test_count=40, golden_count=5)
        _played.extend(session_play(Client(), study) for _ in range(SESSIONS))
    return _played


def main_pairs(sessions: Sequence[list[Seen]]) -> list[list[Seen]]:
    return [[pair for pair in session if pair.kind != Kind.PRACTICE] for session in sessions]


def test_every_pair_comes_under_the_same_headers_and_length(sessions: list[list[Seen]]) -> None:
    pairs = [pair for session in sessions for pair in session]
    assert len(pairs) == SESSIONS * 55
    assert all(pair.headers == pairs[0].headers for pair in pairs)
    assert {pair.length for pair in pairs} == {2 * 32 * 32 * 3}
    assert pairs[0].headers["Content-Type"] == "application/octet-stream"
    assert pairs[0].headers["Cache-Control"] == "no-store, no-transform"
    assert not {"Content-Encoding", "ETag", "Last-Modified", "Content-Disposition"} & pairs[0].headers.keys()


def test_pictures_that_come_with_a_reply_are_those_that_would_be_fetched(sessions: list[list[Seen]]) -> None:
    for session in sessions:
        assert [pair.brought is None for pair in session] == [True] * 3 + [False] * 52
        assert all(pair.brought == pair.fetched for pair in session[3:])


def test_pages_of_all_pairs_differ_in_place_and_codes_only(sessions: list[list[Seen]]) -> None:
    for session in main_pairs(sessions):
        middle = session[1:-2]  # the first is the start of a phase; the last two have fewer after them
        assert len({pair.page for pair in middle}) == 1
        keys = {frozenset(pair.state["passage"]) for pair in session}
        assert keys == {
            frozenset(
                {
                    "phase",
                    "position",
                    "count",
                    "trials",
                    "completion_code",
                    "completion_url",
                    "is_first",
                    "is_phase_start",
                    "exposure_ms",
                    "block",
                    "is_block_start",
                }
            )
        }


def test_replies_to_all_pairs_differ_in_place_and_codes_only(sessions: list[list[Seen]]) -> None:
    for session in main_pairs(sessions):
        for place, pair in enumerate(session[:-1], start=2):
            passage = dict(pair.reply["passage"])
            assert len(passage.pop("trials")) == min(3, 45 - place + 1)
            assert passage == {
                "phase": "main",
                "position": place,
                "count": 45,
                "completion_code": "",
                "completion_url": "",
                "is_first": False,
                "is_phase_start": False,
                "exposure_ms": 1000,
                "block": 0,
                "is_block_start": False,
            }
            assert pair.reply["feedback"] is None


def test_words_of_the_truth_are_nowhere_in_the_page(sessions: list[list[Seen]]) -> None:
    for session in sessions:
        for pair in session:
            assert not re.search(r"golden|sample|bicubic|Smooth|nearest_neigh|photo_side|\.png", pair.page)


def test_sides_are_balanced_in_each_session(sessions: list[list[Seen]]) -> None:
    for session in sessions:
        for kind, count in ((Kind.PRACTICE, 10), (Kind.TEST, 40), (Kind.GOLDEN, 5)):
            first = sum(pair.photo_side == Side.FIRST for pair in session if pair.kind == kind)
            assert first in {count // 2, count - count // 2}


def side_attack(train: Sequence[list[Seen]], test: Sequence[list[Seen]]) -> tuple[str, int, int]:
    """Guess the photo's side by the one feature and threshold that did best before; return it, hits and guesses."""

    def table(sessions: Sequence[list[Seen]]) -> tuple[dict[str, Any], Any]:
        pairs = [pair for session in sessions for pair in session]
        features = {name: np.array([pair.features[name] for pair in pairs]) for name in pairs[0].features}
        return features, np.array([pair.photo_side == Side.FIRST for pair in pairs])

    features, is_first = table(train)
    best = (0.0, "", 0.0, True)
    for name, values in features.items():
        for threshold in np.unique(values):
            rate = float(np.mean((values >= threshold) == is_first))
            best = max(best, (rate, name, float(threshold), True), (1 - rate, name, float(threshold), False))
    _, name, threshold, above_is_first = best
    features, is_first = table(test)
    guesses = (features[name] >= threshold) == above_is_first
    return name, int(np.sum(guesses == is_first)), len(is_first)


def test_a_picture_alone_comes_as_equal_for_photos_and_samples(db: None) -> None:
    study = make_open_study(preset="hype_infinity", practice_count=2, test_count=20, golden_count=0)
    played = session_play(Client(), study)
    assert {pair.length for pair in played} == {32 * 32 * 3}
    assert all(pair.headers == played[0].headers for pair in played)
    (main,) = main_pairs([played])
    assert sum(pair.photo_side == Side.FIRST for pair in main) == 10
    assert len({pair.page for pair in main[1:-2]}) == 1
    assert not any(re.search(r"sample|bicubic|Smooth|nearest_neigh|photo_side|\.png", pair.page) for pair in main)
    for pair in main[:-1]:
        assert pair.reply["feedback"] is None


def golden_attack(train: Sequence[list[Seen]], test: Sequence[list[Seen]]) -> tuple[str, int, int]:
    """Point out the golden pairs of each session as those with the most, or the least, of the best feature."""

    def hits(sessions: Sequence[list[Seen]], name: str, sign: int) -> tuple[int, int]:
        found = guessed = 0
        for session in sessions:
            golden = sum(pair.kind == Kind.GOLDEN for pair in session)
            chosen = sorted(session, key=lambda pair: sign * pair.features[name])[:golden]
            found += sum(pair.kind == Kind.GOLDEN for pair in chosen)
            guessed += golden
        return found, guessed

    names = train[0][0].features
    _, name, sign = max((hits(train, name, sign)[0], name, sign) for name in names for sign in (1, -1))
    return name, *hits(test, name, sign)


def too_good(hits: int, guesses: int, chance: float) -> bool:
    return bool(stats.binom.sf(hits - 1, guesses, chance) < RISK)


def test_no_feature_tells_the_photo_from_the_sample(sessions: list[list[Seen]]) -> None:
    played = main_pairs(sessions)
    name, hits, guesses = side_attack(played[: SESSIONS // 2], played[SESSIONS // 2 :])
    assert guesses == SESSIONS // 2 * 45
    assert not too_good(hits, guesses, 1 / 2), f"{name} gave {hits} of {guesses}"


def test_no_feature_tells_golden_from_test_pairs(sessions: list[list[Seen]]) -> None:
    played = main_pairs(sessions)
    name, hits, guesses = golden_attack(played[: SESSIONS // 2], played[SESSIONS // 2 :])
    assert guesses == SESSIONS // 2 * 5
    # Golden pairs are spread, one in each fifth after the first two places, so a place is golden with at most 1/8.
    assert not too_good(hits, guesses, 1 / 8), f"{name} gave {hits} of {guesses}"


def test_the_attacker_would_find_a_leak(sessions: list[list[Seen]]) -> None:
    rng = np.random.default_rng(0)

    def leaks(pair: Seen) -> dict[str, float]:
        is_honest = rng.random() < 0.8
        return {
            "leak": float((pair.photo_side == Side.FIRST) == is_honest) + rng.normal(0, 0.1),
            "golden_leak": float(pair.kind == Kind.GOLDEN) + rng.normal(0, 0.2),
        }

    played = [
        [replace(pair, features=pair.features | leaks(pair)) for pair in session] for session in main_pairs(sessions)
    ]
    name, hits, guesses = side_attack(played[: SESSIONS // 2], played[SESSIONS // 2 :])
    assert (name, too_good(hits, guesses, 1 / 2)) == ("leak", True)
    name, hits, guesses = golden_attack(played[: SESSIONS // 2], played[SESSIONS // 2 :])
    assert (name, too_good(hits, guesses, 1 / 8)) == ("golden_leak", True)
