"""Google streams: `GenerateContentResponse` chunks ↔ events.

Source: Gemini API, `streamGenerateContent`. With `alt=sse` each chunk is an event; without it they
are the elements of one JSON array, which only the encoder writes (providers are always asked for
`alt=sse`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE
from providers.wire.core.base import AnswerContext
from providers.wire.core.event_json import Watch, event_bodies
from providers.wire.core.google_keys import camel, set_fields
from providers.wire.core.ir import (
    Block,
    Citation,
    Failure,
    Finish,
    Foreign,
    JsonObject,
    Losses,
    Text,
    Thinking,
    ToolCall,
    Usage,
    merged_usage,
)
from providers.wire.core.jsonio import dumps
from providers.wire.core.shape import an_object, name_of, objects
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
from providers.wire.errors import error_body
from providers.wire.failures.reported_failure import failure_of_event
from providers.wire.google_generate.grounding import (
    LOST_SOURCES,
    decode_grounding,
    encode_grounding,
    encode_logprobs,
    search_of,
)
from providers.wire.google_generate.partial_args import PartialArguments
from providers.wire.google_generate.request_decode import decode_call, decode_part
from providers.wire.google_generate.response import (
    blocked,
    decode_finish,
    decode_usage,
    encode_answer_block,
    encode_finish,
    envelope,
    failed_call,
    new_call_id,
    parsed_arguments,
    refused,
    unwrapped,
)
from providers.wire.rules.events import whole
from providers.wire.rules.usage_search import usage_in

_RESPONSE_KEYS: Final = (
    *("candidates", "responseId", "modelVersion", "promptFeedback", "usageMetadata"),
)
_CUT: Final = "The provider's stream ended before its answer was complete."


class GoogleStreamDecoder:
    """Decoder of chunks. Adjacent texts are one block; a part holds a complete call."""

    def __init__(self) -> None:
        self.losses = Losses()
        self.watch: Watch | None = None
        self._started = False
        self._done = False
        self._open: type[Text | Thinking] | None = None
        self._called = False
        self._finish: Finish | None = None
        self._failure: Failure | None = None
        self._partial: dict[str, PartialArguments] = {}  # open calls by id or name, latest last
        self._prompt_block: Finish | None = None
        self._usage: Usage | None = None
        self._raw_usage: JsonObject | None = None
        self._search: Foreign | None = None

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if not self._done and (failure := failure_of_event(event)) is not None:
            self._done = True
            return [failure]
        out: list[Event] = []
        for raw in event_bodies(event):
            if self.watch is not None:
                self.watch(raw)
            if not self._done:
                self._take(camel(unwrapped(raw)), out)
        return out

    def _take(self, body: JsonObject, out: list[Event]) -> None:
        # Anything else is no part of a response, such as a gateway's `{"type": "ping"}`.
        if not self._started and any(key in body for key in _RESPONSE_KEYS):
            self._started = True
            out.append(Start(name_of(body.get("responseId")), name_of(body.get("modelVersion"))))
        candidates = body.get("candidates")
        text = _only_text(candidates) if self._open is Text else None
        if text is not None:
            if text:
                out.append(Delta(text))
        else:
            for candidate in objects(candidates or [], "candidates"):
                self._candidate(camel(candidate), out)
            if not candidates and body.get("promptFeedback"):
                self._prompt_block = blocked(body)
        # Each chunk has counts, many the same as the one before.
        if self._raw_usage is None or body.get("usageMetadata") != self._raw_usage:
            self._count(usage_in(body), out)

    def _count(self, raw: JsonObject | None, out: list[Event]) -> None:
        if raw is None or raw == self._raw_usage:
            return
        self._raw_usage = raw
        if (usage := decode_usage(raw)) is not None:
            self._usage = merged_usage(self._usage, usage)
            out.append(UsageUpdate(self._usage))

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`. Google has no terminator: a finish reason was the end."""
        if self._done:
            return []
        self._done = True
        finish = self._finish or self._prompt_block
        if finish is None:
            return [Failure(_CUT)]
        # The end of the response is the end of its calls, even of those that were to continue.
        out = self.held()
        if self._search is not None:
            out += whole(self._search)
        if self._called and finish.reason == "stop":
            finish = replace(finish, reason="tool_calls")
        return [*out, End(finish)]

    def held(self) -> list[Event]:
        """See `StreamDecoder.held`."""
        out: list[Event] = []
        for partial in self._partial.values():
            self._whole_call(partial.call(new_call_id()), out)
        self._partial = {}
        self._close(out)
        return out

    def _candidate(self, candidate: JsonObject, out: list[Event]) -> None:
        if candidate.get("index") not in (0, None):
            self.losses.add("candidates", "Only the first candidate is translated.")
            return
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for index, part in enumerate(objects(parts or [], "parts")):
            self._part(set_fields(part), f"parts[{index}]", out)
        if isinstance(grounding := candidate.get("groundingMetadata"), dict):
            self._ground(decode_grounding(grounding), out)
            self._search = search_of(grounding) or self._search
        if candidate.get("finishReason"):
            self._finish = decode_finish(candidate, self._called)
            if (failure := failed_call(self._finish)) is not None:
                self._done = True
                out.append(failure)

    def _ground(self, citations: list[Citation], out: list[Event]) -> None:
        if self._open is Text:
            out.extend(CitationDelta(citation) for citation in citations)
        elif citations:
            self.losses.add("groundingMetadata", LOST_SOURCES)

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
            if isinstance(block, Text) and not block.text:
                # Gemini ends with a signed empty text. Clients may not send an empty text back.
                self.losses.add("parts.thoughtSignature", "A signature without text was dropped.")
                return
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
        key = self._partial_key(raw)
        continues = bool(raw.get("willContinue")) or "partialArgs" in raw
        # The usual call is complete in its part. With `streamFunctionCallArguments` it continues.
        if key is None and not continues:
            # `{}` ends a call that has ended already.
            if raw:
                self._whole_call(decode_call(part, path, new_call_id()), out)
            return
        if key is None:
            key = str(raw.get("id") or raw.get("name") or "")
            self._partial[key] = PartialArguments(raw, part.get("thoughtSignature"))
        partial = self._partial[key] = self._partial.pop(key)
        partial.add(raw)
        if not raw.get("willContinue"):
            del self._partial[key]
            self._whole_call(partial.call(new_call_id()), out)

    def _partial_key(self, raw: JsonObject) -> str | None:
        """Return the key of the open call that a part continues, or None if it begins one.

        A part without id and name continues the latest call.
        """
        if raw.get("id"):
            key = str(raw["id"])
            return key if key in self._partial else None
        for key, partial in reversed(self._partial.items()):
            if raw.get("name") in (None, "", partial.name):
                return key
        return None

    def _whole_call(self, call: ToolCall, out: list[Event]) -> None:
        self._called = True
        self._close(out)
        out.extend(whole(call))

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            self._open = None
            out.append(BlockStop())


_ONLY_CONTENT: Final = frozenset({"content", "index"})


def _only_text(candidates: Any) -> str | None:
    """Return the text of a chunk that has nothing else, as nearly all do.

    [{"content": {"role": "model", "parts": [{"text": " a"}]}, "index": 0}] → " a"
    """
    if type(candidates) is not list or len(candidates) != 1 or type(candidates[0]) is not dict:
        return None
    candidate = candidates[0]
    content = candidate.get("content")
    if type(content) is not dict or not candidate.keys() <= _ONLY_CONTENT:
        return None
    parts = content.get("parts")
    if candidate.get("index") or type(parts) is not list or len(parts) != 1:
        return None
    part = parts[0]
    if type(part) is not dict or len(part) != 1:
        return None
    text = part.get("text")
    return text if type(text) is str else None


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
        self._notes: JsonObject = {}
        self.losses = Losses()
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
        return encode_each(events, self._handlers)

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
        body = envelope([candidate], self._model, self._id, self._usage) | self._notes
        return self._frame(dumps(body))

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
        parts = encode_answer_block(event.block, self.losses)
        return self._chunk(parts) if parts else b""

    def _on_delta(self, event: Delta) -> bytes:
        self._pieces.append(event.text)
        kind = type(self._block)
        if kind is Text:
            if event.logprobs:
                tokens = encode_logprobs(event.logprobs)
                return self._chunk([{"text": event.text}], logprobsResult=tokens)
            return self._chunk([{"text": event.text}])
        if kind is Thinking:
            return self._chunk([{"text": event.text, "thought": True}])
        return b""

    def _on_signature(self, event: SignatureDelta) -> bytes:
        if event.vendor == GOOGLE_GENERATE and isinstance(self._block, Text | Thinking):
            thought = {"thought": True} if isinstance(self._block, Thinking) else {}
            return self._chunk([{"text": "", **thought, "thoughtSignature": event.signature}])
        return b""

    def _on_citation(self, event: CitationDelta) -> bytes:
        if isinstance(self._block, Text):
            self._block.citations = [*self._block.citations, event.citation]
        return b""

    def _on_block_stop(self, _: BlockStop) -> bytes:
        block, text = self._block, "".join(self._pieces)
        self._block = None
        if isinstance(block, Text):
            block.text = text
            self._texts.append(block)
        elif isinstance(block, ToolCall):
            block.arguments = parsed_arguments(text)
            return self._chunk(encode_answer_block(block, self.losses))
        return b""

    def _on_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _on_end(self, event: End) -> bytes:
        self._notes = event.notes
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
