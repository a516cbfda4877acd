"""What raters of a study read, in each language."""

import json
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.utils import translation

from studies.models import Study
from studies.models.study import AUTOMATIC
from studies.protocols import QUESTIONS, TEXT_SETTINGS, texts_of


class Texts(NamedTuple):
    """The texts of a study in one language: the protocol's own in that language, others as they were written."""

    question: str
    consent_text: str
    instructions_text: str
    debriefing_text: str = ""


def texts_get(study: Study, *, language: str) -> Texts:
    """Return what raters read in a language: once a study was opened, what its design says."""
    if study.is_frozen:
        frozen = _texts_frozen(study.pk, study.design_sha256)
        if language in frozen:
            return frozen[language]
    written = {name: str(getattr(study, name)) for name in Texts._fields}
    if language == settings.LANGUAGE_CODE:
        return Texts(**written)
    facts = {name: getattr(study, name) for name in TEXT_SETTINGS}
    with translation.override(language):
        said = texts_of(facts, translation) | {question: translation.gettext(question) for question in QUESTIONS}
    own = {text: said[name] for name, text in texts_of(facts).items()}
    own |= {question: said[question] for question in QUESTIONS}
    return Texts(**{name: own.get(text, text) for name, text in written.items()})


def texts_in_languages(study: Study) -> dict[str, dict[str, str]]:
    """Return the texts for each language that raters of the study may read, as the design keeps them."""
    languages = [code for code, _ in settings.LANGUAGES] if study.language == AUTOMATIC else [study.language]
    return {language: texts_get(study, language=language)._asdict() for language in languages}


@lru_cache(maxsize=64)
def _texts_frozen(study: int, _design_sha256: str) -> dict[str, Texts]:
    """Return the texts by language of a frozen design; none if it was frozen before designs had them.

    A design may be megabytes long, so it is read once in a process: it cannot change under its hash.
    """
    design = Study.objects.values_list("design", flat=True).get(pk=study)
    return {language: Texts(**texts) for language, texts in json.loads(design).get("texts", {}).items()}
