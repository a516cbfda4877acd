"""The translations: whole in every language, compiled as they stand, and true to the places for values."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings
from django.template import Template
from django.template.base import Node
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from studies.errors import PlanImpossible
from studies.management.commands.makemessages import ELSEWHERE, SAID
from studies.views.errors import ANSWERS

ROOT = Path(settings.BASE_DIR)
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
PAGES = [
    *(f"studies/{path.name}" for path in (ROOT / "studies/templates/studies").glob("*.html")),
    *(path.name for path in (ROOT / "evalsite/templates").glob("*.html")),
]
MARKS = {"gettext", "gettext_lazy", "gettext_noop", "ngettext"}
"""Functions whose first argument raters read; so do they that of errors, which a door translates."""


def template_messages(name: str) -> Iterator[str]:
    template: Any = get_template(name)
    inner: Template = template.template
    nodes: list[Node] = inner.nodelist.get_nodes_by_type(Node)
    for node in nodes:
        if isinstance(node, BlockTranslateNode):
            yield node.render_token_list(node.singular)[0]
            if node.plural:
                yield node.render_token_list(node.plural)[0]
        elif isinstance(node, TranslateNode):
            yield str(node.filter_expression.var.literal)


def code_messages(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        count = 2 if function == "ngettext" else 1 if function in {*MARKS, *SAID} else 0
        for argument in node.args[:count]:
            if isinstance(argument, ast.Constant):
                yield str(argument.value)


def test_no_sentence_for_raters_has_its_values_in_it_already() -> None:
    """Such a sentence is in no catalogue: values go into named places, once it was translated."""
    filled = [
        (path.name, node.lineno)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in {*MARKS, *SAID}
        and any(isinstance(argument, ast.JoinedStr) for argument in node.args)
    ]
    assert filled == []


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(ROOT / "locale" / language / "LC_MESSAGES" / "django.po"))


def sources() -> list[Path]:
    return [path for path in (ROOT / "studies").rglob("*.py") if path.name not in ELSEWHERE]


def messages() -> set[str]:
    said = {message for path in sources() for message in code_messages(path)}
    return said | {message for page in PAGES for message in template_messages(page)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_for_raters_is_in_every_language_and_nothing_else_is(language: str) -> None:
    entries = catalogue(language)
    known = {text for entry in entries for text in (entry.msgid, entry.msgid_plural) if text}
    wanted = messages()
    assert len(wanted) > 150
    assert known == wanted
    assert [entry.msgid for entry in entries if entry.fuzzy or not entry.translated()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalogue_says_what_the_readable_one_says(language: str) -> None:
    compiled = gettext.translation("django", ROOT / "locale", [language])
    assert compiled.charset() == "UTF-8"
    for entry in catalogue(language):
        assert compiled.gettext(entry.msgid) == (entry.msgstr or entry.msgstr_plural[0])
        for number, form in ((1, 0), (2, 1), (40, 1)):
            if entry.msgid_plural:
                assert compiled.ngettext(entry.msgid, entry.msgid_plural, number) == entry.msgstr_plural[form]


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation_keeps_places_for_values_and_marks(language: str) -> None:
    places = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+>|[←→]")
    for entry in catalogue(language):
        for text in entry.msgstr_plural.values() or [entry.msgstr]:
            assert sorted(places.findall(text)) == sorted(places.findall(entry.msgid)), text


def test_errors_that_raters_meet_are_those_whose_sentences_are_found() -> None:
    assert {error.__name__ for error in ANSWERS} == {*SAID, PlanImpossible.__name__}


def test_no_word_of_a_page_for_raters_stands_outside_of_a_translation() -> None:
    tags = re.compile(r"\{% blocktranslate.*?endblocktranslate %\}|\{[%{#].*?[%}#]\}|<[^>]*>", re.DOTALL)
    for page in PAGES:
        template: Any = get_template(page)
        words = re.findall(r"[^\W\d_]{2,}", tags.sub(" ", template.template.source))
        assert words == [], page
