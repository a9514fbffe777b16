"""The request as hooks see it. No Django, no mitmproxy."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from interceptor.pipeline.body import Body
from interceptor.pipeline.headers import Fields, HeaderMap
from providers.base.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.record import HookStep
    from interceptor.notes.note_book import NoteBook
    from interceptor.pipeline.perplexity_account import UsesPerplexity
    from interceptor.pipeline.project_search import FindsProjects
    from providers.auth.base import AuthConf
    from providers.auth.resolve import Credential
    from providers.base.names import WireFormatName
    from providers.provider_conf import ProviderConf
    from providers.wire.core.base import RequestEdit
    from shapes.replay.compiled_shape import CompiledShape

Place = tuple[str, str, int, str]
"""Scheme, host, port, and path with query."""


def url_of(place: Place) -> str:
    """Return a place as a URL, without the port where it is the scheme's own."""
    scheme, host, port, path = place
    default = 443 if scheme == "https" else 80
    return f"{scheme}://{host}{path}" if port == default else f"{scheme}://{host}:{port}{path}"


class ResolvesCredentials(Protocol):
    """Turns a provider's credential source into a credential."""

    async def resolve(self, provider: str, auth: AuthConf) -> Credential | None:
        """Return the credential, or None where the source holds none.

        Raises:
            AuthConfigError: the source failed.
        """


class HasShape(Protocol):
    """A shape with what the shaping room keeps beside it (`interceptor.shaping.active_shape`)."""

    @property
    def shape(self) -> CompiledShape:
        """The shape."""


@dataclass(slots=True)
class HookReport:
    """Details of a hook's run that the runner cannot see; it puts them into the trace."""

    reason: str = ""
    origins: tuple[tuple[str, str], ...] = ()
    """See `flows.record.HookStep`."""
    steps: list[HookStep] = field(default_factory=list)
    """Steps of the hook's own hooks."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the hooks; hooks change it in place.

    `path` has the query. `body.json` is the parsed JSON body (None when there is none); changing it
    in place is enough.
    """

    flow_id: str
    method: str
    scheme: str
    host: str
    port: int
    path: str
    headers: HeaderMap
    body: Body
    providers: Mapping[str, ProviderConf]
    """Every enabled provider by name, as configured when the flow began."""
    source: str = "reverse"
    client_format: WireFormatName | None = None
    provider: ProviderConf | None = None
    """The provider that the sentinel key names; after the routing, the one it is routed to."""
    credential: Credential | None = None
    """The resolved credential. It becomes a header only when the request leaves for its provider's
    own host.
    """
    credential_slot: tuple[int, str] | None = None
    """The sentinel key's position among the headers, and the spelling of its name: the credential
    takes both over.
    """
    resolver: ResolvesCredentials | None = None
    projects: FindsProjects | None = None
    perplexity: UsesPerplexity | None = None
    caller: str = ""
    """The client token's name; "" without one."""
    notes: NoteBook | None = None
    """Events that other programs sent for a session; None in a dry run."""
    conversation_id: str = ""
    """The same for all requests of one conversation; "" where the body has no text of a user."""
    requested_model: str = ""
    envelope_added: bool = False
    """A hook put the client's body into Code Assist's envelope: the response loses it again."""
    metadata: dict[str, Any] = field(default_factory=dict)
    edits: list[RequestEdit] = field(default_factory=list)
    """Changes that inbound hooks ask for in the neutral form that all wire formats share. They are
    made when the request is routed, between decoding and encoding.
    """
    prepared: Any = None
    """The result of the running hook's `prepare`."""
    report: HookReport | None = None
    """Set by a running hook that has more to say than what it changed."""
    shapes: Mapping[str, HasShape] = field(default_factory=dict)
    """The shapes that requests take, by provider type."""
    shaped: HasShape | None = None
    """The shape that this request took."""
    shape_problem: str = ""
    """Why it took none, or was not signed, although it should."""
    signed_body: bytes | None = None
    """The bytes whose digest the billing line names; nothing may change them."""
    incoming: Exchange | None = None
    """Of an inner hook's exchange: the request itself. It is to be read, not to be changed."""
    header_edits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the headers that hooks changed, in lower case, with the values before."""
    began: float = field(default_factory=perf_counter)
    """The reading of `perf_counter` when the flow began."""

    @property
    def json(self) -> Any:
        """The parsed body, to read or to change; None when it is not JSON."""
        return self.body.json

    @property
    def place(self) -> Place:
        """The request's destination at this moment."""
        return self.scheme, self.host, self.port, self.path

    @property
    def url(self) -> str:
        """The destination as a URL."""
        return url_of(self.place)

    def get(self, path: str, default: Any = None) -> Any:
        """Return a value of the JSON body by glom path, e.g. "metadata.user_id" or
        "messages.0.role".
        """
        from interceptor.pipeline.json_paths import value_at  # see there

        return value_at(self.body.peek(), path, default)

    def set(self, path: str, value: Any) -> None:
        """Set a value of the JSON body by glom path, making missing objects on the way."""
        from interceptor.pipeline.json_paths import set_at

        set_at(self.json, path, value)

    def delete(self, path: str) -> None:
        """Remove a value of the JSON body by glom path; a missing one is fine."""
        from interceptor.pipeline.json_paths import delete_at

        delete_at(self.json, path)

    def checkpoint(self) -> Checkpoint:
        """Return the state to which a failing hook's changes are rolled back."""
        return Checkpoint(
            self.headers.fields,
            self.place,
            dict(self.metadata),
            self.provider,
            self.credential,
            tuple(self.edits),
        )

    def restore(self, point: Checkpoint) -> None:
        """Undo everything since the checkpoint."""
        self.headers.fields, self.metadata = point.fields, point.metadata
        self.scheme, self.host, self.port, self.path = point.place
        self.provider, self.credential = point.provider, point.credential
        self.edits = list(point.edits)
        self.body.revert()


@value
class Checkpoint:
    """The state of an exchange before a hook ran."""

    fields: Fields
    place: Place
    metadata: dict[str, Any]
    provider: ProviderConf | None
    credential: Credential | None
    edits: tuple[RequestEdit, ...] = ()
