"""Hits of a search in the flows of a page: where a word stands, with the text around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from flows.models import FlowText
from flows.search.flow_parts import header_lines
from flows.search.folding import folded, marked_span
from flows.search.stored_parts import unpack_parts
from flows.search.wanted_words import Wanted

_BEFORE_CHARS: Final = 30
_AFTER_CHARS: Final = 120


class Hit(NamedTuple):
    """A word in a flow. Example: ("tool result, turn 7", "… the ", "rare", " text …")."""

    where: str
    before: str
    found: str
    after: str

    @property
    def text(self) -> str:
        """The word with the text around it."""
        return f"{self.before}{self.found}{self.after}"


def hits_in(ids: Sequence[str], words: Wanted) -> dict[str, Hit]:
    """Return the first hit of flows by id. A word in a column, which the list shows, is none."""
    if not words.long or not ids:
        return {}
    rows = FlowText.objects.filter(pk__in=ids).values_list("pk", "parts", "flow__parts__headers")
    # The longest word tells most.
    longest_first = sorted(words.long, key=lambda spelled: len(spelled[0]), reverse=True)
    wanted = [word for spelled in longest_first for word in spelled]
    found: dict[str, Hit] = {}
    for flow_id, stored, headers in rows:
        texts = [(part.where, part.text) for part in unpack_parts(stored)]
        texts += [("header", line) for line in header_lines(headers or "")]
        hit = _first_hit(texts, wanted)
        if hit is not None:
            found[flow_id] = hit
    return found


def _first_hit(texts: Iterable[tuple[str, str]], words: Sequence[str]) -> Hit | None:
    known = list(texts)
    for word in words:
        for where, text in known:
            if word in folded(text):
                return _hit(where, text, word)
    return None


def _hit(where: str, text: str, word: str) -> Hit | None:
    span = marked_span(text, word)
    if span is None:
        return None
    start, end = span
    before = text[max(0, start - _BEFORE_CHARS) : start]
    after = text[end : end + _AFTER_CHARS]
    return Hit(
        where,
        _one_line(before, cut_before=start > _BEFORE_CHARS),
        _one_line(text[start:end]),
        _one_line(after, cut_after=end + _AFTER_CHARS < len(text)),
    )


def _one_line(text: str, *, cut_before: bool = False, cut_after: bool = False) -> str:
    line = text.replace("\n", " ⏎ ").replace("\t", " ")
    return f"{'…' * cut_before}{line}{'…' * cut_after}"
