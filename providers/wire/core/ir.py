"""Neutral types between the wire formats: requests, responses, usage, losses.

Decoders write them, encoders read them; no vendor's field names appear. Two things keep a vendor's
own form and only go back to that vendor: `Foreign` blocks and tools, and `extras`, the fields that
this product does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, ClassVar, Final, Literal

from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_CHAT, WireFormatName

JsonObject = dict[str, Any]

MAX_LOSSES = 200


@dataclass(slots=True, frozen=True)
class Loss:
    """A field that the target cannot express. `path` uses the source's field names."""

    path: str
    reason: str


class Losses(list[Loss]):
    """Losses in the order found, without duplicates. Keeps the first 200."""

    def add(self, path: str, reason: str) -> None:
        loss = Loss(path, reason)
        if len(self) < MAX_LOSSES and loss not in self:
            self.append(loss)


# -------------------------------------------------------------------------------------------------
# blocks


@dataclass(slots=True)
class Citation:
    """Source of a part of a text.

    `start` and `end` are character offsets in the block's text, when known.
    """

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    end: int | None = None
    raw: JsonObject | None = None
    vendor: WireFormatName | None = None


@dataclass(slots=True)
class Text:
    """Text.

    `signature` is Google's thoughtSignature of a text part; `logprobs` are in OpenAI's token shape.
    Requests have thousands of texts without citations and logprobs, so an empty one is the tuple
    that all share.
    """

    text: str
    refusal: bool = False
    citations: Sequence[Citation] = ()
    logprobs: Sequence[JsonObject] = ()
    signature: str | None = None
    cache: JsonObject | None = None
    extras: JsonObject | None = None


MediaKind = Literal["image", "document", "audio", "video"]


@dataclass(slots=True)
class Media:
    """Image, document, audio or video.

    Exactly one of `data` (base64), `url`, `file_id` and `text` (a text document) is set.
    """

    kind: MediaKind
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    media_type: str | None = None
    title: str | None = None
    detail: str | None = None
    signature: str | None = None
    cache: JsonObject | None = None
    extras: JsonObject | None = None


@dataclass(slots=True)
class ToolCall:
    """A call the model made.

    `arguments` is JSON text or an object, as the vendor sends it. `custom` marks OpenAI's free-form
    tools, whose argument is plain text. `signature` is Google's thoughtSignature.
    """

    id: str
    name: str
    arguments: str | JsonObject = ""
    namespace: str | None = None
    custom: bool = False
    signature: str | None = None
    item_id: str | None = None
    cache: JsonObject | None = None
    extras: JsonObject | None = None


@dataclass(slots=True)
class ToolResult:
    """Result of a tool call. `response` is Google's structured form of it."""

    call_id: str
    content: list[Text | Media | Foreign] = field(default_factory=list)
    name: str | None = None
    is_error: bool | None = None
    custom: bool = False
    response: JsonObject | None = None
    cache: JsonObject | None = None
    extras: JsonObject | None = None


@dataclass(slots=True)
class Thinking:
    """Reasoning.

    `signature` (or the encrypted text, when `redacted`) is only good for `vendor`; `raw` is its
    block.
    """

    text: str
    signature: str | None = None
    vendor: WireFormatName | None = None
    redacted: bool = False
    id: str | None = None
    raw: JsonObject | None = None
    cache: ClassVar[None] = None


@dataclass(slots=True)
class Foreign:
    """A block that only `vendor` understands: server tool calls, compaction, executed code."""

    vendor: WireFormatName
    kind: str
    raw: JsonObject
    cache: ClassVar[None] = None


Block = Text | Media | ToolCall | ToolResult | Thinking | Foreign
Role = Literal["user", "assistant", "system"]


@dataclass(slots=True)
class Turn:
    """One message of the conversation. Tool results are blocks of a user turn, in every format."""

    role: Role
    blocks: list[Block]
    name: str | None = None
    extras: JsonObject | None = None


# -------------------------------------------------------------------------------------------------
# requests


@dataclass(slots=True)
class Tool:
    """A function the client offers.

    With `raw` it is of a type of the vendor's own. With a `schema` too the client runs it, and
    other vendors get it as a function; without a schema it runs at the vendor. `native` is the type
    whose calls are items of their own at OpenAI.
    """

    name: str
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None
    namespace: str | None = None
    custom: bool = False
    cache: JsonObject | None = None
    extras: JsonObject | None = None
    vendor: WireFormatName | None = None
    raw: JsonObject | None = None
    native: str | None = None
    free_form: JsonObject | None = None
    """Chat's `format` of a free-form tool that stays one."""


@dataclass(slots=True)
class ToolChoice:
    """Tools that may be called.

    `auto`, `any` (at least one), `none`, or `tool` (at least one of those named).
    """

    mode: Literal["auto", "any", "none", "tool"]
    names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Reasoning:
    """Wanted amount of reasoning.

    `enabled` False forbids it, None leaves it to the model. `raw` is for the same format only.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    summary: str | None = None
    include: bool | None = None
    raw: JsonObject | None = None


@dataclass(slots=True)
class OutputFormat:
    """Structured output: any JSON object, or one that follows `schema`."""

    kind: Literal["text", "json", "schema"]
    schema: JsonObject | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    media_type: str | None = None


@dataclass(slots=True)
class Sampling:
    """Sampling parameters as the client gave them. Encoders apply the vendors' ranges."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    candidates: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: JsonObject | None = None


@dataclass(slots=True)
class Request:
    """One request. `extras` holds the top-level fields that only `source` knows."""

    source: WireFormatName
    model: str | None = None
    system: list[Text] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    sampling: Sampling = field(default_factory=Sampling)
    reasoning: Reasoning | None = None
    output: OutputFormat | None = None
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    metadata: JsonObject | None = None
    service_tier: str | None = None
    cache_key: str | None = None
    cache: JsonObject | None = None
    store: bool | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    extras: JsonObject = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    free_form: frozenset[str] = frozenset()
    """Names of the free-form tools that the target takes as such."""


# -------------------------------------------------------------------------------------------------
# answers


FinishReason = Literal[
    "stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause", "other"
]


@dataclass(slots=True)
class Usage:
    """Token counts. None is unknown, never zero.

    `input_tokens` counts all input, cached or not; `output_tokens` includes reasoning.
    `cached_tokens` were read from the cache, `cache_write_*` written into it.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    tool_input_tokens: int | None = None
    service_tier: str | None = None


@dataclass(slots=True)
class Finish:
    """Reason for the response's end. `raw` is the vendor's word, `detail` its explanation."""

    reason: FinishReason
    raw: str | None = None
    stop_sequence: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class Failure:
    """An error of the provider, buffered or in the middle of a stream."""

    message: str
    status: int = 502
    kind: str | None = None
    code: str | None = None
    param: str | None = None


@dataclass(slots=True)
class Response:
    """One complete response. `notes` are further top-level fields for the client."""

    source: WireFormatName
    id: str | None = None
    model: str | None = None
    created: int | None = None
    blocks: list[Block] = field(default_factory=list)
    finish: Finish = field(default_factory=lambda: Finish("stop"))
    usage: Usage | None = None
    extras: JsonObject = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    notes: JsonObject = field(default_factory=dict)


_FIGURES: Final = attrgetter(*Usage.__slots__)


def merged_usage(old: Usage | None, new: Usage) -> Usage:
    """Merge two usages; the newer figures replace the older where known."""
    if old is None:
        return new
    pairs = zip(_FIGURES(old), _FIGURES(new), strict=True)
    return Usage(*[before if value is None else value for before, value in pairs])


CACHE_MARKING: Final = (ANTHROPIC_MESSAGES, OPENAI_CHAT)
"""Formats whose blocks may ask to be cached."""


def has_cache_marks(request: Request) -> bool:
    """Return whether any block asks to be cached (Anthropic's `cache_control`)."""
    if request.source not in CACHE_MARKING:
        return False
    for turn in request.turns:
        for block in turn.blocks:
            if block.cache:
                return True
    return False
