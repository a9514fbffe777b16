"""Arguments of streamed calls, for clients that read them as a JSON object.

Parts of arguments leave before it is known whether they add up to JSON. What does not can no longer
be wrapped, as it is in a buffered response. Completing it would be worse: a client would run a
command that was cut. So the call stays open and the stream ends with an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from providers.wire.core.ir import Failure, Losses, ToolCall
from providers.wire.core.jsonio import dumps_text, loads
from providers.wire.core.stream_event import BlockStart, BlockStop, Delta, End, Event

_NO_JSON: Final = "Arguments that are no JSON are sent under the key _raw."
_NO_OBJECT: Final = "Arguments that are no object are sent under the key value."
_MAX_NAME: Final = 100


class ObjectArguments:
    """Filter behind the one for the client's tools.

    - `"a"` → `{"value": "a"}`, as in a buffered response.
    - `{"a": 1`, all at once → `{"_raw": "{\\"a\\": 1"}`, as in a buffered response.
    - `{"a"`, `: 1` → as it is if the response reached its limit, which is what Anthropic does; with
      another finish reason a failure.
    """

    def __init__(self) -> None:
        self.losses = Losses()
        self._call: ToolCall | None = None
        self._parts: list[str] = []
        self._has_begun = False  # something but white space has come
        self._wraps = False
        self._is_broken = False

    @property
    def is_idle(self) -> bool:
        """True while no call is open or broken: parts of texts need not pass here."""
        return self._call is None

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return the events for the encoder. Nothing follows a failure."""
        out: list[Event] = []
        following = [*events[1:], None]
        for event, next_event in zip(events, following, strict=False):
            if self._is_broken and isinstance(event, BlockStart | End):
                if not _was_cut(event):
                    return [*out, self._failure()]
                out.append(BlockStop())
                self._is_broken = False
            if isinstance(event, BlockStart):
                self._start(event)
            if self._call is None:
                out.append(event)
            elif isinstance(event, Delta):
                self._add(event.text, out, is_whole=isinstance(next_event, BlockStop))
            elif isinstance(event, BlockStop):
                self._stop(event, out)
            else:
                out.append(event)
        return out

    def _start(self, event: BlockStart) -> None:
        self._call = event.block if isinstance(event.block, ToolCall) else None
        self._parts = []
        self._has_begun = self._wraps = False

    def _add(self, text: str, out: list[Event], *, is_whole: bool) -> None:
        self._parts.append(text)
        if not self._has_begun and (begun := text.lstrip()):
            self._has_begun = True
            # The first character tells whether an object follows.
            is_object = begun.startswith("{")
            self._wraps = not is_object or (is_whole and not _is_json(text))
        if not self._wraps:
            out.append(Delta(text))

    def _stop(self, event: BlockStop, out: list[Event]) -> None:
        text = "".join(self._parts)
        if self._wraps:
            out += [Delta(self._wrapped(text)), event]
        elif _is_json(text or "{}"):
            out.append(event)
        else:
            self._is_broken = True
            return
        self._call = None

    def _wrapped(self, text: str) -> str:
        try:
            value: Any = loads(text)
        except (ValueError, RecursionError):
            self.losses.add("tool calls", _NO_JSON)
            return dumps_text({"_raw": text})
        self.losses.add("tool calls", _NO_OBJECT)
        return dumps_text({"value": value})

    def _failure(self) -> Failure:
        name = self._call.name[:_MAX_NAME] if self._call is not None else ""
        return Failure(f"The model called the tool “{name}” with arguments that are no JSON.", 502)


def _was_cut(event: BlockStart | End) -> bool:
    """Check for the end of a response that reached its limit in the middle of a call."""
    return isinstance(event, End) and event.finish.reason == "length"


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except (ValueError, RecursionError):
        return False
    return True
