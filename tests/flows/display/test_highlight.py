"""Code in colours: escaped, unchanged as text, and plain where no language is known."""

from __future__ import annotations

import html
import re

import pytest

from flows.display.highlight import MAX_CHARS, highlighted
from flows.display.markdown import rendered

HOSTILE = "x = '</pre><script>alert(1)</script>'  # \"&\"\n\n"


@pytest.mark.parametrize("language", ["python", "bash", "json", "diff", "html", "", "klingon"])
def test_the_text_stays_and_nothing_of_it_is_markup(language: str) -> None:
    shown = highlighted(HOSTILE, language)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", shown)) == HOSTILE
    assert set(re.findall(r"<(/?\w+)", shown)) <= {"span", "/span"}


def test_a_language_gives_classes_and_long_code_stays_plain() -> None:
    assert '<span class="hl-k">def</span>' in highlighted("def f(): pass", "Python")
    assert "<span" not in highlighted("def f(): pass", "klingon")
    assert "<span" not in highlighted("x = 1\n" * MAX_CHARS, "python")


def test_fenced_code_of_markdown_is_coloured() -> None:
    shown = rendered("Look:\n\n```python\nreturn '<b>'\n```\n")
    assert '<span class="hl-k">return</span>' in shown
    assert "<b>" not in shown
    assert "<span" not in rendered('<span class="x" style="color:red">raw</span>')
