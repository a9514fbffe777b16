"""The conversation that passed over one websocket of OpenAI's Responses API (Codex speaks it by
default). Pure.

Frames are those of the streaming reference: `response.create` from the client,
`response.output_item.done` and `response.completed` from the provider. A later `response.create`
either repeats the whole input or names the `previous_response_id` and brings only what is new.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from flows.reading.decoded import Answer, read_answer, read_request
from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.ir import Request, Turn
from providers.wire.core.jsonio import dumps, loads

PATH: Final = "/v1/responses"
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


def socket_exchange(messages: Iterable[tuple[bool, bytes]]) -> tuple[Request | None, Answer | None]:
    """The last question with all that led to it, and its answer.

    `messages` are (from the client, frame) in order.
    """
    reader = _Reader()
    for from_client, data in messages:
        try:
            frame = loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(frame, dict):
            reader.take(from_client, frame)
    return reader.request, reader.answer


class _Reader:
    def __init__(self) -> None:
        self.request: Request | None = None
        self.answer: Answer | None = None
        self._items: list[Any] = []

    def take(self, from_client: bool, frame: dict[str, Any]) -> None:
        kind = frame.get("type")
        if from_client and kind == "response.create":
            self._asked(frame["response"] if isinstance(frame.get("response"), dict) else frame)
        elif not from_client and kind == "response.output_item.done":
            self._items.append(frame.get("item"))
        elif not from_client and kind in _ENDS and isinstance(frame.get("response"), dict):
            response = frame["response"]
            # Items come one by one; the closing frame may leave them out.
            body = response if response.get("output") else {**response, "output": self._items}
            self.answer, self._items = read_answer(OPENAI_RESPONSES, dumps(body), 200), []

    def _asked(self, body: dict[str, Any]) -> None:
        known = {key: value for key, value in body.items() if key not in ("type", "generate")}
        request, _ = read_request(OPENAI_RESPONSES, PATH, dumps(known))
        if request is None:
            return
        before = self.request
        if body.get("previous_response_id") and before is not None:
            said = (
                [Turn("assistant", self.answer.blocks)]
                if self.answer and self.answer.blocks
                else []
            )
            request.turns = [*before.turns, *said, *request.turns]
            request.system, request.tools = (
                request.system or before.system,
                request.tools or before.tools,
            )
        self.request, self.answer, self._items = request, None, []
