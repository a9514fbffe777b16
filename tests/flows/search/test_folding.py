"""A word is looked for in bytes as if they were folded."""

from __future__ import annotations

import sys
from typing import Literal
from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from flows.search.folding import FOLDED_TO_ASCII, WordLook, folded, lowered, spellings

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD")
LETTERS = "aksfitjnKSİßẞſKﬁﬆÀéжя€. (\\"


def test_every_letter_that_folds_to_an_ascii_letter_is_known() -> None:
    found = ""
    for code in range(0x80, sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF and any(map(str.isascii, chr(code).casefold())):
            found += chr(code)
    assert set(found) == set(FOLDED_TO_ASCII)


@given(text=st.text(LETTERS, max_size=12), word=st.text(LETTERS, min_size=1, max_size=3))
def test_a_word_is_found_where_the_folded_text_has_it(text: str, word: str) -> None:
    spelled = [folded(each) for each in spellings(word)]
    expected = any(each in folded(text) for each in spelled)
    assert WordLook(spelled).is_in(lowered(text.encode())) is expected


@given(data=st.data(), text=st.text("ßẞﬁﬂﬃﬅﬆİŉẖsſtfilhnaéx", min_size=4, max_size=16))
def test_a_part_of_a_folded_text_is_found_in_it(data: st.DataObject, text: str) -> None:
    plain = folded(text)
    start = data.draw(st.integers(0, len(plain) - 3))
    word = plain[start : start + data.draw(st.integers(3, 12))]
    assert WordLook([word]).is_in(lowered(text.encode()))


@given(
    word=st.text(st.sampled_from("aeéÅñệ각Ώİß\u0301\u0323"), min_size=1, max_size=6),
    written=st.sampled_from(FORMS),
    typed=st.sampled_from(FORMS),
)
def test_accents_composed_or_not_are_one_word(word: str, written: Form, typed: Form) -> None:
    text = folded(f"see {normalize(written, word)}!")
    spelled = [folded(each) for each in spellings(normalize(typed, word))]
    assert any(each in text for each in spelled)
