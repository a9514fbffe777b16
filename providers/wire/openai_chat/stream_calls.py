"""Tool calls of a Chat stream, put together from their parts.

OpenAI numbers the calls with `index` and sends id and name once, in a call's first part. Servers
leave the index out, send 0 for every call, repeat id and name, change the id, or send it late. The
parts of parallel calls may be interleaved, with text between them.
"""

from __future__ import annotations

import secrets
from typing import Any

from providers.wire.core.ir import Block, JsonObject, Losses, ToolCall
from providers.wire.core.jsonio import dumps_text
from providers.wire.core.shape import count
from providers.wire.core.stream_event import Delta, Event
from providers.wire.rules.json_end import JsonEnd
from providers.wire.rules.sequence import Sequencer


class OpenCall:
    """One call. `key` is its position in the order of their beginnings."""

    __slots__ = ("block", "end", "ids", "index", "key", "ready", "text", "unread")

    def __init__(self, key: int, index: int | None, custom: bool) -> None:
        self.key = key
        self.index = index
        self.block = ToolCall("", "", "", custom=custom)
        self.ids: set[str] = set()
        self.ready = False
        self.text = False  # some arguments came
        self.end = JsonEnd()
        self.unread: list[str] = []

    def add(self, text: str) -> None:
        self.text = True
        self.unread.append(text)

    @property
    def complete(self) -> bool:
        """True if nothing can follow: the arguments are a closed JSON object."""
        for text in self.unread:
            self.end.feed(text)
        self.unread = []
        return self.end.complete and not self.block.custom


class CallPart:
    """One entry of `tool_calls` in a delta, with its fields in one form."""

    __slots__ = ("custom", "id", "index", "name", "text")

    def __init__(self, raw: JsonObject) -> None:
        custom = raw.get("custom")
        function = raw.get("function")
        self.custom = isinstance(custom, dict)
        inner: Any = custom if self.custom else function
        inner = inner if isinstance(inner, dict) else {}
        self.index = count(raw.get("index"))
        self.id = _text(raw.get("id"))
        self.name = _text(inner.get("name"))
        text = inner.get("input" if self.custom else "arguments")
        # Some compatible servers send the arguments as an object, all at once.
        if text is not None and not isinstance(text, str):
            text = dumps_text(text)
        self.text: str = text or ""

    @property
    def begins_object(self) -> bool:
        return self.text.lstrip().startswith("{")


class CallParts:
    """Calls of one streamed message."""

    def __init__(self, blocks: Sequencer, losses: Losses) -> None:
        self._blocks = blocks
        self._losses = losses
        self._calls: list[OpenCall] = []
        self._by_index: dict[int, OpenCall] = {}
        self._by_id: dict[str, OpenCall] = {}
        self._last: OpenCall | None = None

    @property
    def called(self) -> list[Block]:
        """The calls so far that have a name."""
        return [call.block for call in self._calls if call.block.name]

    def take(self, part: CallPart, known: OpenCall | None, out: list[Event]) -> None:
        """Take an entry of `tool_calls`; `known` is what `find` returned for it."""
        call = known or self._new(part, out)
        self._last = call
        self._identify(call, part, out)
        if part.text and self._blocks.add(call.key, Delta(part.text), out):
            call.add(part.text)
        elif part.text.strip():
            self._losses.add("tool_calls", "Text after a call's complete arguments was dropped.")
        self.close_complete(out)

    def close_complete(self, out: list[Event]) -> None:
        """Close the calls to which nothing can be added, if another block waits for their end."""
        while self._blocks.crowded and isinstance(key := self._blocks.current, int):
            call = self._calls[key]
            if not (call.ready and call.complete):
                return
            self._blocks.close(key, out)

    def finish(self, out: list[Event]) -> None:
        """Release, at the end of the response, the calls that still wait for an id."""
        for call in self._calls:
            if call.ready or not self._blocks.is_open(call.key):
                continue
            if call.block.name:
                self._release(call, out)
            else:
                self._blocks.drop(call.key, out)
                self._losses.add("tool_calls", "A call without a name was dropped.")

    def find(self, part: CallPart, position: int, of: int) -> OpenCall | None:
        """Return the call to which a part belongs, or None if it begins one.

        `position` is the part's own among the `of` entries of one delta.
        """
        by_id = self._by_id.get(part.id) if part.id else None
        if by_id is not None and not self._is_other_index(by_id, part):
            return by_id
        if part.index is None:
            # Without numbers, several entries of one delta stand for as many calls, in order.
            candidate = self._last
            if of > 1:
                candidate = self._calls[position] if position < len(self._calls) else None
        else:
            candidate = self._by_index.get(part.index) or self._unnumbered(part)
        if candidate is None or self._is_new(candidate, part):
            return None
        return candidate

    def _is_other_index(self, call: OpenCall, part: CallPart) -> bool:
        """Return whether a known id comes with a name at another index: an id used twice."""
        indices = (call.index, part.index)
        return bool(part.name) and None not in indices and call.index != part.index

    def _unnumbered(self, part: CallPart) -> OpenCall | None:
        """Return the call that a server numbers only after its first part."""
        index = part.index
        if part.name or index is None or not 0 <= index < len(self._calls):
            return None
        call = self._calls[index]
        return call if call.index is None else None

    def _is_new(self, old: OpenCall, part: CallPart) -> bool:
        """Return whether a part begins a call, although its index is that of an earlier one."""
        if not part.name or not old.block.name:
            return False
        if part.name != old.block.name or old.complete:
            return True
        if not part.id or not old.block.id:
            # The name is repeated. A second object cannot continue the first one's beginning.
            return part.index is None and old.text and part.begins_object
        # Another id: a call of its own, unless the server counts well and only changes ids.
        counts = part.index is not None and len(self._by_index) > 1
        return not counts and (not part.text or part.begins_object)

    def _new(self, part: CallPart, out: list[Event]) -> OpenCall:
        call = OpenCall(len(self._calls), part.index, part.custom)
        self._calls.append(call)
        if part.index is not None:
            self._by_index[part.index] = call
        self._blocks.open(call.key, call.block, out, ready=False)
        return call

    def _identify(self, call: OpenCall, part: CallPart, out: list[Event]) -> None:
        """Take name, id and index from a part, as far as the call has none."""
        if call.index is None and part.index is not None:
            call.index = part.index
            self._by_index.setdefault(part.index, call)
        if part.id:
            if not call.block.id and part.id not in self._by_id:
                call.block.id = part.id
            self._by_id.setdefault(part.id, call)
        if call.ready:
            return
        call.block.name = call.block.name or part.name
        # The start of a call names it: it waits for both, and at the end for neither.
        is_duplicate = part.id and self._by_id[part.id] is not call
        if call.block.name and (call.block.id or is_duplicate):
            self._release(call, out)

    def _release(self, call: OpenCall, out: list[Event]) -> None:
        call.ready = True
        call.block.id = call.block.id or f"call_{secrets.token_hex(8)}"
        self._blocks.release(call.key, out)


def _text(value: Any) -> str:
    """Return a string, a number as text, and anything else as nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
