"""Runs of Anthropic's deltas in a stream that is complete. Pure.

Most of a stream are deltas of one block, of which only the texts differ:

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

Their texts are cut out between what is the same in all of them, and parsed together.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import orjson

from providers.wire.core.sse import MAX_LINE_BYTES

_TYPE: Final = b'content_block_delta"'
_NAME: Final = b"event: content_block_delta\n"
_DATA: Final = re.compile(
    rb'data: \{"type": ?"content_block_delta", ?"index": ?\d{1,6}, ?"delta": ?'
    rb'\{"type": ?"(?:text_delta|thinking_delta|input_json_delta)", ?'
    rb'"(?:text|thinking|partial_json)": ?(?=")'
)
_END: Final = b"\n\n"
_TAIL: Final = b"}}"
_USUAL_END: Final = b'"}}'


class FirstDelta(NamedTuple):
    """A delta: the bytes before its text, and the index behind its event."""

    head: bytes
    end: int


class Run(NamedTuple):
    """The texts of deltas that follow another one, and the index behind the last of them."""

    texts: list[str]
    end: int


def first_delta(body: bytes, start: int) -> FirstDelta | None:
    """Return the first delta behind `start`, which is the beginning of an event."""
    at = start
    while (at := body.find(_TYPE, at)) >= 0:
        line = body.rfind(b"\n", start, at) + 1 or start
        data = _DATA.match(body, line)
        at += len(_TYPE)
        if data is None:
            continue
        end = body.find(_END, data.end())
        if end < 0:
            return None
        is_named = line - len(_NAME) >= start and body.endswith(_NAME, start, line)
        head_start = line - len(_NAME) if is_named else line
        return FirstDelta(body[head_start : data.end()], end + len(_END))
    return None


def continued(body: bytes, first: FirstDelta) -> Run | None:
    """Return the deltas behind the first one that differ from it in their text alone.

    None: there are none, or their texts have to be read one by one.
    """
    head, end = first
    head_bytes = len(head)
    texts: list[bytes] = []
    while body.startswith(head, end):
        stop = body.find(_END, end)
        if stop < 0 or stop - end > MAX_LINE_BYTES:
            break
        text_end = _end_of_text(body, end + head_bytes, stop)
        if text_end is None:
            break
        text = body[end + head_bytes : text_end]
        texts.append(text)
        end = stop + len(_END)
    return _parsed(texts, end) if texts else None


def _end_of_text(body: bytes, start: int, stop: int) -> int | None:
    """Return where the text ends in front of two brackets, between which vendors put spaces."""
    if body[stop - len(_USUAL_END) : stop] == _USUAL_END:
        return stop - len(_TAIL)
    text_and_tail = body[start:stop]
    text = text_and_tail.rstrip(b"} ")
    tail = text_and_tail[len(text) :]
    is_usual = tail.count(b"}") == 2 and tail.endswith(b"}")
    return start + len(text) if is_usual else None


def _parsed(texts: list[bytes], end: int) -> Run | None:
    """Return a run, if each of these is one JSON string: `"a"`, `"b"`, not `"a","b"`."""
    try:
        found = orjson.loads(b"[%b]" % b",".join(texts))
    except ValueError:
        return None
    is_usual = len(found) == len(texts) and all(type(text) is str for text in found)
    return Run(found, end) if is_usual else None
