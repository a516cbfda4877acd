"""HTML without the white space that templates are laid out with, since rater pages are weighed."""

import re

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.utils.html import strip_spaces_between_tags
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


class TightNode(template.Node):
    """What stands between `tight` and `endtight`."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        """Return it with no space between elements, and no more than one elsewhere."""
        content = strip_spaces_between_tags(self.nodelist.render(context))
        return mark_safe(re.sub(r"\s+", " ", content))  # noqa: S308 -- escaped by the nodes


@register.tag
def tight(parser: Parser, _token: Token) -> TightNode:
    """Take all up to `endtight`."""
    nodelist = parser.parse(("endtight",))
    parser.delete_first_token()
    return TightNode(nodelist)
