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
from providers.wire.core.ir import Failure, Request, Turn
from providers.wire.core.jsonio import dumps, loads
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

    def take(self, from_client: bool, frame: dict[str, Any]) -> None:
        kind = frame.get("type")
        response = frame.get("response")
        if from_client:
            if kind == "response.create":
                self._start(response if isinstance(response, dict) else frame)
        elif kind == "response.output_item.done":
            self._items.append(frame.get("item"))
        elif (failure := reported_failure(frame)) is not None:
            self._fail(failure)
        elif kind in _ENDS and isinstance(response, dict):
            self._finish(response)

    def _finish(self, response: dict[str, Any]) -> None:
        # Items come one by one; the closing frame may leave them out.
        body = response if response.get("output") else {**response, "output": self._items}
        self.answer = read_answer(OPENAI_RESPONSES, dumps(body), 200)
        self._items = []

    def _fail(self, failure: Failure) -> None:
        """Keep the items that came before the failure."""
        said = Answer()
        if self._items:
            said = read_answer(OPENAI_RESPONSES, dumps({"output": self._items}), 200)
        self.answer = Answer(said.blocks, failure=sentence_of(failure), complete=False)
        self._items = []

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

    def _prepend(self, request: Request, previous: Request) -> None:
        """Put the earlier request and its response in front of one that sends only new input."""
        replies: list[Turn] = []
        if self.answer and self.answer.blocks:
            replies.append(Turn("assistant", self.answer.blocks))
        request.turns = [*previous.turns, *replies, *request.turns]
        request.system = request.system or previous.system
        request.tools = request.tools or previous.tools
