"""Each panel brings its ids in, and each outcome leads out by the code or address that its study set."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.errors import ArrivalInvalid, ExitInvalid
from studies.recruitment import MEANINGS, PANELS, Arrival, Exit, Names, Outcome, exit_check, mturk

ADDRESS = "https://example.org/s/abc/"
PID, SESSION, STUDY = "5f1b2c3d4e5f6a7b8c9d0e1f", "60aa11bb22cc33dd44ee55ff", "61ff00ee11dd22cc33bb44aa"
ARRIVAL = Arrival(PID, SESSION, STUDY)


def query_of(slug: str) -> dict[str, str]:
    """Return the parameters with which a panel opens a study."""
    return dict(zip(PANELS[slug].names, ARRIVAL, strict=False))


@pytest.mark.parametrize("slug", ["prolific", "connect", "generic", "mturk"])
def test_panel_says_who_came(slug: str) -> None:
    panel = PANELS[slug]
    assert panel.arrival_read(query_of(slug) | {"other": "1"}, panel.names) == ARRIVAL


def test_names_of_the_parameters_are_the_studys_to_choose() -> None:
    names = Names("pid", "", "project")
    arrival = PANELS["generic"].arrival_read({"pid": "x1", "project": "p", "session": "not asked"}, names)
    assert arrival == Arrival("x1", "", "p")


@pytest.mark.parametrize("given", ["", "  ", "{{%PROLIFIC_PID%}}", "a b", "x" * 129, "<script>", "\x00", "é"])
def test_arrival_without_an_id_that_can_be_is_refused_in_a_sentence(given: str) -> None:
    panel = PANELS["prolific"]
    with pytest.raises(ArrivalInvalid, match=r"PROLIFIC_PID.*open the study from its page at Prolific once more\.$"):
        panel.arrival_read(query_of("prolific") | {"PROLIFIC_PID": given}, panel.names)


def test_address_for_prolific_has_its_placeholders() -> None:
    panel = PANELS["prolific"]
    assert panel.entrance_url(ADDRESS, panel.names) == (
        ADDRESS + "?PROLIFIC_PID={{%PROLIFIC_PID%}}&SESSION_ID={{%SESSION_ID%}}&STUDY_ID={{%STUDY_ID%}}"
    )


def test_address_for_panels_names_the_ids_that_the_study_reads() -> None:
    assert PANELS["open"].entrance_url(ADDRESS, PANELS["open"].names) == ADDRESS
    url = PANELS["generic"].entrance_url(ADDRESS, Names("pid", "", "project"))
    assert parse_qs(urlsplit(url).query) == {"pid": ["{participant}"], "project": ["{study}"]}


@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_on_prolific_gives_its_code_as_text_and_as_address(outcome: Outcome) -> None:
    exits = {other.value: f"C{number}X" for number, other in enumerate(Outcome)}
    code = exits[outcome.value]
    address = f"https://app.prolific.com/submissions/complete?cc={code}"
    assert PANELS["prolific"].exit_get(outcome, exits, ARRIVAL) == Exit(code, address)


@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_on_connect_gives_its_redirect_or_its_code(outcome: Outcome) -> None:
    redirect = f"https://connect.example/{outcome}?p={{participant}}"
    exits = {outcome.value: redirect}
    leads = PANELS["connect"].exit_get(outcome, exits, ARRIVAL)
    assert leads == Exit(url=f"https://connect.example/{outcome}?p={PID}")
    assert PANELS["connect"].exit_get(outcome, {outcome.value: "ABC123"}, ARRIVAL) == Exit(code="ABC123")


@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_on_any_panel_takes_the_ids_along(outcome: Outcome) -> None:
    exits = {outcome.value: "https://panel.example/end?who={participant}&visit={session}&in={study}&k=1"}
    arrival = Arrival("a=b@c", "s", "t")
    url = PANELS["generic"].exit_get(outcome, exits, arrival).url
    assert parse_qs(urlsplit(url).query) == {"who": ["a=b@c"], "visit": ["s"], "in": ["t"], "k": ["1"]}


@pytest.mark.parametrize("slug", PANELS)
@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_without_a_code_leads_nowhere(slug: str, outcome: Outcome) -> None:
    others = {other.value: "CODE" for other in Outcome if other != outcome}
    assert PANELS[slug].exit_get(outcome, others, ARRIVAL) == Exit()


@given(ids=st.lists(st.text(min_size=1), min_size=3, max_size=3))
def test_ids_can_never_lead_to_another_place(ids: list[str]) -> None:
    """Whatever an id holds, it stays in its place: host and path are the researcher's."""
    exits = {"completed": "https://panel.example/end?who={participant}&visit={session}&in={study}"}
    parts = urlsplit(PANELS["generic"].exit_get(Outcome.COMPLETED, exits, Arrival(*ids)).url)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "panel.example", "/end", "")
    assert len(parts.query.split("&")) == 3


@pytest.mark.parametrize(
    "way", ["", "C1ABC2DE", "a-b_c.d", "https://x.example/done", "https://x.example/done?cc=1&p={participant}"]
)
def test_codes_and_addresses_can_be_given_for_an_outcome(way: str) -> None:
    exit_check(way)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("two words", "neither a code"),
        ("http://x.example/done", "neither a code"),
        ("javascript:alert(1)", "neither a code"),
        ("x" * 61, "neither a code"),
        ("https://", "is no address"),
        ("https://{participant}.example/", "is no address"),
        ("https://x.example/a b", "is no address"),
        ("https://[x/", "is no address"),
        ("https://x.example/?p={worker}", "{worker}, which nothing fills"),
    ],
)
def test_anything_else_for_an_outcome_is_refused_in_a_sentence(way: str, words: str) -> None:
    with pytest.raises(ExitInvalid, match=re.escape(words)):
        exit_check(way)


# --- Mechanical Turk --------------------------------------------------------------------------------------------------


def turk_query(**changes: str) -> dict[str, Any]:
    return query_of("mturk") | {"turkSubmitTo": "https://workersandbox.mturk.com"} | changes


def test_worker_who_only_looks_is_known_by_the_assignment() -> None:
    assert mturk.is_preview(turk_query(assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE"))
    assert not mturk.is_preview(turk_query())


def test_assignment_is_handed_in_at_the_host_that_gave_it() -> None:
    host = mturk.submit_host(turk_query(turkSubmitTo="https://www.mturk.com/"))
    arrival = ARRIVAL._replace(submit_to=host)
    assert mturk.submit_url(arrival) == "https://www.mturk.com/mturk/externalSubmit"
    assert mturk.submit_fields(arrival, session="session-7") == {"assignmentId": SESSION, "session": "session-7"}


@pytest.mark.parametrize(
    "host",
    [
        "",
        "https://evil.example",
        "http://www.mturk.com",
        "https://www.mturk.com.evil.example",
        "https://www.mturk.com/x",
    ],
)
def test_no_other_host_is_ever_handed_anything(host: str) -> None:
    with pytest.raises(ArrivalInvalid, match="which is no host of Mechanical Turk"):
        mturk.submit_host(turk_query(turkSubmitTo=host))


def test_every_outcome_has_a_meaning_and_every_panel_says_what_to_paste_where() -> None:
    assert set(MEANINGS) == set(Outcome)
    assert all(panel.steps and panel.slug == slug for slug, panel in PANELS.items())
