"""Conversation on one websocket of OpenAI's Responses API, which Codex uses by default. Pure.

Frames are those of the streaming reference: `response.create` from the client,
`response.output_item.done` and `response.completed` from the provider. A later `response.create`
either repeats the complete input or names the `previous_response_id` and sends only new input.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from flows.reading.decoded import Answer, read_answer, read_request, sentence_of
from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.ir import Block, Failure, Request, Turn
from providers.wire.core.jsonio import dumps, loads
from providers.wire.core.sse import serialise
from providers.wire.failures.reported_failure import reported_failure

PATH: Final = "/v1/responses"
_ENDS: Final = ("response.completed", "response.done", "response.incomplete")


class SocketExchange(NamedTuple):
    """The last request with everything that led to it, and its response."""

    request: Request | None
    answer: Answer | None


def socket_exchange(messages: Iterable[tuple[bool, bytes]]) -> SocketExchange:
    """Return the last request of a websocket and its response.

    `messages` are (sent by the client, frame) in order. Example: create("a"), completed("A"),
    create("b", previous_response_id=...) → a request with the messages a, A, b and no response yet.
    """
    reader = _Reader()
    for from_client, data in messages:
        try:
            frame = loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(frame, dict):
            reader.take(from_client, frame)
    return SocketExchange(reader.request, reader.answer)


class _Reader:
    def __init__(self) -> None:
        self.request: Request | None = None
        self.answer: Answer | None = None
        self._items: list[Any] = []
        self._frames: list[dict[str, Any]] = []

    def take(self, from_client: bool, frame: dict[str, Any]) -> None:
        kind = frame.get("type")
        response = frame.get("response")
        if from_client:
            if kind == "response.create":
                self._start(response if isinstance(response, dict) else frame)
            return
        self._frames.append(frame)
        if kind == "response.output_item.done":
            self._items.append(frame.get("item"))
        elif (failure := reported_failure(frame)) is not None:
            self._fail(failure)
        elif kind in _ENDS and isinstance(response, dict):
            self._finish(response)

    def _finish(self, response: dict[str, Any]) -> None:
        # Items come one by one; the closing frame may leave them out.
        body = response if response.get("output") else {**response, "output": self._items}
        self.answer = read_answer(OPENAI_RESPONSES, dumps(body), 200)
        self.answer.blocks = self.answer.blocks or self._blocks_of_frames()
        self._items = []
        self._frames = []

    def _blocks_of_frames(self) -> list[Block]:
        """Return what a response without items says: in its ends, else in its deltas.

        Some of the many deltas may be missing here, so that ends count first.
        """
        ends = [frame for frame in self._frames if not str(frame.get("type")).endswith(".delta")]
        for frames in (ends, self._frames):
            stream = b"".join(serialise(dumps(frame)) for frame in frames)
            blocks = read_answer(OPENAI_RESPONSES, stream, 200).blocks if stream else []
            if blocks:
                return blocks
        return []

    def _fail(self, failure: Failure) -> None:
        """Keep the items that came before the failure."""
        blocks = self._blocks_of_frames()
        if self._items:
            blocks = read_answer(OPENAI_RESPONSES, dumps({"output": self._items}), 200).blocks
        self.answer = Answer(blocks, failure=sentence_of(failure), complete=False)
        self._items = []
        self._frames = []

    def _start(self, body: dict[str, Any]) -> None:
        # The rest of the frame is a request of the HTTP API.
        fields = dict(body)
        fields.pop("type", None)
        fields.pop("generate", None)
        request = read_request(OPENAI_RESPONSES, PATH, dumps(fields)).request
        if request is None:
            return
        previous = self.request
        if body.get("previous_response_id") and previous is not None:
            self._prepend(request, previous)
        self.request = request
        self.answer = None
        self._items = []
        self._frames = []

    def _prepend(self, request: Request, previous: Request) -> None:
        """Put the earlier request and its response in front of one that sends only new input."""
        replies: list[Turn] = []
        if self.answer and self.answer.blocks:
            replies.append(Turn("assistant", self.answer.blocks))
        request.turns = [*previous.turns, *replies, *request.turns]
        request.system = request.system or previous.system
        request.tools = request.tools or previous.tools
