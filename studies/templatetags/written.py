"""Texts that researchers have written, as raters see them."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from studies.markdown import markdown_to_html

register = template.Library()


@register.filter
def written(text: str) -> SafeString:
    """Return a text in Markdown as harmless HTML."""
    return mark_safe(markdown_to_html(text))  # noqa: S308 -- it was cleaned by a list of what may stand in it
