"""Postings of a segment: each trigram has exactly the positions that it was added for."""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from flows.search.folding import folded, marked_span, trigrams
from flows.search.postings import SEGMENT_FLOWS, Postings, Shelf, positions_in, shelf_of
from flows.search.wanted_words import wanted


def read(postings: Postings, trigram: str) -> list[int]:
    return positions_in(Shelf(postings.shelves()[shelf_of(trigram)]).flows_with(trigram))


@given(
    st.dictionaries(
        st.text("abß界", min_size=3, max_size=3),
        st.one_of(
            st.sets(st.integers(0, SEGMENT_FLOWS - 1), min_size=1, max_size=8),
            st.builds(lambda start, step: set(range(start, SEGMENT_FLOWS, step)),
                      st.integers(0, 700), st.integers(1, 12)),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_positions_are_those_that_were_added(expected: dict[str, set[int]]) -> None:
    by_position: dict[int, set[str]] = defaultdict(set)
    for trigram, positions in expected.items():
        for position in positions:
            by_position[position].add(trigram)
    postings = Postings()
    for position in sorted(by_position):
        postings.add(position, by_position[position])
    for trigram in (*expected, "aab", "bab", "zzz"):
        assert read(postings, trigram) == sorted(expected.get(trigram, ())), trigram


def test_a_trigram_that_stands_across_two_others_is_not_found() -> None:
    postings = Postings()
    names = [name for name in ("aab", "aba", "baa", "bab", "abb", "bba") if shelf_of(name)]
    postings.add(0, {name for name in names if name != "bab"})
    for name in names:
        assert read(postings, name) == ([] if name == "bab" else [0])


def test_words_phrases_and_pasted_json() -> None:
    assert wanted('haiku  "rate limit"').words == ("haiku", "rate limit")
    assert wanted('{"file_path": "a b"}').words == ("a b",)
    assert wanted('_path": "src/a b.py", "limit": 30}').words == ("src/a b.py",)
    assert wanted('{"role": "user", "content": [{"type": "text", "text": "Hello"}]}').words == (
        "Hello",
    )
    assert wanted('{"limit": 30').words == ("limit",)
    assert wanted(r'"text": "one \"two\" th\u00fcree').words == ("one", "two", "ree")
    assert wanted(r'{"cwd": "C:\\src\\", "limit": 30').words == ("src",)
    assert wanted(r'C:\new "a b"').words == (r"C:\new", "a b")
    assert wanted('f"{name}"').words == ('f"{name}"',)
    assert wanted('"a b" x').long == (("a b",),)
    assert wanted(" ").words == ()
    assert len(wanted("w " * 20).words) == 8


@given(st.text() | st.text('a\\" \n{:'), st.booleans(), st.booleans(), st.data())
def test_words_of_pasted_json_are_parts_of_its_text(
    text: str, is_ascii: bool, is_dense: bool, data: st.DataObject
) -> None:
    """However a client or a provider writes a body, its text has the words of a pasted piece."""
    separators = (",", ":") if is_dense else None
    body = {"role": "user", "content": text, "n": 30, "is_error": False}
    pasted = json.dumps(body, ensure_ascii=is_ascii, separators=separators)
    # A key that is cut off looks like a value.
    ends = st.integers(pasted.index("content") + 12, pasted.rindex('"n"')) | st.just(len(pasted))
    pasted = pasted[: data.draw(ends)]
    words = wanted(pasted).words
    assert all(word in text for word in words) or "role" in words


def test_marks_of_texts_whose_folding_is_longer() -> None:
    text = "Eine Straße, ein Fluß"
    start, end = marked_span(text, folded("STRASSE")) or (0, 0)
    assert text[start:end] == "Straße"
    assert marked_span("Straße", "sse") == (4, 6)
    assert marked_span("abc", "x") is None
    assert trigrams("abcd") == {"abc", "bcd"} and trigrams("ab") == set()
