"""OpenAI Responses streams → events.

Source: OpenAI's OpenAPI file, `ResponseStreamEvent`;
https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.event_json import Watch, event_bodies
from providers.wire.core.ir import (
    Block,
    Citation,
    Failure,
    JsonObject,
    Losses,
    Text,
    Thinking,
    ToolCall,
)
from providers.wire.core.shape import a_string, an_object, count, maybe_string, name_of, objects
from providers.wire.core.sse import SseEvent
from providers.wire.core.stream_event import (
    CitationDelta,
    Delta,
    End,
    Event,
    SignatureDelta,
    Start,
    UsageUpdate,
)
from providers.wire.failures.reported_failure import failure_of_event
from providers.wire.openai_responses.request_decode import decode_annotation, decode_part
from providers.wire.openai_responses.response import (
    decode_finish,
    decode_item,
    decode_usage,
    new_id,
)
from providers.wire.openai_responses.stream_items import (
    CALL,
    MESSAGE,
    REASONING,
    Item,
    Items,
    Part,
    arguments_of,
    index_in,
    is_refusal,
    kind_of,
    summary_of,
)
from providers.wire.rules.sequence import Sequencer
from providers.wire.rules.usage_search import usage_in

_CUSTOM_DELTA: Final = "response.custom_tool_call_input.delta"
_CUSTOM_DONE: Final = "response.custom_tool_call_input.done"
_CUT: Final = "The provider's stream ended before its answer was complete."


class ResponsesStreamDecoder:
    """Decoder of Responses events.

    A text may come in deltas, at the end of its part or of its item, or only in the last event.
    Whatever comes first is sent, and later events add what is still missing.
    """

    def __init__(self) -> None:
        self.losses = Losses()
        self.watch: Watch | None = None
        self._blocks = Sequencer()
        self._items = Items()
        self._started = False
        self._done = False
        self._serial = 0
        self._handlers: dict[str, Callable[[JsonObject, list[Event]], None]] = {
            "response.output_text.delta": self._text_delta,
            "response.refusal.delta": self._text_delta,
            "response.function_call_arguments.delta": self._call_delta,
            "response.custom_tool_call_input.delta": self._call_delta,
            "response.reasoning_summary_text.delta": self._reasoning_delta,
            "response.reasoning_text.delta": self._reasoning_delta,
            "response.reasoning_summary_part.added": self._summary_part,
            "response.reasoning_summary_text.done": self._reasoning_done,
            "response.reasoning_text.done": self._reasoning_done,
            "response.output_text.done": self._text_done,
            "response.refusal.done": self._text_done,
            "response.function_call_arguments.done": self._call_done,
            "response.custom_tool_call_input.done": self._call_done,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.output_text.annotation.added": self._annotation,
            "response.completed": self._terminal,
            "response.done": self._terminal,
            "response.incomplete": self._terminal,
        }

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if not self._done and (failure := failure_of_event(event)) is not None:
            self._done = True
            return [failure]
        out: list[Event] = []
        for body in event_bodies(event):
            if self.watch is not None:
                self.watch(body)
            if not self._done:
                self._take(body, event.event, out)
        return out

    def _take(self, body: JsonObject, name: str, out: list[Event]) -> None:
        # `response.created` carries id and model; any event with a response will do, because some
        # compatible servers leave it out.
        if not self._started and isinstance(body.get("response"), dict):
            self._start(body["response"], out)
        kind = body.get("type") or name
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is not None:
            handler(body, out)

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`."""
        return [] if self._done else [Failure(_CUT)]

    def held(self) -> list[Event]:
        """See `StreamDecoder.held`."""
        out: list[Event] = []
        self._name_calls(out)
        self._blocks.close_all(out)
        return out

    def _start(self, response: JsonObject, out: list[Event]) -> None:
        self._started = True
        out.append(
            Start(
                name_of(response.get("id")),
                name_of(response.get("model")),
                count(response.get("created_at")),
            )
        )

    # --- blocks

    def _open(
        self, item: Item, name: Any, block: Block, out: list[Event], *, ready: bool = True
    ) -> Part:
        if not self._started:
            self._start({}, out)
        self._serial += 1
        part = item.parts[name] = Part(self._serial, block, ready=ready)
        self._blocks.open(part.key, block, out, ready=ready)
        return part

    def _add(self, part: Part, text: str, out: list[Event], logprobs: Any = None) -> None:
        if not text:
            return
        part.texts.append(text)
        event = Delta(text, logprobs if isinstance(logprobs, list) and logprobs else None)
        if self._blocks.add(part.key, event, out):
            return
        if isinstance(part.block, ToolCall):
            self.losses.add("output", "Arguments after the end of their call were dropped.")
            return
        # A text that goes on after its end becomes a block of its own.
        if isinstance(part.block, Text):
            part.block = Text("", refusal=part.block.refusal)
        else:
            part.block = Thinking("", None, OPENAI_RESPONSES)
        self._serial += 1
        part.key = self._serial
        self._blocks.open(part.key, part.block, out)
        self._blocks.add(part.key, event, out)

    def _complete(self, part: Part, full: str, out: list[Event], logprobs: Any = None) -> None:
        """Add what is missing of a text or of arguments that an event repeats at its end."""
        sent = "".join(part.texts)
        if full.startswith(sent):
            self._add(part, full[len(sent) :], out, None if sent else logprobs)
        elif full and not isinstance(part.block, Thinking):
            self.losses.add("output", "An item ends otherwise than its deltas, which were sent.")

    # --- messages

    def _text_part(self, body: JsonObject, *, refusal: bool, out: list[Event]) -> Part:
        item = self._items.of_event(MESSAGE, body.get("item_id"), body.get("output_index"))
        return self._part_of(item, body.get("content_index"), refusal, out)

    def _part_of(self, item: Item, index: Any, refusal: bool, out: list[Event]) -> Part:
        # Servers that skip `content_part.added` begin a part with its first delta.
        name = (index or 0, refusal)
        return item.parts.get(name) or self._open(item, name, Text("", refusal=refusal), out)

    def _part_added(self, body: JsonObject, out: list[Event]) -> None:
        part = an_object(body.get("part"), "part")
        if part.get("type") in ("output_text", "refusal"):
            opened = self._text_part(body, refusal=part["type"] == "refusal", out=out)
            self._add(opened, str(part.get("text") or part.get("refusal") or ""), out)

    def _text_delta(self, body: JsonObject, out: list[Event]) -> None:
        part = self._text_part(body, refusal=is_refusal(body), out=out)
        self._add(part, a_string(body.get("delta"), "delta"), out, body.get("logprobs"))

    def _text_done(self, body: JsonObject, out: list[Event]) -> None:
        full = body.get("text") or body.get("refusal")
        if isinstance(full, str):
            part = self._text_part(body, refusal=is_refusal(body), out=out)
            self._complete(part, full, out, body.get("logprobs"))

    def _annotation(self, body: JsonObject, out: list[Event]) -> None:
        part = self._text_part(body, refusal=False, out=out)
        citation = decode_annotation(an_object(body.get("annotation"), "annotation"))
        part.cited = True
        self._cite(part, citation, out)

    def _cite(self, part: Part, citation: Citation, out: list[Event]) -> None:
        if not self._blocks.add(part.key, CitationDelta(citation), out):
            self.losses.add("annotations", "An annotation after the end of its text was dropped.")

    def _part_done(self, body: JsonObject, out: list[Event]) -> None:
        raw = body.get("part")
        if isinstance(raw, dict) and raw.get("type") == "reasoning_text":
            self._reasoning_done({**body, "text": raw.get("text")}, out)
            return
        item = self._items.of_event(MESSAGE, body.get("item_id"), body.get("output_index"))
        if isinstance(raw, dict):
            self._complete_part(item, body.get("content_index"), raw, out)
        for name, part in item.parts.items():
            if name is not None and name[0] == (body.get("content_index") or 0):
                self._blocks.close(part.key, out)

    def _complete_part(self, item: Item, index: Any, raw: JsonObject, out: list[Event]) -> None:
        block = decode_part(raw, "part")
        if not isinstance(block, Text):
            if (index, False) not in item.parts:
                self._blocks.close(self._open(item, (index, False), block, out).key, out)
            return
        known = (index or 0, block.refusal) in item.parts
        if not known and not block.text:
            return
        part = self._part_of(item, index, block.refusal, out)
        self._complete(part, block.text, out, block.logprobs)
        for citation in [] if part.cited else block.citations:
            self._cite(part, citation, out)
        part.cited = True

    # --- calls

    def _call_part(self, item: Item, raw: JsonObject, out: list[Event]) -> Part:
        """Return the block of a call. Its start waits until its name and id are known."""
        custom = raw.get("type") in ("custom_tool_call", _CUSTOM_DELTA, _CUSTOM_DONE)
        part = item.parts.get(None)
        if part is None:
            part = self._open(item, None, ToolCall("", "", "", custom=custom), out, ready=False)
        block = part.block
        assert isinstance(block, ToolCall)  # noqa: S101 - opened as one above
        if part.ready:
            return part
        block.name = block.name or maybe_string(raw, "name") or ""
        block.namespace = block.namespace or maybe_string(raw, "namespace")
        block.id = block.id or maybe_string(raw, "call_id") or ""
        block.item_id = block.item_id or item.id
        if block.name and block.id:
            item.call_id = block.id
            part.ready = True
            self._blocks.release(part.key, out)
        return part

    def _call_delta(self, body: JsonObject, out: list[Event]) -> None:
        item = self._items.of_event(CALL, body.get("item_id"), body.get("output_index"))
        self._add(self._call_part(item, body, out), a_string(body.get("delta"), "delta"), out)

    def _call_done(self, body: JsonObject, out: list[Event]) -> None:
        item = self._items.of_event(CALL, body.get("item_id"), body.get("output_index"))
        self._complete(self._call_part(item, body, out), arguments_of(body), out)

    # --- reasoning

    def _reasoning_part(self, body: JsonObject, out: list[Event]) -> Part:
        item = self._items.of_event(REASONING, body.get("item_id"), body.get("output_index"))
        block = Thinking("", None, OPENAI_RESPONSES, id=item.id)
        return item.parts.get(None) or self._open(item, None, block, out)

    def _reasoning_delta(self, body: JsonObject, out: list[Event]) -> None:
        part = self._reasoning_part(body, out)
        part.seen.add(summary_of(body))
        self._add(part, a_string(body.get("delta"), "delta"), out)

    def _reasoning_done(self, body: JsonObject, out: list[Event]) -> None:
        part = self._reasoning_part(body, out)
        full = body.get("text")
        if not isinstance(full, str) or summary_of(body) in part.seen:
            return
        part.seen.add(summary_of(body))
        self._summary_part(body, out)
        self._add(part, full, out)

    def _summary_part(self, body: JsonObject, out: list[Event]) -> None:
        part = self._reasoning_part(body, out)
        # A reasoning item has several summaries; buffered, they are joined the same way.
        if part.texts and part.texts[-1] != "\n\n":
            self._add(part, "\n\n", out)

    # --- items

    def _item_added(self, body: JsonObject, out: list[Event]) -> None:
        raw = an_object(body.get("item"), "item")
        kind = kind_of(raw)
        item = self._items.begin(kind, raw.get("id"), body.get("output_index"))
        if kind == CALL:
            # OpenAI starts with empty arguments, compatible servers may send all at once.
            self._add(self._call_part(item, raw, out), arguments_of(raw), out)
        elif kind == REASONING and None not in item.parts:
            self._open(item, None, Thinking("", None, OPENAI_RESPONSES, id=item.id), out)

    def _item_done(self, body: JsonObject, out: list[Event]) -> None:
        raw = an_object(body.get("item"), "item")
        item = self._items.of_event(kind_of(raw), raw.get("id"), body.get("output_index"))
        self._complete_item(item, raw, out)
        item.done = True
        for part in item.parts.values():
            # A call without its name stays open: the last event may have it.
            if part.ready:
                self._blocks.close(part.key, out)

    def _complete_item(self, item: Item, raw: JsonObject, out: list[Event]) -> None:
        """Add what a server only sends at an item's end: text, arguments, encrypted content."""
        if item.kind == MESSAGE:
            for index, part in enumerate(objects(raw.get("content") or [], "content")):
                self._complete_part(item, index_in(item, index, part), part, out)
        elif item.kind == CALL:
            self._complete(self._call_part(item, raw, out), arguments_of(raw), out)
        elif item.kind == REASONING:
            self._complete_reasoning(item, raw, out)
        elif None not in item.parts:
            # Items of the vendor's own tools have no deltas we know: they open when they are done.
            self._open(item, None, decode_item(raw, "item"), out)

    def _complete_reasoning(self, item: Item, raw: JsonObject, out: list[Event]) -> None:
        block = decode_item(raw, "item")
        assert isinstance(block, Thinking)  # noqa: S101 - decode_item's own rule
        part = item.parts.get(None)
        if part is None:
            opened = Thinking("", None, OPENAI_RESPONSES, id=block.id)
            part = self._open(item, None, opened, out)
        if not part.texts:
            self._add(part, block.text, out)
        # The encrypted content only comes with `output_item.done`.
        if block.signature and block.vendor is not None and not part.cited:
            part.cited = self._blocks.add(
                part.key, SignatureDelta(block.signature, block.vendor), out
            )

    # --- ends

    def _terminal(self, body: JsonObject, out: list[Event]) -> None:
        response = an_object(body.get("response") or {}, "response")
        taken: list[Item] = []
        for position, raw in enumerate(objects(response.get("output") or [], "output")):
            item = self._items.of_output(raw, position, taken)
            if item is None:
                item = self._items.begin(kind_of(raw), raw.get("id"), None)
            taken.append(item)
            self._complete_item(item, raw, out)
        out += self.held()
        if (usage := decode_usage(usage_in(body))) is not None:
            out.append(UsageUpdate(usage))
        self._done = True
        blocks = [part.block for item in self._items.all for part in item.parts.values()]
        out.append(End(decode_finish(response, blocks)))

    def _name_calls(self, out: list[Event]) -> None:
        """Release the calls that still lack an id, and drop those without a name."""
        for item in self._items.all:
            part = item.parts.get(None)
            if part is None or part.ready or not isinstance(part.block, ToolCall):
                continue
            if part.block.name:
                part.block.id = item.id or new_id("call")
                self._blocks.release(part.key, out)
            else:
                del item.parts[None]
                self._blocks.drop(part.key, out)
                self.losses.add("output", "A call without a name was dropped.")
