"""Raters read their own language, and go on in it; what was asked in it is part of the design."""

import hashlib
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from studies.models import Origin, RatingSession, Study, StudyState
from studies.selectors.exports import responses_rows
from studies.selectors.wording import texts_get
from studies.services.studies import study_create
from tests.factories import make_open_study, make_photo_set, make_researcher, make_session, make_study

pytestmark = pytest.mark.django_db

QUESTIONS = {
    "en": "Which image, would you guess, is from a camera?",
    "es": "¿Qué imagen crees que viene de una cámara?",
    "de": "Was vermutest du: Welches Bild stammt von einer Kamera?",
    "hi": "आपके अंदाज़े से कौन-सी तस्वीर कैमरे की है?",
    "pt": "Qual imagem você acha que vem de uma câmera?",
}


def read(client: Client, address: str, **headers: str) -> str:
    return client.get(address, headers=headers).content.decode()


def arrive(client: Client, study: Study, *, asking: str) -> RatingSession:
    address = reverse("studies:entry", args=[study.code])
    client.post(address, {"agrees": "on"}, headers={"accept-language": asking})
    return study.sessions.latest("pk")


@pytest.mark.parametrize(
    ("asked", "language", "start"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "Los geht"),
        ("pt-BR", "pt", "Começar"),
        ("fr,es;q=0.4,en;q=0.2", "es", "Empezar"),
        ("hi", "hi", "शुरू करें"),
        ("ja, ko", "en", "Start"),
        ("", "en", "Start"),
        ("*;q=0, \x00,,en_;;", "en", "Start"),
    ],
)
def test_first_page_speaks_the_best_language_that_the_browser_asks_for(
    client: Client, asked: str, language: str, start: str
) -> None:
    response = client.get(reverse("studies:entry", args=[make_open_study().code]), headers={"accept-language": asked})
    text = response.content.decode()
    assert f'<html lang="{language}" dir="ltr">' in text
    assert start in text
    assert "Accept-Language" in response.headers["Vary"]
    assert not response.cookies


def test_study_may_fix_the_language_for_everybody(client: Client) -> None:
    study = make_open_study(language="es")
    assert '<html lang="es"' in read(client, reverse("studies:entry", args=[study.code]), **{"accept-language": "de"})
    assert arrive(client, study, asking="de").language == "es"


def test_session_goes_on_in_the_language_it_began_in_on_any_device(client: Client) -> None:
    session = arrive(client, make_open_study(), asking="de")
    assert session.language == "de"
    for name in ("rate", "withdraw"):
        text = read(client, reverse(f"studies:{name}", args=[session.code]), **{"accept-language": "hi"})
        assert '<html lang="de"' in text
    text = read(client, reverse("studies:rate", args=[session.code]))
    for words in (QUESTIONS["de"], "So geht es", "Paar {position} von {count}.", "Erstes Bild"):
        assert words in text


@pytest.mark.parametrize(("language", "question"), QUESTIONS.items())
def test_founding_question_is_asked_in_each_language_and_kept_in_the_design(language: str, question: str) -> None:
    study = make_open_study()
    assert json.loads(study.design)["texts"][language]["question"] == question
    assert texts_get(study, language=language).question == question
    assert hashlib.sha256(study.design.encode()).hexdigest() == study.design_sha256


def test_design_holds_but_the_language_that_raters_can_meet() -> None:
    assert set(json.loads(make_open_study(language="hi").design)["texts"]) == {"hi"}


def test_texts_of_an_open_study_are_those_of_its_design_whatever_is_translated_later() -> None:
    study = make_open_study()
    design = json.loads(study.design)
    design["texts"]["de"]["question"] = "Welches, bitte?"
    Study.objects.filter(pk=study.pk).update(design=json.dumps(design))
    assert texts_get(study, language="de").question == "Welches, bitte?"


def test_own_words_of_a_researcher_are_shown_as_they_are_and_the_protocols_translated() -> None:
    study = study_create(owner=make_researcher(), title="Faces", slug="faces", photo_set=make_photo_set())
    said = texts_get(study, language="pt")
    assert "Há" not in said.instructions_text
    assert "Primeiro vêm 10 pares de treino" in said.instructions_text
    assert f"cerca de {study.minutes} minutos" in said.consent_text
    study.question, study.consent_text = "Which one is true?", study.consent_text + "\n\nAsk Ann."
    said = texts_get(study, language="pt")
    assert (said.question, said.consent_text) == (study.question, study.consent_text)


def test_consent_is_kept_with_the_digest_of_the_text_in_the_language_that_was_read(client: Client) -> None:
    study = make_open_study()
    session = arrive(client, study, asking="es")
    consent = texts_get(study, language="es").consent_text
    assert session.consent_sha256 == hashlib.sha256(consent.encode()).hexdigest()


def test_refusals_and_error_pages_speak_the_browsers_language(client: Client) -> None:
    hindi = {"accept-language": "hi"}
    assert "यह अध्ययन खुला नहीं है" in read(
        client, reverse("studies:entry", args=[make_study(state=StudyState.CLOSED).code]), **hindi
    )
    assert "इस पते पर कुछ नहीं रखा है" in read(client, reverse("studies:rate", args=["unknown"]), **hindi)
    assert "इस पते पर कुछ नहीं है" in read(client, "/nowhere", **hindi)
    german = client.post(reverse("studies:entry", args=[make_open_study().code]), {}, headers={"accept-language": "de"})
    assert "Bitte setz zuerst das Häkchen" in german.content.decode()


def test_refused_answer_gives_its_reason_in_the_sessions_language(client: Client) -> None:
    session = make_session(make_open_study(practice_count=0, test_count=2, golden_count=0), answers=[])
    RatingSession.objects.filter(pk=session.pk).update(language="de")
    later = session.trials.get(position=1).code
    answer = {"trial": later, "chosen_side": "first", "rt_ms": 500}
    reply: Any = client.post(
        reverse("studies:answer", args=[session.code]), answer, content_type="application/json"
    ).json()
    assert reply["error"] == "Paar 2 kann jetzt nicht beantwortet werden: Paar 1 ist dran; lade die Seite neu."


def test_researchers_pages_stay_as_they_are_written(client: Client) -> None:
    assert '<html lang="en' in read(client, reverse("admin:login"), **{"accept-language": "de"})


def test_script_of_another_direction_turns_the_page_but_never_the_pictures(client: Client, settings: Any) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
    session = arrive(client, make_open_study(), asking="ar")
    text = read(client, reverse("studies:rate", args=[session.code]))
    assert '<html lang="ar" dir="rtl">' in text
    for place in ('class="slots" dir="ltr"', 'class="sides" dir="ltr"', 'id="again" dir="ltr"'):
        assert place in text


def test_language_is_exported_with_each_answer() -> None:
    study = make_open_study()
    RatingSession.objects.filter(pk=make_session(study).pk).update(language="pt")
    header, first, *_ = responses_rows(study, origin=Origin.PERSON)
    assert first[header.index("language")] == "pt"


def test_texts_of_the_study_are_read_as_markdown_wherever_they_stand(client: Client) -> None:
    hostile = "<script>alert(1)</script> ![seen](https://x.example/a.png)"
    texts = {
        name: f"About **{name}**.\n\n{hostile}" for name in ("consent_text", "instructions_text", "debriefing_text")
    }
    study = make_open_study(practice_count=0, test_count=2, golden_count=0, **texts)
    session = make_session(study)
    for name, view, code in (
        ("consent_text", "entry", study.code),
        ("instructions_text", "rate", session.code),
        ("debriefing_text", "debrief", session.code),
    ):
        text = read(client, reverse(f"studies:{view}", args=[code]))
        assert f"<p>About <strong>{name}</strong>.</p>" in text
        assert "<script>alert" not in text
        assert "<img" not in text
    assert "Read what this study is about" in read(client, reverse("studies:rate", args=[session.code]))


def test_without_a_debriefing_nothing_is_offered_at_the_end(client: Client) -> None:
    session = make_session(make_open_study())
    assert client.get(reverse("studies:debrief", args=[session.code])).status_code == 404
