"""Turns of a websocket: each request to a model with its response, as one row under the connection.

Frames are those of OpenAI's Responses API over a websocket, Codex's default. Pure. Example:

    client    response.create {"model": "m", "input": [a]}        turn 1 begins
    provider  response.output_item.done {"item": B}
    provider  response.completed {"response": {"id": "r1"}}       turn 1 ends
    client    response.create {"previous_response_id": "r1", "input": [c]}

Turn 2 has the input a B c: the provider keeps what came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from flows.lineage.cache_break import Break, find_break
from flows.lineage.first_difference import Excerpts, excerpts, is_rewind
from flows.reading.json_text import parse_json
from flows.reading.preview import one_line, said_line, tool_result_in
from flows.reading.search_text import answer, question_in
from flows.reading.token_usage import Metered, usage_of_messages
from providers.wire.core.jsonio import dumps
from providers.wire.core.sse import serialise
from providers.wire.failures.reported_failure import reported_failure

_ENDS: Final = ("response.completed", "response.done", "response.incomplete", "response.failed")
_NOT_OF_THE_REQUEST: Final = ("type", "generate", "previous_response_id")
_KEPT_FIELDS: Final = ("instructions", "tools")
_SAID_BYTES: Final = 64 * 1024


class Frame(NamedTuple):
    """One message of a websocket; `at_ms` counts from the start of the connection."""

    seq: int
    at_ms: float
    from_client: bool
    data: bytes


@dataclass(slots=True)
class SocketTurn:
    """One request on a websocket with its response."""

    number: int
    first_seq: int
    began_ms: float
    sent_bytes: int
    request: dict[str, Any]
    """The complete request, with what the provider keeps from earlier turns."""
    is_warm_up: bool = False
    """It asked for no response (`generate: false`)."""
    last_seq: int = 0
    first_ms: float | None = None
    ended_ms: float | None = None
    received_bytes: int = 0
    events: int = 0
    failure: str = ""
    items: list[Any] = field(default_factory=list)
    """Output items, as the provider sent them."""
    made: frozenset[int] = frozenset()
    """Indexes of input items that were taken from a response, not sent by the client."""
    response_id: str = ""
    metered: Metered | None = None
    broken: Break | None = None
    around: Excerpts | None = None
    said: str = ""
    previous: SocketTurn | None = None
    """The turn that it was compared with."""
    is_rewind: bool = False
    """The client went on from an earlier message, so that what differs is no break."""

    @property
    def model(self) -> str:
        """The model that the request names."""
        model = self.request.get("model")
        return model if isinstance(model, str) else ""

    @property
    def asked(self) -> str:
        """The user's last text, on one line."""
        return one_line(question_in(self.request))

    @property
    def tool_result(self) -> str:
        """The tool results that it brings, on one line."""
        return one_line(tool_result_in(self.request))

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from the request to the end of its response."""
        return None if self.ended_ms is None else self.ended_ms - self.began_ms

    @property
    def wait_ms(self) -> float | None:
        """Milliseconds from the request to the first message of its response."""
        return None if self.first_ms is None else self.first_ms - self.began_ms

    @property
    def is_running(self) -> bool:
        """Its response has not ended."""
        return self.ended_ms is None


def socket_turns(frames: Iterable[Frame]) -> list[SocketTurn]:
    """Return the turns of a websocket in order. Never raises; other messages are left out."""
    reader = _TurnReader()
    for frame in frames:
        value = parse_json(frame.data).value
        if isinstance(value, dict):
            reader.take(frame, value)
    reader.close()
    _compare(reader.turns)
    return reader.turns


class _TurnReader:
    def __init__(self) -> None:
        self.turns: list[SocketTurn] = []
        self._received: list[bytes] = []
        self._values: list[dict[str, Any]] = []

    def take(self, frame: Frame, value: dict[str, Any]) -> None:
        """Take the next message."""
        if not frame.from_client:
            if self.turns:
                self._receive(self.turns[-1], frame, value)
            return
        if value.get("type") == "response.create":
            self.close()
            response = value.get("response")
            self._begin(frame, response if isinstance(response, dict) else value)
        elif self.turns:
            self.turns[-1].last_seq = frame.seq

    def close(self) -> None:
        """Finish the last turn: tokens, and the response on one line."""
        if not self.turns:
            return
        turn = self.turns[-1]
        turn.metered = usage_of_messages(self._received)
        stream = b"".join(serialise(dumps(value)) for value in self._values)
        found = answer(stream[:_SAID_BYTES])
        turn.said = said_line(found.text, found.tools)
        self._received = []
        self._values = []

    def _begin(self, frame: Frame, body: dict[str, Any]) -> None:
        request = {name: body[name] for name in body if name not in _NOT_OF_THE_REQUEST}
        turn = SocketTurn(
            number=len(self.turns) + 1,
            first_seq=frame.seq,
            last_seq=frame.seq,
            began_ms=frame.at_ms,
            sent_bytes=len(frame.data),
            request=request,
            is_warm_up=body.get("generate") is False,
        )
        earlier = self._named(body.get("previous_response_id"))
        if earlier is not None:
            _go_on_from(turn, earlier)
        self.turns.append(turn)

    def _named(self, response_id: Any) -> SocketTurn | None:
        """Return the turn whose response a request goes on from."""
        if not response_id:
            return None
        named = [turn for turn in self.turns if turn.response_id == response_id]
        # Recorded ids may be redacted: then it is the newest turn.
        return named[-1] if named else next(iter(self.turns[-1:]), None)

    def _receive(self, turn: SocketTurn, frame: Frame, value: dict[str, Any]) -> None:
        turn.last_seq = frame.seq
        turn.events += 1
        turn.received_bytes += len(frame.data)
        if turn.first_ms is None:
            turn.first_ms = frame.at_ms
        self._received.append(frame.data)
        self._values.append(value)
        kind = value.get("type")
        response = value.get("response")
        if kind == "response.output_item.done":
            turn.items.append(value.get("item"))
        failure = reported_failure(value)
        if failure is not None:
            turn.failure = failure.message
            turn.ended_ms = frame.at_ms
        elif kind in _ENDS and isinstance(response, dict):
            turn.ended_ms = frame.at_ms
            turn.response_id = str(response.get("id", ""))
            turn.items = turn.items or list(response.get("output") or [])


def _go_on_from(turn: SocketTurn, earlier: SocketTurn) -> None:
    """Put the earlier input and its response in front of a request that sends only new input."""
    before = _input_of(earlier.request)
    own = _input_of(turn.request)
    end = len(before) + len(earlier.items)
    turn.request["input"] = [*before, *earlier.items, *own]
    turn.made = earlier.made | frozenset(range(len(before), end))
    for name in _KEPT_FIELDS:
        if name in earlier.request:
            turn.request.setdefault(name, earlier.request[name])


def _input_of(request: dict[str, Any]) -> list[Any]:
    value = request.get("input")
    if isinstance(value, list):
        return value
    return [{"role": "user", "content": value}] if isinstance(value, str) else []


def _compare(turns: Sequence[SocketTurn]) -> None:
    """Find the cache breaks: each turn is compared with the last one of its model.

    A turn of another model alone is compared with the turn before it, which is a switch.
    """
    for index, turn in enumerate(turns):
        earlier = [each for each in turns[:index] if not each.failure]
        same_model = [each for each in earlier if each.model == turn.model]
        for previous in (same_model or earlier)[-1:]:
            before = _as_sent_again(previous, turn)
            turn.previous = previous
            turn.broken = find_break(turn.request, before)
            if turn.broken is not None:
                turn.around = excerpts(turn.broken, turn.request, before)
                was_answered = not previous.is_running
                turn.is_rewind = is_rewind(turn.broken, turn.around, was_answered=was_answered)


def _as_sent_again(previous: SocketTurn, now: SocketTurn) -> dict[str, Any]:
    """Return the earlier request, its responses in the form in which the client repeats them.

    Providers send items with ids and states that clients leave out. Example: the item of the
    response {"type": "message", "id": "m1", ...} counts as equal to the client's {"type":
    "message", ...} at this index.
    """
    items = list(_input_of(previous.request))
    repeated = _input_of(now.request)
    for index in previous.made:
        if index < len(repeated) and _kind(repeated[index]) == _kind(items[index]):
            items[index] = repeated[index]
    return {**previous.request, "input": items}


def _kind(item: Any) -> tuple[Any, ...]:
    if not isinstance(item, dict):
        return (item,)
    return item.get("type", "message"), item.get("role"), item.get("call_id")
