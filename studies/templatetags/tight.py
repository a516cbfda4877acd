"""HTML without the white space that templates are laid out with, since rater pages are weighed."""

import re
from collections.abc import Hashable
from typing import Final

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.context import Context
from django.utils.html import strip_spaces_between_tags
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


KEPT_MOST: Final = 32
"""Contents of one place in a template that a process keeps."""


class TightNode(template.Node):
    """What stands between `tight` and `endtight`."""

    def __init__(self, nodelist: NodeList, key: FilterExpression | None) -> None:
        self.nodelist = nodelist
        self._key = key
        self._kept: dict[Hashable, SafeString] = {}

    def render(self, context: Context) -> SafeString:
        """Return it with no space between elements, and no more than one elsewhere."""
        key = self._key.resolve(context) if self._key else None
        if key is None:
            return self._render(context)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= KEPT_MOST:
                self._kept.clear()
            kept = self._kept[key] = self._render(context)
        return kept

    def _render(self, context: Context) -> SafeString:
        content = strip_spaces_between_tags(self.nodelist.render(context))
        return mark_safe(re.sub(r"\s+", " ", content))  # noqa: S308 -- escaped by the nodes


@register.tag
def tight(parser: Parser, token: Token) -> TightNode:
    """Take all up to `endtight`.

    `{% tight key %}` makes it once in a process for each key; the key says all that it is made of. None keeps nothing.
    """
    _, *keys = token.split_contents()
    if len(keys) > 1:
        raise template.TemplateSyntaxError(f"tight takes one key or none, got {' '.join(keys)!r}")
    nodelist = parser.parse(("endtight",))
    parser.delete_first_token()
    return TightNode(nodelist, parser.compile_filter(keys[0]) if keys else None)
