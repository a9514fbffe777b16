"""A word is looked for in bytes as if they were folded."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from flows.search.folding import FOLDED_TO_ASCII, WordLook, folded

LETTERS = "aksfitjnKSİßẞſKﬁﬆÀéжя€. (\\"


def test_every_letter_that_folds_to_an_ascii_letter_is_known() -> None:
    found = ""
    for code in range(0x80, sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF and any(map(str.isascii, chr(code).casefold())):
            found += chr(code)
    assert set(found) == set(FOLDED_TO_ASCII)


@given(text=st.text(LETTERS, max_size=12), word=st.text(LETTERS, min_size=1, max_size=3))
def test_no_word_is_missed(text: str, word: str) -> None:
    word = folded(word)
    if word in folded(text):
        assert WordLook(word).may_be_in(text.encode())


@given(text=st.text("ab(.é", max_size=12), word=st.text("ab(.é", min_size=1, max_size=3))
def test_without_odd_letters_nothing_else_is_found(text: str, word: str) -> None:
    assert WordLook(word).may_be_in(text.encode()) is (word in text)
