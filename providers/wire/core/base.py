"""Interface of a wire format, and the facts its encoders need about their target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from providers.base.names import WireFormatName
from providers.wire.core.event_json import Watch
from providers.wire.core.ir import Failure, JsonObject, Losses, Request, Response, Tool
from providers.wire.core.sse import SseEvent
from providers.wire.core.stream_event import Event
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.facts.table import FactTable, built_in

ServerTools = Literal["drop", "map", "refuse"]
"""What to do with tools that run at the client's vendor.

`drop` leaves them out while other tools remain, `map` asks for the target's own web search first,
`refuse` refuses the request.
"""


@dataclass(slots=True, frozen=True)
class TargetInfo:
    """Target of a translated request. Empty fields are unknown; then the vendor's own API is
    assumed.

    `model` replaces the client's; `stream` replaces the body's field (Google has it in the path).
    `max_tokens_default` is for Anthropic, which requires a limit, if the client gave none; None
    takes the model's own.
    `server_tools` says what happens to tools that run at the client's vendor. `project`,
    `session_id` and `user_prompt_id` go into Code Assist's envelope.
    `table` has the facts about models; None is the table that this product ships.
    `options` is what a type of provider adds; its codec knows the type.
    """

    provider_type: str = ""
    model: str | None = None
    stream: bool | None = None
    host: str = ""
    max_tokens_default: int | None = None
    server_tools: ServerTools = "drop"
    project: str | None = None
    session_id: str | None = None
    user_prompt_id: str | None = None
    options: object | None = None
    table: FactTable | None = None

    def facts(self, model: str | None) -> ModelFacts:
        """Return what is known of the model that the provider will run."""
        table = built_in() if self.table is None else self.table
        return table.of(self.model or model, self.host)


@dataclass(slots=True, frozen=True)
class AnswerContext:
    """Facts about the client's request that a response's encoder needs.

    `client_body` is the request as the client sent it; Responses echoes parts of it, Chat asks in
    it for usage. `json_array` makes Google's stream the JSON array it is without `alt=sse`. `host`
    is the provider's: plain reasoning returns to the server that made it.
    """

    client_body: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    host: str = ""
    json_array: bool = False


class StreamDecoder(Protocol):
    """Decoder of a provider's events. Its blocks follow strictly one after the other.

    `losses` names what the stream had and no event says; `watch` sees each event's object.
    """

    losses: Losses
    watch: Watch | None

    def feed(self, event: SseEvent) -> list[Event]:
        """Decode one SSE event.

        Raises `BadUpstreamStream` for one that follows no grammar.
        """
        ...

    def flush(self) -> list[Event]:
        """End the stream. Return what is still due, with a `Failure` if it ended too early."""
        ...

    def held(self) -> list[Event]:
        """Return the blocks that wait for others to end, for a stream that breaks off.

        They come as if they were complete. A client of a translation does not get them.
        """
        ...


class StreamEncoder(Protocol):
    """Encoder of neutral events into the client's format."""

    losses: Losses

    def feed(self, events: Sequence[Event]) -> bytes:
        """Encode events; b"" if there is nothing to send yet."""
        ...


class ClientCodec(Protocol):
    """Side of a wire format that clients speak: their requests in, their responses out.

    Raises `MalformedBody` for a request that does not follow the format.
    """

    name: WireFormatName

    def decode_request(
        self, body: JsonObject, *, model: str | None, stream: bool | None
    ) -> Request: ...
    def decode_tools(self, body: Mapping[str, Any]) -> list[Tool]: ...
    def encode_response(self, response: Response, context: AnswerContext) -> JsonObject: ...
    def stream_encoder(self, context: AnswerContext) -> StreamEncoder: ...


class ProviderCodec(Protocol):
    """Side of a wire format that providers speak: requests out, their responses in.

    Raises `UnsupportedByTarget` for a request, `MalformedBody` for a response.
    """

    name: WireFormatName

    def encode_request(self, request: Request, target: TargetInfo) -> JsonObject: ...
    def decode_response(self, body: JsonObject) -> Response: ...
    def stream_decoder(self) -> StreamDecoder: ...
    def decode_error(self, status: int, body: Any) -> Failure | None: ...


class WireFormat(ClientCodec, ProviderCodec, Protocol):
    """Both sides of a wire format that clients and providers speak."""


RequestEdit = Callable[[Request], None]
"""Change of a neutral request, between decoding and encoding."""
