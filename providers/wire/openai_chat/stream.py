"""OpenAI Chat Completions streams: chunks ↔ events.

Source: OpenAI's OpenAPI file, `CreateChatCompletionStreamResponse`;
https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from providers.base.names import OPENAI_CHAT
from providers.wire.core.base import AnswerContext
from providers.wire.core.event_json import Watch, event_bodies
from providers.wire.core.ir import (
    Block,
    Failure,
    Finish,
    JsonObject,
    Losses,
    Text,
    Thinking,
    ToolCall,
    Usage,
    merged_usage,
)
from providers.wire.core.jsonio import dumps
from providers.wire.core.shape import a_string, an_object, count, name_of, objects
from providers.wire.core.sse import SseEvent
from providers.wire.core.stream_event import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Delta,
    End,
    Event,
    SignatureDelta,
    Start,
    UsageUpdate,
    encode_each,
)
from providers.wire.errors import error_event
from providers.wire.failures.reported_failure import failure_of_event
from providers.wire.openai_chat.reasoning_parts import ReasoningDetails
from providers.wire.openai_chat.response import (
    LOST_ANNOTATION,
    decode_annotations,
    decode_finish,
    decode_usage,
    dropped_part,
    encode_annotation,
    encode_finish,
    encode_usage,
    new_id,
    reasoning_key,
    thinking_text,
    transcript_of,
    with_tier,
)
from providers.wire.openai_chat.stream_calls import CallPart, CallParts
from providers.wire.rules.sequence import Sequencer
from providers.wire.rules.usage_search import usage_in

_MAYBE_DONE: Final = (b"[", b" ", b"\t", b"\n")
_CUT: Final = "The provider's stream ended before its answer was complete."


class ChatStreamDecoder:
    """Decoder of `chat.completion.chunk` objects. Only the first choice counts."""

    def __init__(self) -> None:
        self.losses = Losses()
        self.watch: Watch | None = None
        self._blocks = Sequencer()
        self._calls = CallParts(self._blocks, self.losses)
        self._text: tuple[str, int] | None = None  # key of the open text: its kind and number
        self._started = False
        self._done = False
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._serial = 0
        self._reasoning = "reasoning_content"  # the field of the latest reasoning
        self._details = ReasoningDetails()

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if self._done:
            return []
        if event.data.startswith(_MAYBE_DONE) and event.data.strip() == b"[DONE]":
            return self._end()
        if (failure := failure_of_event(event)) is not None:
            self._done = True
            return [failure]
        out: list[Event] = []
        mentions = event.data.count(b"sage")
        for body in event_bodies(event):
            if self.watch is not None:
                self.watch(body)
            # OpenAI's chunks before the last one have a usage of null.
            is_null = mentions == 1 and "usage" in body and body["usage"] is None
            if not self._done:
                self._take(body, mentions > 0 and not is_null, out)
        return out

    def _take(self, body: JsonObject, may_have_usage: bool, out: list[Event]) -> None:
        choices = body.get("choices")
        text = self._next_text(choices)
        if text is not None:
            self._blocks.add(self._text, Delta(text), out)
            choices = None
        # Azure's first chunk has results of its content filter alone, without id and choices.
        if not self._started and (choices or body.get("id")):
            self._started = True
            out.append(
                Start(
                    name_of(body.get("id")), name_of(body.get("model")), count(body.get("created"))
                )
            )
        for choice in objects(choices or [], "choices"):
            self._choice(choice, out)
        usage = decode_usage(usage_in(body)) if may_have_usage else None
        if body.get("service_tier") and (usage is not None or self._usage is None):
            usage = with_tier(usage, body)
        if usage is not None:
            self._usage = merged_usage(self._usage, usage)
            out.append(UsageUpdate(self._usage))

    def _next_text(self, choices: Any) -> str | None:
        """Return the text of a chunk that has nothing else for the open text, as nearly all do.

        [{"index": 0, "delta": {"content": " a"}, "finish_reason": null}] → " a"
        """
        if self._text is None or type(choices) is not list or len(choices) != 1:
            return None
        choice = choices[0]
        delta = choice.get("delta") if type(choice) is dict else None
        if type(delta) is not dict or len(delta) != 1 or self._text[0] != "text":
            return None
        if choice.get("finish_reason") or choice.get("logprobs") or choice.get("index"):
            return None
        text = delta.get("content")
        return text if type(text) is str else None

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`.

        Some servers leave `[DONE]` out; a finish reason counts as well.
        """
        if self._done:
            return []
        return self._end() if self._finish is not None else [Failure(_CUT)]

    def held(self) -> list[Event]:
        """See `StreamDecoder.held`."""
        out: list[Event] = []
        self._close_text(out)
        self._calls.finish(out)
        self._blocks.close_all(out)
        return out

    def _end(self) -> list[Event]:
        """Return the end event. `[DONE]` or a finish reason is enough; some servers omit one."""
        if not self._started:
            return [Failure(_CUT)]
        out = self.held()
        self._done = True
        # Calls may come after the finish reason.
        finish = self._finish or Finish("stop")
        if finish.reason in ("stop", "other"):
            finish = decode_finish(finish.raw, self._calls.called)
        out.append(End(finish))
        return out

    def _choice(self, choice: JsonObject, out: list[Event]) -> None:
        if choice.get("index") not in (0, None):
            self.losses.add("choices", "Only the first choice is translated.")
            return
        delta = choice.get("delta")
        # Some servers only send the complete message, in the last chunk.
        if not delta and not self._serial and not self._calls.called:
            delta = choice.get("message")
        delta = an_object(delta or {}, "delta")
        if (key := reasoning_key(delta)) is not None:
            self._reasoning = key
            self._add("thinking", delta[key], out)
        if details := delta.get("reasoning_details"):
            self._details.add(details)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._add("text", content, out, choice.get("logprobs"))
        elif isinstance(content, list):
            self._parts(objects(content, "content"), out)
        if (transcript := transcript_of(delta, self.losses)) is not None:
            self._add("text", transcript, out)
        if refusal := delta.get("refusal"):
            self._add("refusal", a_string(refusal, "refusal"), out)
        self._tool_calls(delta, out)
        if annotations := delta.get("annotations"):
            for citation in decode_annotations(annotations):
                if not self._blocks.add(self._text, CitationDelta(citation), out):
                    self.losses.add("annotations", LOST_ANNOTATION)
        if choice.get("finish_reason"):
            self._finish = decode_finish(choice["finish_reason"], self._calls.called)

    def _parts(self, parts: list[JsonObject], out: list[Event]) -> None:
        for part in parts:
            if part.get("type") == "thinking":
                if text := thinking_text(part):
                    self._reasoning = "thinking"
                    self._add("thinking", text, out)
            elif isinstance(part.get("text"), str):
                if part["text"]:
                    self._add("text", part["text"], out)
            else:
                self.losses.add("content", dropped_part(part))

    def _add(self, kind: str, text: str, out: list[Event], logprobs: Any = None) -> None:
        # Chat has no marks for blocks: a text lasts until a text of another kind or a call begins.
        # Parts of earlier calls between its own do not end it.
        key = self._text
        if key is None or key[0] != kind:
            self._close_text(out)
            self._serial += 1
            key = self._text = (kind, self._serial)
            if kind == "thinking":
                block = Thinking("", vendor=OPENAI_CHAT, id=self._reasoning)
                self._blocks.open(key, block, out)
            else:
                self._blocks.open(key, Text("", refusal=kind == "refusal"), out)
            self._calls.close_complete(out)
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        self._blocks.add(key, Delta(text, tokens or None), out)

    def _close_text(self, out: list[Event]) -> None:
        if self._text is not None:
            if self._text[0] == "thinking" and (signed := self._details.taken()) is not None:
                self._blocks.add(self._text, SignatureDelta(signed, OPENAI_CHAT), out)
            self._blocks.close(self._text, out)
            self._text = None

    def _tool_calls(self, delta: JsonObject, out: list[Event]) -> None:
        calls = objects(delta.get("tool_calls") or [], "tool_calls")
        # The deprecated form: one call, without index and id.
        if not calls and isinstance(legacy := delta.get("function_call"), dict):
            calls = [{"index": 0, "function": legacy}]
        for position, call in enumerate(calls):
            part = CallPart(call)
            known = self._calls.find(part, position, len(calls))
            if known is None:
                self._close_text(out)
            self._calls.take(part, known, out)


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
        self._call_key = ("function", "arguments")
        self._annotations = -1
        self.losses = Losses()
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
        return encode_each(events, self._handlers)

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
            self._call_key = ("custom", "input") if block.custom else ("function", "arguments")
            kind, field = self._call_key
            call = {"index": self._call_index, "id": block.id, "type": kind}
            first = self._chunk({"tool_calls": [{**call, kind: {"name": block.name, field: ""}}]})
        elif isinstance(block, Text):
            self._key = "refusal" if block.refusal else "content"
        return first

    def _on_delta(self, event: Delta) -> bytes:
        kind_of_block = type(self._block)
        if kind_of_block is ToolCall:
            kind, field = self._call_key
            return self._chunk(
                {"tool_calls": [{"index": self._call_index, kind: {field: event.text}}]}
            )
        if kind_of_block is not Text and kind_of_block is not Thinking:
            return b""
        self._length += len(event.text)
        logprobs = {"content": event.logprobs, "refusal": None} if event.logprobs else None
        return self._chunk({self._key: event.text}, logprobs=logprobs)

    def _on_citation(self, event: CitationDelta) -> bytes:
        annotation = encode_annotation(event.citation, self._offset, self._length)
        if annotation is None:
            return b""
        # OpenAI's SDK joins the entries of a list by their index.
        self._annotations += 1
        return self._chunk({"annotations": [{"index": self._annotations, **annotation}]})

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
        self._base |= event.notes
        if self._usage is not None and self._usage.service_tier is not None:
            self._base["service_tier"] = self._usage.service_tier
        last = self._chunk({}, encode_finish(event.finish))
        # Usage comes after the finish reason, in a chunk without choices:
        # https://platform.openai.com/docs/api-reference/chat/create (stream_options)
        if self._with_usage and (usage := encode_usage(self._usage)) is not None:
            last += b"data: " + dumps({**self._base, "choices": [], "usage": usage}) + b"\n\n"
        return last + b"data: [DONE]\n\n"
