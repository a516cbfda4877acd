"""What researchers write for raters, in Markdown, as HTML that can do no harm."""

from typing import Final, Literal

import nh3
from markdown_it import MarkdownIt

TAGS: Final = frozenset(
    {"p", "br", "h2", "h3", "strong", "em", "ul", "ol", "li", "blockquote", "hr", "code", "pre", "a"}
)
"""All that a text may hold: no pictures, which would tell another site of raters, and nothing that runs.""" ""

_READER: Final = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image")


def _attribute_keep(_tag: str, name: str, value: str) -> str | None:
    is_address = name == "href" and value.lower().startswith(("https://", "http://", "mailto:"))
    return value if is_address or name in {"rel", "target"} else None  # the latter two are set below


def markdown_to_html(text: str, *, heading: Literal["h2", "h3"] = "h3") -> str:
    r"""Return a text as HTML: raw HTML in it stays as it was typed.

    Args:
        text: CommonMark; a line's end is kept.
        heading: What every heading becomes, so that it stands below that of the page.

    Returns:
        HTML of `TAGS` alone. Links lead to https, http and mailto, in a window of their own.

    Example:
        >>> markdown_to_html("Ask *Ann*.")
        '<p>Ask <em>Ann</em>.</p>\n'
    """
    tokens = _READER.parse(text)
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = heading
    html = _READER.renderer.render(tokens, _READER.options, {})
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={"a": {"href"}},
        attribute_filter=_attribute_keep,
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
