"""OpenAI Chat Completions streams: chunks ↔ events.

Source: OpenAI's OpenAPI file, `CreateChatCompletionStreamResponse`;
https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from providers.base.names import OPENAI_CHAT
from providers.wire.core.base import AnswerContext
from providers.wire.core.ir import (
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Delta,
    End,
    Event,
    Failure,
    Finish,
    JsonObject,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.core.shape import a_string, an_object, count, objects
from providers.wire.core.sse import SseEvent
from providers.wire.errors import error_event
from providers.wire.openai_chat.response import (
    decode_annotations,
    decode_error,
    decode_finish,
    decode_usage,
    encode_annotation,
    encode_finish,
    encode_usage,
    new_id,
    reasoning_of,
    thinking_text,
)
from providers.wire.rules.sequence import Sequencer

_CUT: Final = "The provider's stream ended before its answer was complete."


class ChatStreamDecoder:
    """Decoder of `chat.completion.chunk` objects. Only the first choice counts."""

    def __init__(self) -> None:
        self._blocks = Sequencer()
        self._started = False
        self._done = False
        self._finish: Finish | None = None
        self._calls: dict[int, str] = {}  # index → arguments so far, of open calls
        self._called: list[Block] = []
        self._serial = 0

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if self._done:
            return []
        if event.data.strip() == b"[DONE]":
            return self._end()
        body = an_object(loads(event.data), "chunk")
        if body.get("error"):
            self._done = True
            failure = decode_error(500, body) or Failure("unknown error", 500)
            failure.status = _status(body["error"], failure)
            return [failure]
        out: list[Event] = []
        choices = body.get("choices")
        # Azure's first chunk has results of its content filter alone, without id and choices.
        if not self._started and (choices or body.get("id")):
            self._started = True
            out.append(Start(body.get("id"), body.get("model"), count(body.get("created"))))
        if choices:
            self._choice(objects(choices, "choices")[0], out)
        if (usage := decode_usage(body.get("usage"))) is not None:
            out.append(UsageUpdate(usage))
        return out

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`.

        Some servers leave `[DONE]` out; a finish reason counts as well.
        """
        if self._done:
            return []
        return self._end() if self._finish is not None else [Failure(_CUT)]

    def _end(self) -> list[Event]:
        """Return the end event. `[DONE]` or a finish reason is enough; some servers omit one."""
        if not self._started:
            return [Failure(_CUT)]
        out: list[Event] = []
        self._blocks.close_all(out)
        self._done = True
        out.append(End(self._finish or decode_finish(None, self._called)))
        return out

    def _choice(self, choice: JsonObject, out: list[Event]) -> None:
        if choice.get("index") not in (0, None):
            return
        delta = choice.get("delta") or {}
        if text := reasoning_of(delta):
            self._add("thinking", text, out)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._add("text", content, out, choice.get("logprobs"))
        elif isinstance(content, list):
            self._parts(objects(content, "content"), out)
        if refusal := delta.get("refusal"):
            self._add("refusal", a_string(refusal, "refusal"), out)
        if calls := delta.get("tool_calls"):
            for call in objects(calls, "tool_calls"):
                self._call(call, out)
        if annotations := delta.get("annotations"):
            current = self._blocks.current
            for citation in decode_annotations(annotations) if current is not None else []:
                self._blocks.add(current, CitationDelta(citation), out)
        if choice.get("finish_reason"):
            self._finish = decode_finish(choice["finish_reason"], self._called)

    def _parts(self, parts: list[JsonObject], out: list[Event]) -> None:
        for part in parts:
            if part.get("type") == "thinking":
                if text := thinking_text(part):
                    self._add("thinking", text, out)
            elif isinstance(part.get("text"), str) and part["text"]:
                self._add("text", part["text"], out)

    def _add(self, kind: str, text: str, out: list[Event], logprobs: Any = None) -> None:
        current = self._blocks.current
        # Chat has no marks for blocks: one lasts until a delta of another kind comes. Texts have
        # the key (kind, serial), calls their index.
        if not (isinstance(current, tuple) and current[0] == kind):
            if current is not None:
                self._blocks.close_all(out)
                self._calls.clear()
            self._serial += 1
            current = (kind, self._serial)
            if kind == "thinking":
                self._blocks.open(current, Thinking("", vendor=OPENAI_CHAT), out)
            else:
                self._blocks.open(current, Text("", refusal=kind == "refusal"), out)
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        self._blocks.add(current, Delta(text, tokens or None), out)

    def _call(self, call: JsonObject, out: list[Event]) -> None:
        index = count(call.get("index")) or 0
        custom = call.get("custom")
        function = custom if isinstance(custom, dict) else call.get("function") or {}
        text = function.get("input" if custom else "arguments")
        # Only the first chunk of a call has its id and its name; some servers repeat them.
        names_call = isinstance(call.get("id"), str) and call["id"] and function.get("name")
        if names_call and index in self._calls:
            index = self._next_index(call["id"], index)
        if index not in self._calls:
            self._open_call(call, function, index, bool(custom), out)
        # Some compatible servers send the arguments as an object, all at once.
        if isinstance(text, dict):
            text = dumps(text).decode()
        if text:
            self._calls[index] += a_string(text, "tool_calls.function.arguments")
            self._blocks.add(index, Delta(text), out)

    def _next_index(self, call_id: str, index: int) -> int:
        """Return the index of a call.

        Servers that give every call index 0 mean a new one when the id changes.
        """
        for block in self._called:
            if isinstance(block, ToolCall) and block.id == call_id:
                return index
        return max(self._calls) + 1

    def _open_call(
        self, call: JsonObject, function: JsonObject, index: int, custom: bool, out: list[Event]
    ) -> None:
        current = self._blocks.current
        # A call follows: text before it has ended, and so has a call whose arguments are complete.
        # An incomplete one may continue, as calls may come interleaved.
        is_text = isinstance(current, tuple)
        if is_text or (isinstance(current, int) and _complete(self._calls.get(current, ""))):
            self._blocks.close(current, out)
        call_id = call.get("id") or f"call_{secrets.token_hex(8)}"
        block = ToolCall(
            str(call_id),
            a_string(function.get("name"), "tool_calls.function.name"),
            "",
            custom=custom,
        )
        self._called.append(block)
        self._calls[index] = ""
        self._blocks.open(index, block, out)


def _complete(arguments: str) -> bool:
    try:
        loads(arguments or "{}")
    except (ValueError, RecursionError):
        return False
    return True


def _status(error: Any, failure: Failure) -> int:
    """Return the status that an error chunk names, or that its words correspond to."""
    for key in ("status_code", "status", "code"):
        value = count(error.get(key)) if isinstance(error, dict) else None
        if value is not None and 400 <= value <= 599:
            return value
    words = {
        "invalid_request_error": 400,
        "rate_limit_error": 429,
        "rate_limit_exceeded": 429,
        "overloaded_error": 529,
    }
    return words.get(failure.kind or "") or words.get(failure.code or "") or 500


class ChatStreamEncoder:
    """Encoder of chunks. The usage chunk is only sent if the client asked for it."""

    def __init__(self, context: AnswerContext) -> None:
        options = context.client_body.get("stream_options")
        self._with_usage = isinstance(options, dict) and options.get("include_usage") is True
        self._context = context
        self._base: JsonObject = {}
        self._usage: Usage | None = None
        self._block: Block | None = None
        self._key = "content"
        self._call_index = -1
        self._offset = 0
        self._length = 0
        self._thought = False
        self._handlers: dict[type[Any], Callable[[Any], bytes]] = {
            Delta: self._on_delta,
            Start: self._on_start,
            BlockStart: self._on_block_start,
            BlockStop: self._on_block_stop,
            CitationDelta: self._on_citation,
            UsageUpdate: self._on_usage,
            End: self._on_end,
            Failure: lambda e: error_event(
                OPENAI_CHAT, e.status, e.message, kind=e.kind, code=e.code
            ),
        }

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `StreamEncoder.feed`."""
        handlers = self._handlers
        return b"".join(
            [handlers[kind](event) for event in events if (kind := type(event)) in handlers]
        )

    def _chunk(self, delta: JsonObject, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return b"data: " + dumps({**self._base, "choices": [choice]}) + b"\n\n"

    def _on_start(self, event: Start) -> bytes:
        self._base = {
            "id": event.id or new_id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()) if event.created is None else event.created,
            "model": event.model or self._context.model or "",
        }
        if self._with_usage:
            self._base["usage"] = None
        self._usage = event.usage
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _on_block_start(self, event: BlockStart) -> bytes:
        block = self._block = event.block
        self._length = 0
        first = b""
        if isinstance(block, Thinking):
            self._key = "reasoning_content"
            # Chat has one reasoning text; buffered, the blocks are joined the same way.
            if self._thought and not block.redacted:
                first = self._chunk({"reasoning_content": "\n\n"})
        elif isinstance(block, ToolCall):
            self._call_index += 1
            function = {"name": block.name, "arguments": ""}
            call = {"index": self._call_index, "id": block.id, "type": "function"}
            first = self._chunk({"tool_calls": [{**call, "function": function}]})
        elif isinstance(block, Text):
            self._key = "refusal" if block.refusal else "content"
        return first

    def _on_delta(self, event: Delta) -> bytes:
        block = self._block
        if isinstance(block, ToolCall):
            return self._chunk(
                {"tool_calls": [{"index": self._call_index, "function": {"arguments": event.text}}]}
            )
        if not isinstance(block, Text | Thinking):
            return b""
        self._length += len(event.text)
        logprobs = {"content": event.logprobs, "refusal": None} if event.logprobs else None
        return self._chunk({self._key: event.text}, logprobs=logprobs)

    def _on_citation(self, event: CitationDelta) -> bytes:
        annotation = encode_annotation(event.citation, self._offset, self._length)
        return self._chunk({"annotations": [annotation]}) if annotation else b""

    def _on_block_stop(self, _: BlockStop) -> bytes:
        if isinstance(self._block, Thinking):
            self._thought = self._thought or self._length > 0
        elif isinstance(self._block, Text) and not self._block.refusal:
            self._offset += self._length
        self._block = None
        return b""

    def _on_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _on_end(self, event: End) -> bytes:
        last = self._chunk({}, encode_finish(event.finish))
        # Usage comes after the finish reason, in a chunk without choices:
        # https://platform.openai.com/docs/api-reference/chat/create (stream_options)
        if self._with_usage and (usage := encode_usage(self._usage)) is not None:
            last += b"data: " + dumps({**self._base, "choices": [], "usage": usage}) + b"\n\n"
        return last + b"data: [DONE]\n\n"
