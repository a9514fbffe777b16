"""Hashes of the texts of flows that were indexed lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.search.indexer import _Known

_TEXTS = st.frozensets(st.text(max_size=3), max_size=12)


@given(_TEXTS, _TEXTS)
def test_all_hashes_are_kept_and_those_in_messages_told_apart(
    in_messages: frozenset[str], texts: frozenset[str]
) -> None:
    said = frozenset(map(hash, in_messages))
    known = _Known.of(said, list(map(hash, texts)))
    assert known.in_messages == said
    assert known.texts == said.union(map(hash, texts))
    assert len(known.hashes) == len(known.texts)
