"""Code in colours: tokens of a language as HTML with classes, which highlight.css colours."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

MAX_CHARS: Final = 20_000
"""Longer code stays plain, because finding its tokens takes long."""
CLASS_PREFIX: Final = "hl-"
_MAX_NAME_CHARS: Final = 30


def highlighted(code: str, language: str) -> SafeString:
    """Return escaped HTML of code. An unknown language has no colours.

    Example: `x = 1` in Python → `<span class="hl-n">x</span> …`.
    """
    lexer = _lexer(language.strip().lower()[:_MAX_NAME_CHARS])
    if lexer is None or len(code) > MAX_CHARS:
        return escape(code)
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]

    formatter = HtmlFormatter(nowrap=True, classprefix=CLASS_PREFIX)
    coloured: str = highlight(code, lexer, formatter)
    return mark_safe(coloured)  # noqa: S308  the formatter escapes


@cache
def _lexer(language: str) -> Any:
    if not language:
        return None
    # Loaded by the first code of a process: most pages show none.
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        # Otherwise blank lines at the ends would be lost, and a line break added.
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
