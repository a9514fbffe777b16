"""Google streams: `GenerateContentResponse` chunks ↔ events.

Source: Gemini API, `streamGenerateContent`. With `alt=sse` each chunk is an event; without it they
are the elements of one JSON array, which only the encoder writes (providers are always asked for
`alt=sse`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE
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
    Losses,
    SignatureDelta,
    Start,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsageUpdate,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.core.shape import an_object, count, objects
from providers.wire.core.sse import SseEvent
from providers.wire.errors import error_body
from providers.wire.google_generate.keys import camel
from providers.wire.google_generate.partial_args import PartialArguments
from providers.wire.google_generate.request_decode import decode_call, decode_part
from providers.wire.google_generate.response import (
    blocked,
    decode_finish,
    decode_grounding,
    decode_usage,
    encode_answer_block,
    encode_finish,
    encode_grounding,
    envelope,
    new_call_id,
    parsed_arguments,
    refused,
    unwrapped,
)
from providers.wire.rules.events import whole

_CUT: Final = "The provider's stream ended before its answer was complete."


class GoogleStreamDecoder:
    """Decoder of chunks. Adjacent texts are one block; a part holds a complete call."""

    def __init__(self) -> None:
        self._started = False
        self._done = False
        self._open: type[Text | Thinking] | None = None
        self._called = False
        self._finish: Finish | None = None
        self._partial: PartialArguments | None = None
        self._prompt_block: Finish | None = None

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if self._done or event.data.strip() == b"[DONE]":
            return []
        body = camel(unwrapped(an_object(loads(event.data), "chunk")))
        if "error" in body:
            return self._error(body["error"])
        out: list[Event] = []
        if not self._started:
            self._started = True
            out.append(Start(body.get("responseId"), body.get("modelVersion")))
        candidates = body.get("candidates")
        if candidates:
            self._candidate(camel(objects(candidates, "candidates")[0]), out)
        elif body.get("promptFeedback"):
            self._prompt_block = blocked(body)
        if (usage := decode_usage(body.get("usageMetadata"))) is not None:
            out.append(UsageUpdate(usage))
        return out

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`. Google has no terminator: a finish reason was the end."""
        if self._done:
            return []
        self._done = True
        finish = self._finish or self._prompt_block
        if finish is None:
            return [Failure(_CUT)]
        out: list[Event] = []
        self._close(out)
        return [*out, End(finish)]

    def _error(self, error: Any) -> list[Event]:
        self._done = True
        error = error if isinstance(error, dict) else {}
        status = count(error.get("code")) or 500
        kind = error.get("status")
        # `code` is an HTTP status; another number, such as a gRPC code, becomes 500.
        if not 400 <= status <= 599:
            status = 500
        return [Failure(str(error.get("message") or kind), status, kind)]

    def _candidate(self, candidate: JsonObject, out: list[Event]) -> None:
        if candidate.get("index") not in (0, None):
            return
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for index, part in enumerate(objects(parts or [], "parts")):
            self._part(camel(part), f"parts[{index}]", out)
        if isinstance(grounding := candidate.get("groundingMetadata"), dict) and self._open is Text:
            out.extend(CitationDelta(citation) for citation in decode_grounding(grounding))
        if candidate.get("finishReason"):
            self._finish = decode_finish(candidate, self._called)

    def _part(self, part: JsonObject, path: str, out: list[Event]) -> None:
        if "functionCall" in part:
            self._call(part, path, out)
            return
        block = decode_part(part, path)
        if not isinstance(block, Text | Thinking):
            self._close(out)
            out.extend(whole(block))
            return
        if not block.text and not block.signature:
            return
        # Google has no marks for blocks: one lasts until a part of another kind comes.
        if self._open is not type(block):
            self._close(out)
            self._open = type(block)
            is_thinking = isinstance(block, Thinking)
            start = Thinking("", vendor=GOOGLE_GENERATE) if is_thinking else Text("")
            out.append(BlockStart(start))
        if block.text:
            out.append(Delta(block.text))
        if block.signature:
            out.append(SignatureDelta(block.signature, GOOGLE_GENERATE))

    def _call(self, part: JsonObject, path: str, out: list[Event]) -> None:
        raw = camel(an_object(part["functionCall"], path))
        # The usual call is complete in its part. With `streamFunctionCallArguments` it continues.
        if self._partial is None and not raw.get("willContinue") and "partialArgs" not in raw:
            self._called = True
            self._close(out)
            out.extend(whole(decode_call(part, path, new_call_id())))
            return
        if self._partial is None:
            self._partial = PartialArguments(raw, part.get("thoughtSignature"))
        self._partial.add(raw)
        if not raw.get("willContinue"):
            self._called = True
            self._close(out)
            out.extend(whole(self._partial.call(new_call_id())))
            self._partial = None

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            self._open = None
            out.append(BlockStop())


class GoogleStreamEncoder:
    """Encoder of chunks.

    A call is sent once its arguments are complete: Google's grammar has no partial arguments here.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._array = context.json_array
        self._separator = b"["
        self._id: str | None = None
        self._model: str | None = None
        self._usage: Usage | None = None
        self._block: Block | None = None
        self._pieces: list[str] = []
        self._texts: list[Block] = []
        self._said = False
        self._handlers: dict[type[Any], Callable[[Any], bytes]] = {
            Delta: self._on_delta,
            Start: self._on_start,
            BlockStart: self._on_block_start,
            BlockStop: self._on_block_stop,
            SignatureDelta: self._on_signature,
            CitationDelta: self._on_citation,
            UsageUpdate: self._on_usage,
            End: self._on_end,
            Failure: self._on_failure,
        }

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `StreamEncoder.feed`."""
        handlers = self._handlers
        return b"".join(
            [handlers[kind](event) for event in events if (kind := type(event)) in handlers]
        )

    def _frame(self, data: bytes) -> bytes:
        # Google ends its SSE lines with CRLF.
        if not self._array:
            return b"data: " + data + b"\r\n\r\n"
        framed = self._separator + data
        self._separator = b",\r\n"
        return framed

    def _chunk(self, parts: list[JsonObject], **more: Any) -> bytes:
        self._said = True
        candidate: JsonObject = {"content": {"role": "model", "parts": parts}, "index": 0, **more}
        return self._frame(dumps(envelope([candidate], self._model, self._id, self._usage)))

    def _on_start(self, event: Start) -> bytes:
        self._id = event.id
        self._model = event.model or self._context.model
        self._usage = event.usage
        # Google's grammar has no start: id and model are in every chunk.
        return b""

    def _on_block_start(self, event: BlockStart) -> bytes:
        self._block = event.block
        self._pieces = []
        if isinstance(event.block, Text | Thinking | ToolCall):
            return b""
        parts = encode_answer_block(event.block, Losses())
        return self._chunk(parts) if parts else b""

    def _on_delta(self, event: Delta) -> bytes:
        self._pieces.append(event.text)
        if isinstance(self._block, Text):
            return self._chunk([{"text": event.text}])
        if isinstance(self._block, Thinking):
            return self._chunk([{"text": event.text, "thought": True}])
        return b""

    def _on_signature(self, event: SignatureDelta) -> bytes:
        if event.vendor == GOOGLE_GENERATE and isinstance(self._block, Text | Thinking):
            thought = {"thought": True} if isinstance(self._block, Thinking) else {}
            return self._chunk([{"text": "", **thought, "thoughtSignature": event.signature}])
        return b""

    def _on_citation(self, event: CitationDelta) -> bytes:
        if isinstance(self._block, Text):
            self._block.citations.append(event.citation)
        return b""

    def _on_block_stop(self, _: BlockStop) -> bytes:
        block, text = self._block, "".join(self._pieces)
        self._block = None
        if isinstance(block, Text):
            block.text = text
            self._texts.append(block)
        elif isinstance(block, ToolCall):
            block.arguments = parsed_arguments(text)
            return self._chunk(encode_answer_block(block, Losses()))
        return b""

    def _on_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _on_end(self, event: End) -> bytes:
        more: JsonObject = {
            "finishReason": encode_finish(event.finish, refused=refused(self._texts))
        }
        if event.finish.detail:
            more["finishMessage"] = event.finish.detail
        if grounding := encode_grounding(self._texts):
            more["groundingMetadata"] = grounding
        # Google's own SDK forgets a turn that has a chunk without parts; Google ends with an empty
        # text too.
        parts: list[JsonObject] = [{"text": ""}] if self._said else []
        return self._chunk(parts, **more) + (b"]" if self._array else b"")

    def _on_failure(self, event: Failure) -> bytes:
        failed = self._frame(error_body(GOOGLE_GENERATE, event.status, event.message))
        return failed + b"]" if self._array else failed
