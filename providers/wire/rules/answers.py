"""Conversion of a provider's response before it is encoded for the client.

Works on one block or event at a time. Restores the client's tool names and the plain text of
free-form tools. Signatures without a field in the client's format travel in ids or wait in the
store. Blocks that the client's format cannot express are dropped with a loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WIRE_FORMATS,
    WireFormatName,
)
from providers.wire.core.ir import (
    Block,
    Citation,
    Failure,
    Finish,
    Foreign,
    JsonObject,
    Losses,
    Media,
    Response,
    Text,
    Thinking,
    Tool,
    ToolCall,
    Usage,
)
from providers.wire.core.jsonio import dumps_text, loads
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
from providers.wire.rules.call_ids import own_id
from providers.wire.rules.replay import STORE, carry_in_id, made_at, pack_thoughts, text_key
from providers.wire.tools.own_items import own_item
from providers.wire.tools.strict_arguments import without_added_nulls
from providers.wire.tools.web_search import SearchReports

_NULL: Final = "null"
_OPENAI: Final = (OPENAI_CHAT, OPENAI_RESPONSES)
_OPENAI_TIERS: Final = {
    "standard": "default",
    "default": "default",
    "priority": "priority",
    "flex": "flex",
    "scale": "scale",
}
# https://docs.anthropic.com/en/api/service-tiers
_TIERS: Final[dict[WireFormatName, dict[str, str]]] = {
    ANTHROPIC_MESSAGES: {
        "standard": "standard",
        "default": "standard",
        "priority": "priority",
        "batch": "batch",
    },
    OPENAI_CHAT: _OPENAI_TIERS,
    OPENAI_RESPONSES: _OPENAI_TIERS,
    GOOGLE_GENERATE: {},
}
NO_SIGNED_THINKING: Final = (OPENAI_CHAT, GOOGLE_GENERATE)
"""Formats without a place for another vendor's signed reasoning beside its text.

It waits for the turn's first call to return: in Google's signature of that call, or in the store.
"""


class AnswerFilter:
    """Filter between a decoder and an encoder. Forwards events that need no change."""

    def __init__(
        self,
        src: WireFormatName,
        dst: WireFormatName,
        tools: Mapping[str, Tool],
        *,
        with_thinking: bool = True,
        host: str = "",
        with_searches: bool = False,
    ) -> None:
        self.losses = Losses()
        self._with_thinking = with_thinking
        self._host = host
        self._searches = SearchReports(dst) if with_searches else None
        self._src = src
        self._dst = dst
        self._tools = tools
        self._block: Block | None = None
        self._held: list[str] | None = None  # a free-form tool's arguments, until they are whole
        self._own: Tool | None = None  # the open call's tool, if its calls are items of their own
        self._schema: JsonObject | None = None  # the open call's own, if OpenAI got another one
        self._first: str | None = None  # the beginning of a call's arguments
        self._start_due: BlockStart | None = None  # the start of a text without content so far
        self._dropping = False
        self._flows = False  # the open block has begun, and its deltas stay as they are
        self._pieces: list[str] = []
        self._signed: list[Thinking] = []
        self._returning: Thinking | None = None  # the open block's reasoning, if it is to return
        self._first_call: str | None = None
        self._ids: set[str] = set()

    def response(self, response: Response) -> None:
        """Convert a complete response in place."""
        kept: list[Block] = []
        for block in response.blocks:
            if (found := self._searched(block)) is not None:
                kept += found
                continue
            if not self._accepts(block) or self._is_empty(block):
                continue
            kept.append(block)
            if isinstance(block, ToolCall):
                tool = self._client_call(block)
                if tool is not None and tool.native:
                    kept[-1] = own_item(tool, block)
                elif block.custom:
                    block.arguments = _custom_input(block.arguments)
                elif (schema := self._rewritten(tool)) is not None:
                    block.arguments = without_added_nulls(block.arguments, schema)
                elif _says_nothing(block.arguments):
                    block.arguments = "{}"
            elif isinstance(block, Text):
                self._tokens(block.logprobs)
                self._keep_text_signature(block.text, block.signature)
            elif isinstance(block, Thinking):
                self._name_maker(block)
                if block.signature or block.vendor == OPENAI_CHAT:
                    self._signed.append(block)
        response.blocks = kept
        response.usage = self._usage(response.usage)
        self._finished(response.finish)

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """Convert one event into the events for the encoder."""
        first = events[0] if self._flows and len(events) == 1 else None
        if type(first) is Delta and not first.logprobs:
            self._pieces.append(first.text)
            return events
        out: list[Event] = []
        for event in events:
            self._take(event, out)
        return out

    def _take(self, event: Event, out: list[Event]) -> None:
        if isinstance(event, Delta):
            self._delta(event, out)
        elif isinstance(event, UsageUpdate):
            # Google sends one with each chunk.
            out.append(self._with_tier(event))
        elif isinstance(event, BlockStart):
            self._start(event, out)
        elif isinstance(event, BlockStop):
            self._stop(event, out)
        elif isinstance(event, SignatureDelta):
            if not self._dropping:
                self._signature(event)
                self._begin(out)
                out.append(event)
        elif isinstance(event, CitationDelta):
            if not self._dropping and self._citation(event.citation):
                self._begin(out)
                out.append(event)
        else:
            if isinstance(event, Failure) and self._src != self._dst:
                event.kind = None
            elif isinstance(event, Start):
                event = self._with_tier(event)
            elif isinstance(event, End):
                self._finished(event.finish)
            out.append(event)

    def _start(self, event: BlockStart, out: list[Event]) -> None:
        block = self._block = event.block
        self._flows = False
        found = self._searched(block)
        for one in found or []:
            out += [BlockStart(one), BlockStop()]
        # Its stop ends nothing: the client's blocks are complete.
        self._dropping = found is not None or not self._accepts(block)
        self._pieces = []
        self._returning = None
        if self._dropping:
            return
        if isinstance(block, ToolCall):
            tool = self._client_call(block)
            self._own = tool if tool is not None and tool.native else None
            self._schema = self._rewritten(tool)
            is_held = block.custom or self._own is not None or self._schema is not None
            self._held = [] if is_held else None
            self._first = None if is_held else ""
            # An item of the client's own is sent complete.
            if self._own is not None:
                return
        elif isinstance(block, Text):
            # A text that stays empty is left out: clients may not send one back.
            self._start_due = event
            return
        elif isinstance(block, Thinking):
            self._name_maker(block)
            if block.signature:  # redacted: there at once
                self._returning = block
                self._signed.append(block)
        out.append(event)

    def _delta(self, event: Delta, out: list[Event]) -> None:
        if self._dropping:
            return
        if self._held is not None:
            self._held.append(event.text)
            return
        self._pieces.append(event.text)
        if self._first is not None:
            # `null` and white space are no arguments: they wait for what follows.
            self._first += event.text
            if _NULL.startswith(self._first.strip()):
                return
            event = Delta(self._first)
            self._first = None
        if event.logprobs:
            self._tokens(event.logprobs)
        if event.text or event.logprobs:
            self._begin(out)
        if self._start_due is None:
            out.append(event)
            self._flows = True

    def _begin(self, out: list[Event]) -> None:
        """Send the start of a text that has something to say."""
        if self._start_due is not None:
            out.append(self._start_due)
            self._start_due = None

    def _signature(self, event: SignatureDelta) -> None:
        if isinstance(self._block, Text):
            self._block.signature = event.signature
        elif isinstance(self._block, Thinking):
            self._returning = Thinking(
                "", event.signature, event.vendor, self._block.redacted, self._block.id
            )
            self._signed.append(self._returning)

    def _stop(self, event: BlockStop, out: list[Event]) -> None:
        self._flows = False
        if self._dropping:
            self._dropping = False
            return
        if self._own is not None and isinstance(self._block, ToolCall):
            self._block.arguments = "".join(self._held or [])
            out += [BlockStart(own_item(self._own, self._block)), event]
            self._own = self._held = None
            return
        if self._held is not None:
            arguments = "".join(self._held)
            if self._schema is None:
                arguments = _custom_input(arguments)
            else:
                given = "{}" if _says_nothing(arguments) else arguments
                arguments = without_added_nulls(given, self._schema)
            out.append(Delta(arguments))
            self._held = self._schema = None
        if self._first is not None:
            out.append(Delta("{}" if _says_nothing(self._first) else self._first))
            self._first = None
        if self._start_due is not None:
            self._start_due = None
            return
        text = "".join(self._pieces)
        if isinstance(self._block, Text):
            self._keep_text_signature(text, self._block.signature)
        elif isinstance(self._block, Thinking) and text:
            self._keep_text(self._block, text)
        out.append(event)

    def _keep_text(self, block: Thinking, text: str) -> None:
        """Keep the text of a reasoning that is to return, signed or not."""
        if self._returning is not None:
            self._returning.text = self._returning.text or text
        elif block.vendor == OPENAI_CHAT:
            self._signed.append(Thinking(text, None, OPENAI_CHAT, id=block.id))

    def _name_maker(self, block: Thinking) -> None:
        """Note the server that made a plain reasoning: no other one takes it back."""
        if block.vendor == OPENAI_CHAT and self._src != self._dst:
            block.id = made_at(block.id or "reasoning_content", self._host)

    def _searched(self, block: Block) -> list[Foreign] | None:
        """Return the client's blocks for a search at the provider; None for any other block."""
        if self._searches is None or not isinstance(block, Foreign):
            return None
        return self._searches.convert(block) if block.vendor != self._dst else None

    def _accepts(self, block: Block) -> bool:
        if isinstance(block, Foreign) and block.vendor != self._dst:
            self.losses.add(
                f"content.{block.kind}",
                f"{WIRE_FORMATS[self._dst]} has nothing like it; it was dropped.",
            )
            return False
        if isinstance(block, Media) and self._dst != GOOGLE_GENERATE:
            self.losses.add(
                "content",
                f"{WIRE_FORMATS[self._dst]} answers hold no {block.kind}; it was dropped.",
            )
            return False
        if isinstance(block, Thinking) and not self._with_thinking:
            self.losses.add("content.thinking", "The client did not enable thinking.")
            return False
        return True

    def _is_empty(self, block: Block) -> bool:
        """Return whether a text says nothing, and list the citations of one that does."""
        if not isinstance(block, Text):
            return False
        if block.citations:
            block.citations = [one for one in block.citations if self._citation(one)] or ()
        return not (block.text or block.signature or block.citations or block.logprobs)

    def _citation(self, citation: Citation) -> bool:
        """Return whether the client's format can express a citation."""
        if citation.vendor == self._dst or str(citation.url).startswith(("http:", "https:")):
            return True
        self.losses.add(
            "citations", f"{WIRE_FORMATS[self._dst]} cites only addresses; a source was dropped."
        )
        return False

    def _finished(self, finish: Finish) -> None:
        self._keep_thinking()
        if self._src == self._dst:
            return
        to = WIRE_FORMATS[self._dst]
        if finish.reason in ("pause", "other"):
            word = finish.raw or finish.reason
            self.losses.add("stop_reason", f"{to} has no word for {word}; it ends otherwise.")
        # Anthropic has one for refusals.
        is_refusal = self._dst == ANTHROPIC_MESSAGES and finish.reason == "content_filter"
        if finish.detail and self._dst != GOOGLE_GENERATE and not is_refusal:
            self.losses.add("stop_reason", f"{to} has no field for: {str(finish.detail)[:200]}")

    def _with_tier(self, event: UsageUpdate | Start) -> Event:
        usage = self._usage(event.usage)
        if usage is event.usage or usage is None:
            return event
        return replace(event, usage=usage)

    def _usage(self, usage: Usage | None) -> Usage | None:
        """Return a usage with its service tier in the word of the client's vendor."""
        if usage is None or usage.service_tier is None or self._src == self._dst:
            return usage
        tier = usage.service_tier
        word = _TIERS[self._dst].get(tier)
        if word is None and tier not in ("standard", "default", "auto"):
            self.losses.add(
                "service_tier", f"{WIRE_FORMATS[self._dst]} has no word for the tier {tier!r}."
            )
        return replace(usage, service_tier=word)

    def _tokens(self, logprobs: object) -> None:
        if logprobs and self._dst == ANTHROPIC_MESSAGES:
            self.losses.add("logprobs", "Anthropic's responses have no logprobs.")

    def _client_call(self, block: ToolCall) -> Tool | None:
        """Give a call the client's name and an id that can return; return its tool, if listed."""
        if (tool := self._tools.get(block.name)) is not None:
            block.name, block.namespace, block.custom = tool.name, tool.namespace, tool.custom
        if self._src != self._dst:
            block.id = own_id(block, self._ids)
        if block.signature and self._dst != GOOGLE_GENERATE:
            block.id = carry_in_id(block.id, block.signature)
        if self._src != self._dst == GOOGLE_GENERATE and self._first_call is None:
            # Google's clients return this field, even when Google itself is asked next.
            block.signature = pack_thoughts(self._signed)
        if self._first_call is None:
            self._first_call = block.id
        return tool

    def _rewritten(self, tool: Tool | None) -> JsonObject | None:
        """Return the client's schema of a tool whose optional properties OpenAI requires."""
        # OpenAI's own clients write schemas in its dialect; theirs are never changed.
        if self._src not in _OPENAI or self._dst in _OPENAI or tool is None or not tool.strict:
            return None
        return tool.schema

    def _keep_text_signature(self, text: str, signature: str | None) -> None:
        if signature and text and self._dst != GOOGLE_GENERATE:
            STORE.put(text_key(text), signature, len(signature))

    def _keep_thinking(self) -> None:
        if self._dst == OPENAI_CHAT and self._first_call is not None and self._signed:
            size = sum(len(block.text) + len(block.signature or "") for block in self._signed)
            STORE.put("thinking:" + self._first_call, self._signed, size)


def _says_nothing(arguments: Any) -> bool:
    return isinstance(arguments, str) and arguments.strip() in ("", _NULL)


def _custom_input(arguments: Any) -> str:
    """Return the plain text inside the one-argument function that replaced a free-form tool.

    Text that is no such function's argument stays as it is: the tool may have stayed free-form.
    """
    found = arguments
    if isinstance(arguments, str):
        try:
            found = loads(arguments)
        except (ValueError, RecursionError):
            return arguments
    value = found.get("input") if isinstance(found, dict) else found
    if isinstance(value, str):
        return value
    return arguments if isinstance(arguments, str) else dumps_text(arguments)
