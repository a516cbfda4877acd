"""What researchers write can be read by raters, and can do them no harm."""

import re

import pytest

from studies.markdown import TAGS, markdown_to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One.\n\nTwo.", "<p>One.</p>\n<p>Two.</p>\n"),
        ("One line\nand the next", "<p>One line<br>\nand the next</p>\n"),
        ("- *first*\n- **second**", "<ul>\n<li><em>first</em></li>\n<li><strong>second</strong></li>\n</ul>\n"),
        ("# Who we are", "<h3>Who we are</h3>\n"),
        ("Under\n===", "<h3>Under</h3>\n"),
        ("5 < 6 & 7", "<p>5 &lt; 6 &amp; 7</p>\n"),
        ("", ""),
    ],
)
def test_common_marks_become_html(text: str, html: str) -> None:
    assert markdown_to_html(text) == html


def test_link_opens_a_window_of_its_own_and_tells_nobody_where_it_came_from() -> None:
    html = markdown_to_html("[the lab](https://lab.example/a?b=1&c=2)")
    assert 'href="https://lab.example/a?b=1&amp;c=2"' in html
    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer"' in html


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        '<a href="https://x.example" onclick="alert(1)">x</a>',
        "<svg/onload=alert(1)>",
        "<iframe src=//x.example></iframe>",
        "<style>body{display:none}</style>",
        "<form action=//x.example><button>Start</button></form>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:msgbox)",
        "[x]( &#1;javascript:alert(1))",
        "<javascript:alert(1)>",
        "![x](https://x.example/seen.png)",
        "![x][1]\n\n[1]: https://x.example/seen.png",
        '[x](https://x.example "t\\" onmouseover=alert(1) x=\\"")',
        "```<script>\nalert(1)\n```",
        "`<script>`",
        "[x]: javascript:alert(1)\n\n[x]",
        "\x00<script>\x00",
    ],
)
def test_hostile_text_gives_no_element_attribute_or_address_that_could_do_harm(hostile: str) -> None:
    html = markdown_to_html(hostile)
    for tag, attributes in re.findall(r"<\s*/?\s*([^\s>/]+)([^>]*)>", html):
        assert tag in TAGS
        names = re.findall(r'([\w-]+)\s*=\s*"', attributes)
        assert set(names) <= {"href", "rel", "target"}
        for address in re.findall(r'href="([^"]*)"', attributes):
            assert re.match(r"https?://|mailto:", address), address
