"""Complete responses as stream events, and back."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base.names import WireFormatName
from providers.wire.core.ir import Block, Failure, Response, Text, Thinking, ToolCall, merged_usage
from providers.wire.core.jsonio import dumps_text
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
)


def whole(block: Block) -> list[Event]:
    """Return the events of a complete block.

    A text that became a delta is removed from the block.
    """
    if isinstance(block, Text):
        return _text_events(block)
    if isinstance(block, Thinking) and not block.redacted:
        return _thinking_events(block)
    if isinstance(block, ToolCall):
        return _call_events(block)
    # Media, foreign blocks and redacted reasoning have no deltas in any grammar.
    return [BlockStart(block), BlockStop()]


def _text_events(block: Text) -> list[Event]:
    events: list[Event] = [BlockStart(Text("", block.refusal, signature=block.signature))]
    if block.text:
        events.append(Delta(block.text, list(block.logprobs) or None))
    # Citations follow the text: their offsets point into it.
    events += [CitationDelta(citation) for citation in block.citations]
    events.append(BlockStop())
    return events


def _thinking_events(block: Thinking) -> list[Event]:
    events: list[Event] = [BlockStart(Thinking("", None, block.vendor, id=block.id))]
    if block.text:
        events.append(Delta(block.text))
    # A signature signs the text before it, so grammars send it last.
    if block.signature and block.vendor is not None:
        events.append(SignatureDelta(block.signature, block.vendor))
    events.append(BlockStop())
    return events


def _call_events(block: ToolCall) -> list[Event]:
    start = ToolCall(
        block.id, block.name, "", block.namespace, block.custom, block.signature, block.item_id
    )
    events: list[Event] = [BlockStart(start)]
    text = block.arguments
    if not isinstance(text, str):
        text = dumps_text(text)
    if text:
        events.append(Delta(text))
    events.append(BlockStop())
    return events


def of_response(response: Response) -> list[Event]:
    """Return the events that a stream would have had for this response."""
    events: list[Event] = [Start(response.id, response.model, response.created, response.usage)]
    for block in response.blocks:
        events.extend(whole(block))
    if response.usage is not None:
        events.append(UsageUpdate(response.usage))
    events.append(End(response.finish, response.notes))
    return events


class Collector:
    """Collector of stream events into the response they add up to; the inverse of `of_response`."""

    def __init__(self, source: WireFormatName) -> None:
        self.response = Response(source)
        self.failure: Failure | None = None
        self.complete = False
        self._pieces: list[str] = []

    def feed(self, events: Sequence[Event]) -> None:
        """Add events."""
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        response = self.response
        if isinstance(event, BlockStart):
            response.blocks.append(event.block)
            self._pieces = []
        elif isinstance(event, Delta):
            self._pieces.append(event.text)
            if event.logprobs and isinstance(block := response.blocks[-1], Text):
                block.logprobs = [*block.logprobs, *event.logprobs]
        elif isinstance(event, SignatureDelta | CitationDelta):
            self._attach(event, response.blocks[-1])
        elif isinstance(event, BlockStop):
            self._stop(response.blocks[-1])
            self._pieces = []
        elif isinstance(event, Start):
            response.id, response.model, response.created = event.id, event.model, event.created
            response.usage = event.usage
        elif isinstance(event, UsageUpdate):
            response.usage = merged_usage(response.usage, event.usage)
        elif isinstance(event, End):
            response.finish, self.complete = event.finish, True
            response.notes = event.notes
        elif isinstance(event, Failure):
            self.failure = event

    def close_block(self) -> None:
        """Give the open block what came of it; a stream that breaks off does not close it."""
        if self._pieces and self.response.blocks:
            self._stop(self.response.blocks[-1])
        self._pieces = []

    def _attach(self, event: SignatureDelta | CitationDelta, block: Block) -> None:
        if isinstance(event, CitationDelta):
            if isinstance(block, Text):
                block.citations = [*block.citations, event.citation]
        elif isinstance(block, Thinking):
            block.signature, block.vendor = event.signature, event.vendor
        elif isinstance(block, Text):
            block.signature = event.signature

    def _stop(self, block: Block) -> None:
        text = "".join(self._pieces)
        if isinstance(block, Text | Thinking) and text:
            block.text = text
        elif isinstance(block, ToolCall):
            block.arguments = text
