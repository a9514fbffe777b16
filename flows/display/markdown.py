"""Markdown of models and people as safe HTML: no raw HTML, no scripts, no images, no requests."""

from __future__ import annotations

from functools import cache
from typing import Final

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from flows.display.highlight import highlighted
from flows.display.safe_text import printable, visible

MAX_CHARS: Final = 40_000
"""Longer texts are shown as plain text, because rendering them takes long."""
_TAGS: Final = {
    "a", "p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span",
}  # fmt: skip


def rendered(text: str) -> SafeString:
    """Return the HTML of a text; one too long or too deeply nested stays plain."""
    if len(text) > MAX_CHARS:
        return plain(text)
    try:
        html = _parser().render(printable(text))
    except RecursionError:
        return plain(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}, "span": {"class"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(f'<div class="md">{clean}</div>')  # noqa: S308  sanitised in the line above


def plain(text: str) -> SafeString:
    """Return a text without Markdown, escaped."""
    return format_html('<div class="said">{}</div>', visible(text))


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "highlight": _code}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    return parser


def _code(code: str, language: str, attributes: str) -> str:
    """Return the HTML of a fenced block; its language is the first word behind the fence."""
    del attributes
    return highlighted(code, language)


def _image(
    renderer: RendererHTML, tokens: list[Token], index: int, options: object, env: object
) -> str:
    """Return an image's text and address; the page never fetches it."""
    del renderer, options, env
    token = tokens[index]
    address = str(token.attrGet("src") or "")
    return format_html("[image: {} {}]", token.content, address)
