"""What researchers see of results, and what they take away."""

import csv
import hashlib
import io
import json
import re
from html import unescape

import numpy as np
import pytest
from django.core.cache import caches
from django.test import Client
from django.urls import reverse
from PIL import Image

from studies.models import Origin, Researcher, Sample, Saw, Study, StudyState
from studies.reports import FORMATS
from studies.reports.wording import MISSING
from studies.selectors import figures
from studies.selectors.results import result_table, sections_get
from studies.services.looks import look_record
from studies.services.sessions import session_withdraw
from studies.services.studies import study_close
from studies.statistics.results import ResultTable
from tests.factories import make_session, make_study

pytestmark = pytest.mark.django_db


def address(name: str, study: Study, *args: str) -> str:
    return reverse(f"admin:studies_study_{name}", args=[study.pk, *args])


def page_of(client: Client, study: Study, **query: str) -> str:
    response = client.get(address("results", study), query)
    assert response.status_code == 200
    return response.content.decode()


def cells_of(page: str, label: str) -> dict[str, str]:
    """Return a row of the first table of a page: head -> text."""
    table = page[page.index("<table") : page.index("</table>")]
    (row,) = (part for part in table.split("<tr")[1:] if re.search(rf"</svg>\s*{re.escape(label)}\s*</th>", part))
    found = re.findall(r'data-head="([^"]*)"[^>]*>(.*?)</td>', row, re.DOTALL)
    return {unescape(head): re.sub(r"<.*", "", text.strip(), flags=re.DOTALL).strip() for head, text in found}


@pytest.fixture
def study(researcher: Researcher) -> Study:
    """A closed study in which one person of two was left out, a third did not finish, and a program voted."""
    study = make_study(owner=researcher, test_count=4, golden_count=1, practice_count=0)
    make_session(study, answers=[True] * 5)
    missed = make_session(study, answers=[False] * 5)
    assert missed.state == "excluded"
    make_session(study, answers=[True])
    make_session(study, origin=Origin.SIMULATED, answers=[True] * 5)
    study_close(study=study)
    return study


def test_table_shows_what_the_selector_counts(client: Client, study: Study) -> None:
    page = page_of(client, study)
    table = result_table(study, origin=Origin.PERSON)
    assert "4 votes of 1 session counted; 1 left out." in re.sub(r"\s+", " ", page)
    for row in table.rows:
        cells = cells_of(page, row.label)
        assert cells["pSNR (dB)"] == f"{row.psnr:.2f}"
        if row.n_responses:
            assert cells["votes"] == str(row.n_responses)
            assert cells["% fooled [95 %]"].startswith(f"{100 * (row.fool_rate or 0):.1f}")


def test_tiles_are_shown_with_their_scenes(client: Client, study: Study) -> None:
    assert "of scenes" not in page_of(client, study)
    study.photo_set.photos.update(source_sha256="0" * 64)
    caches["results"].clear()  # no service changes the photos of a frozen study
    page = page_of(client, study)
    for row in result_table(study, origin=Origin.PERSON).rows:
        if row.role != "test":
            continue
        cells = cells_of(page, row.label)
        shown = (str(row.n_photos), "1") if row.n_responses else ("0", "0")
        assert (cells["photos"], cells["scenes"]) == shown
    assert "the parts of raters and of scenes" in page
    assert "a scene, the photograph that photos were cut from, counts as one image" in page


def test_missing_figure_says_why(client: Client, study: Study) -> None:
    page = page_of(client, study)
    assert cells_of(page, "Bicubic")["% fooled [95 %]"] == MISSING
    assert 'title="Shown in golden pairs only, which never count: no fool rate."' in page


def test_metric_that_needs_larger_pictures_says_so(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.READY)
    Sample.objects.update(ms_ssim=None)
    page = page_of(client, study)
    assert cells_of(page, "Bicubic")["MS-SSIM"] == MISSING
    assert 'title="Not defined for pictures as small as these, of 32 px."' in page


def test_flow_says_who_was_left_out_and_why(client: Client, study: Study) -> None:
    page = re.sub(r"<[^>]*>|\s+", " ", page_of(client, study))
    flow = re.sub(r" +", " ", page)
    assert "started 3 not finished 1 completed 2 left out: golden missed 1 counted 1" in flow
    assert "With everyone who completed, nobody excluded" in flow


def test_people_and_simulated_raters_are_never_on_one_page(client: Client, study: Study) -> None:
    people, simulated = page_of(client, study), page_of(client, study, origin="simulated")
    assert "SIMULATED" not in people
    assert "these votes were made by a program, not by people" in simulated
    assert "4 votes of 1 session counted" in re.sub(r"\s+", " ", simulated)
    for page, origin in ((people, "person"), (simulated, "simulated")):
        links = re.findall(r"[?&;]origin=(\w+)", page[page.index("rp-next") :])
        assert set(links) == {origin}


def test_only_simulated_raters_are_shown_at_once_but_marked(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher)
    make_session(study, origin=Origin.SIMULATED)
    assert "SIMULATED" in page_of(client, study)


def test_previews_have_no_results(client: Client, study: Study) -> None:
    response = client.get(address("results", study), {"origin": "preview"}, follow=True)
    assert "There are no results of “preview”" in response.content.decode()


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (StudyState.DRAFT, "No votes yet: the study was not opened."),
        (StudyState.OPEN, "No finished session yet."),
        (StudyState.CLOSED, "closed before anybody finished"),
    ],
)
def test_empty_page_leads_on(client: Client, researcher: Researcher, state: StudyState, sentence: str) -> None:
    study = make_study(owner=researcher, state=state)
    page = page_of(client, study)
    assert sentence in page
    assert "/figures/" not in page
    assert (address("samples", study) in page) == (state != StudyState.DRAFT)


# --- Files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["person", "simulated"])
@pytest.mark.parametrize("name", FORMATS)
def test_table_leaves_in_every_form(client: Client, study: Study, name: str, origin: str) -> None:
    page = page_of(client, study, origin=origin)
    link = f"{address('table', study, name)}?origin={origin}"
    assert link in page
    response = client.get(link)
    table = result_table(study, origin=Origin(origin))
    sections = [] if name == "csv" else sections_get(study, table, has_more=True)
    assert response.content.decode() == FORMATS[name](table, sections)
    assert f'filename="{study.slug}-results-{origin}.' in response.headers["Content-Disposition"]


def test_responses_stream_with_one_row_each(client: Client, study: Study) -> None:
    response = client.get(address("responses", study), {"origin": "person"})
    assert response.streaming
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert len(rows) == 11
    assert {row["origin"] for row in rows} == {"person"}
    assert {row["design_sha256"] for row in rows} == {study.design_sha256}


def test_design_is_what_was_hashed(client: Client, study: Study) -> None:
    content = client.get(address("design", study)).content
    assert hashlib.sha256(content).hexdigest() == study.design_sha256
    assert json.loads(content)["study"] == study.slug


def test_design_of_a_draft_says_that_it_is_one(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    response = client.get(address("design", study))
    assert f"{study.slug}-design-draft.json" in response.headers["Content-Disposition"]


def test_figures_are_shown_and_downloaded(client: Client, study: Study) -> None:
    svg = client.get(address("figure", study, "fool-rates", "svg"))
    assert svg.headers["Content-Type"] == "image/svg+xml"
    assert b"<svg" in svg.content
    assert "Content-Disposition" not in svg.headers
    png = client.get(address("samples", study), {"rows": "2", "download": ""})
    assert "attachment" in png.headers["Content-Disposition"]
    few, many = png.content, client.get(address("samples", study)).content
    assert Image.open(io.BytesIO(few)).height < Image.open(io.BytesIO(many)).height


def test_there_is_no_figure_of_samples_before_there_are_samples(client: Client, researcher: Researcher) -> None:
    study = make_study(owner=researcher, state=StudyState.DRAFT)
    assert client.get(address("samples", study)).status_code == 404


@pytest.mark.parametrize(("name", "args"), [("responses", ()), ("figure", ("fool-rates", "svg"))])
def test_unknown_origin_is_no_address(client: Client, study: Study, name: str, args: tuple[str, ...]) -> None:
    assert client.get(address(name, study, *args), {"origin": "preview"}).status_code == 404


def test_figures_come_as_paper_takes_them_and_dark(client: Client, study: Study) -> None:
    pdf = client.get(address("figure", study, "fool-rates", "pdf"), {"download": ""})
    assert pdf.headers["Content-Disposition"] == f'attachment; filename="{study.slug}-fool-rates-person.pdf"'
    dark = client.get(address("figure", study, "fool-rates", "png"), {"theme": "dark"})
    assert np.asarray(Image.open(io.BytesIO(dark.content)).convert("L"))[0, 0] < 40


def test_figures_that_there_is_nothing_for_are_no_address(client: Client, study: Study) -> None:
    for name, kind in (("tau", "svg"), ("fool-rates", "gif"), ("other", "svg")):
        assert client.get(address("figure", study, name, kind)).status_code == 404
    assert address("figure", study, "tau", "svg") not in page_of(client, study)


def test_unknown_form_is_no_address(client: Client, study: Study) -> None:
    assert client.get(address("table", study, "excel")).status_code == 404


# --- The page as a whole --------------------------------------------------------------------------------------------


def test_contents_lead_to_parts_that_are_there(client: Client, study: Study) -> None:
    page = page_of(client, study)
    contents = page[page.index('<nav class="rp-toc"') :]
    anchors = re.findall(r'href="#([\w-]+)"', contents[: contents.index("</nav>")])
    assert anchors[0] == "table"
    assert {"compared", "times", "exclusions", "files"} <= set(anchors)
    for anchor in anchors:
        assert page.count(f'id="{anchor}"') == 1, anchor


def test_each_further_table_and_the_data_of_each_figure_leave_by_themselves(client: Client, study: Study) -> None:
    page = page_of(client, study)
    sections = {section.name: section for section in sections_get(study, result_table(study), has_more=True)}
    for name, section in sections.items():
        for form in ("csv", "latex", "markdown"):
            link = f"{address('section', study, name, form)}?origin=person"
            assert link in page
            assert client.get(link).status_code == 200
        rows = list(csv.DictReader(io.StringIO(client.get(address("section", study, name, "csv")).content.decode())))
        assert len(rows) == len(section.records)
    assert client.get(address("section", study, "other", "csv")).status_code == 404
    assert client.get(address("section", study, "differences", "json")).status_code == 404
    drawn = set(re.findall(r"/figures/([\w-]+)\.svg", page))
    assert "fool-rates" in drawn
    for name in drawn:
        data = client.get(address("figure", study, name, "csv"), {"download": ""})
        assert f'filename="{study.slug}-{name}-person.csv"' in data.headers["Content-Disposition"]
        assert len(data.content.decode().splitlines()) > 1


def test_published_figures_stand_below_if_they_are_asked_for(client: Client, study: Study) -> None:
    assert "arXiv 1702.00783" not in page_of(client, study)
    page = page_of(client, study, reference="faces")
    assert "arXiv 1702.00783" in page
    latex = client.get(address("table", study, "latex"), {"origin": "person", "reference": "faces"}).content.decode()
    assert "arXiv 1702.00783" in latex
    assert "arXiv 1702.00783" not in page_of(client, study, reference="cats")


def test_results_are_computed_once_until_a_vote_a_withdrawal_or_a_look_changes_them(
    researcher: Researcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(owner=researcher, test_count=4, golden_count=1, practice_count=0)
    computed: list[Origin | None] = []
    make = result_table

    def counting(study: Study, *, origin: Origin | None = None) -> ResultTable:
        computed.append(origin)
        return make(study, origin=origin)

    monkeypatch.setattr(figures, "result_table", counting)

    def votes() -> int:
        return sum(row.n_responses for row in figures.StudyFigures(study, origin=Origin.PERSON).table.rows)

    session = make_session(study, answers=[True] * 5)
    assert [votes(), votes()] == [4, 4]
    assert len(computed) == 1
    make_session(study, answers=[True])  # one answer is enough: the session counts as started
    assert [votes(), votes()] == [4, 4]
    assert len(computed) == 2
    session_withdraw(session=session)
    assert [votes(), votes()] == [0, 0]
    assert len(computed) == 3
    look_record(study=study, who="x", saw=Saw.RATES, shown="x", origin=Origin.PERSON)
    assert figures.StudyFigures(study, origin=Origin.PERSON).table.caution
    assert len(computed) == 4
    monkeypatch.setattr("studies.selectors.versions.sources_digest", lambda: "of another version of the platform")
    assert [votes(), votes()] == [0, 0]
    assert len(computed) == 5
