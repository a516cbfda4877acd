"""Texts that researchers have written, as raters see them."""

from typing import Literal

from django import template
from django.utils.safestring import SafeString, mark_safe

from studies.markdown import markdown_to_html

register = template.Library()


@register.filter
def written(text: str, heading: Literal["h2", "h3"]) -> SafeString:
    """Return a text in Markdown as harmless HTML, with headings of this level."""
    return mark_safe(markdown_to_html(text, heading=heading))  # noqa: S308 -- it was cleaned by a list of what may stand in it
