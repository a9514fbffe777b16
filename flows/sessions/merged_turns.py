"""One conversation from the requests of a thread, each message once. Pure.

Every request of an agent repeats the conversation so far, so the newest request has nearly all of
it. `merge` reads requests from the newest back: it finds each earlier response among the newest
request's messages, and asks for an earlier request only where a response is missing there (the
client summed its history up, or dropped a response and sent the request again).

Example, with requests [u1], [u1 a1 u2] and [u1 a1 u2 a2 u3] and the responses a1, a2, a3: the third
request has a1 and a2, so it alone is read. The result is u1 a1 u2 a2 u3 a3, each with its request.
A change of earlier messages that keeps every response shows only in the use of the cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from flows.reading.turn_digest import common_turns, turn_digest
from providers.wire.core.ir import Block, Text, ToolCall, Turn

Mark = Literal["", "no response", "not read", "replaced", "new history"]
_COMPARED_CHARS: Final = 500
ReadTurns = Callable[[int], list[Turn] | None]
"""Index of an exchange → the messages of its request; None when they cannot be read."""


@dataclass(frozen=True, slots=True)
class Step:
    """A message with the index of its exchange, or a mark without a message.

    `exchange` is None for a response that is older than the first exchange. Marks: "no response"
    and "not read" stand for an exchange; "replaced" and "new history" for a place where the client
    changed earlier messages.
    """

    turn: Turn | None
    exchange: int | None
    mark: Mark = ""


@dataclass(slots=True)
class _Segment:
    """The messages of one request, with the responses among them and the one that follows.

    `owners`: index of a message → exchange that it is the response of. `silent`: index of a message
    → exchanges without a response, which were sent before it.
    """

    last: int
    turns: list[Turn]
    is_read: bool
    owners: dict[int, int] = field(default_factory=dict)
    silent: dict[int, list[int]] = field(default_factory=dict)


def merge(answers: Sequence[Sequence[Block]], turns_of: ReadTurns) -> list[Step]:
    """Return the steps of a thread in order; `answers` has each exchange's response."""
    segments: list[_Segment] = []
    last = len(answers) - 1
    while last >= 0:
        segment, last = _segment(answers, last, turns_of(last))
        segments.append(segment)
    segments.reverse()
    return _joined(segments, answers)


def _segment(
    answers: Sequence[Sequence[Block]], last: int, turns: list[Turn] | None
) -> tuple[_Segment, int]:
    """Find the responses before `last` in its request; return the first exchange not found too."""
    segment = _Segment(last, turns or [], turns is not None)
    if turns is None:
        return segment, last - 1
    keys = [_key(turn.blocks) if turn.role == "assistant" else "" for turn in turns]
    position = len(turns)
    exchange = last - 1
    while exchange >= 0:
        key = _key(answers[exchange])
        if not key:
            segment.silent.setdefault(position, []).insert(0, exchange)
            exchange -= 1
            continue
        found = _rfind(keys, key, position)
        if found < 0:
            break
        # Some formats write a response as several messages.
        first = found
        while first > 0 and turns[first - 1].role == "assistant":
            first -= 1
        for index in range(first, found + 1):
            segment.owners[index] = exchange
        position = first
        exchange -= 1
    return segment, exchange


def _rfind(keys: Sequence[str], key: str, end: int) -> int:
    for index in range(end - 1, -1, -1):
        if keys[index] == key:
            return index
    return -1


def _key(blocks: Sequence[Block]) -> str:
    """Return what a response is recognised by: its last tool call's id, else its text."""
    text = ""
    for block in reversed(blocks):
        if isinstance(block, ToolCall) and block.id:
            return f"call {block.id}"
        if isinstance(block, ToolCall):
            return f"tool {block.name} {block.arguments}"[:_COMPARED_CHARS]
        if isinstance(block, Text) and not text:
            text = " ".join(block.text[:_COMPARED_CHARS].split())
    return text and f"text {text}"


def _joined(segments: Sequence[_Segment], answers: Sequence[Sequence[Block]]) -> list[Step]:
    steps: list[Step] = []
    shown: Counter[bytes] = Counter()
    before: _Segment | None = None
    first = 0
    for segment in segments:
        common = 0
        if before is not None and segment.is_read:
            common = common_turns(segment.turns, before.turns)
            mark = _mark(segment, before, common)
            if mark:
                # The request that brought the other history, not the newest one that has it.
                steps.append(Step(None, first, mark))
        first = segment.last + 1
        steps += _steps(segment, answers, shown, common)
        # Of a single request nothing can be repeated.
        if len(segments) > 1:
            shown.update(turn_digest(turn) for turn in segment.turns[common:])
            shown.update([turn_digest(Turn("assistant", list(answers[segment.last])))])
        if segment.is_read:
            before = segment
    return steps


def _mark(segment: _Segment, before: _Segment, common: int) -> Mark:
    """Name the step from one request's history to the next one's.

    Examples: a b → a b c has no mark, a response was dropped; a b c → a x c is "replaced"; a b c →
    S d is "new history"; a single new message is a question of its own.
    """
    if common == len(before.turns) or len(segment.turns) == 1:
        return ""
    return "replaced" if common else "new history"


def _steps(
    segment: _Segment, answers: Sequence[Sequence[Block]], shown: Counter[bytes], common: int
) -> list[Step]:
    if not segment.is_read and not answers[segment.last]:
        return [Step(None, segment.last, "not read")]
    owner_after = _owners_after(segment)
    steps: list[Step] = []
    for index, turn in enumerate(segment.turns):
        steps += [Step(None, silent, "no response") for silent in segment.silent.get(index, ())]
        if index < common or _was_shown(turn, shown):
            continue
        owner = segment.owners.get(index)
        if owner is None:
            exchange = None if turn.role == "assistant" else owner_after[index]
            steps.append(Step(turn, exchange))
        elif segment.owners.get(index - 1) != owner:
            steps.append(Step(Turn("assistant", list(answers[owner])), owner))
    end = len(segment.turns)
    steps += [Step(None, silent, "no response") for silent in segment.silent.get(end, ())]
    if answers[segment.last]:
        steps.append(Step(Turn("assistant", list(answers[segment.last])), segment.last))
    else:
        steps.append(Step(None, segment.last, "no response"))
    return steps


def _owners_after(segment: _Segment) -> list[int]:
    """Return for each message the exchange whose response follows it: the one that brought it."""
    owners = []
    owner = segment.last
    for index in range(len(segment.turns) - 1, -1, -1):
        owner = segment.owners.get(index, owner)
        owners.append(owner)
    owners.reverse()
    return owners


def _was_shown(turn: Turn, shown: Counter[bytes]) -> bool:
    """Check whether an earlier request showed this message; each time it did counts once."""
    if not shown:
        return False
    digest = turn_digest(turn)
    if shown[digest] <= 0:
        return False
    shown[digest] -= 1
    return True
