"""A shape as the proxy runs it: parsed and checked once, then applied to any number of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from providers.wire.core.jsonio import dumps, loads
from shapes.replay.captured_handshake import CapturedHandshake, read_handshake
from shapes.replay.content_injection import Injected, inject
from shapes.replay.header_stamp import Fields, Stamped, stamp
from shapes.replay.inner_hook_names import InnerHookConf, parse_inner_hooks
from shapes.replay.merge_strategy import REPLACE, Strategy, parse_strategy
from shapes.replay.query_merge import shape_fields
from shapes.replay.shape_document import ShapeParts, patched
from shapes.replay.shape_text import HeaderPairs, read_body


@dataclass(frozen=True, slots=True)
class ShapeRow:
    """An active shape with its patches and its profile, as plain values that may be pickled."""

    provider_type: str
    version: int
    parts: ShapeParts
    patches: tuple[tuple[str, str], ...] = ()
    """(name, unified diff), in order."""
    client_version: str = ""
    key_order: tuple[str, ...] = ()
    """Top-level keys of the body as captured, also of those that were dropped."""
    content_fields: tuple[str, ...] = ()
    merge_strategies: dict[str, str] = field(default_factory=dict)
    shape_hooks: tuple[str | dict[str, Any], ...] = ()
    preserve_headers: tuple[str, ...] = ()
    strip_headers: tuple[str, ...] = ()
    billing_salt: str = field(default="", repr=False)
    """Ciphertext, as `billing_seed` is."""
    billing_seed: str = field(default="", repr=False)
    billing_positions: tuple[int, ...] = ()
    fingerprint: dict[str, Any] | None = None
    """Record of the client's TLS handshake."""

    @property
    def label(self) -> str:
        """The name of the version in traces: "anthropic v3"."""
        return f"{self.provider_type} v{self.version}"


@dataclass(frozen=True, slots=True)
class EncryptedBilling:
    """Constants of the billing line as they are stored."""

    salt: str = field(repr=False)
    seed: str = field(repr=False)
    positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CompiledShape:
    """Everything that shaping a request needs. Its parts are never changed."""

    provider_type: str
    version: int
    label: str
    family: str
    """Family of the reference client: its user agent before the first slash, in lower case."""
    client: str
    """Name and version of the reference client for people."""
    method: str
    headers: Fields
    query: tuple[str, ...]
    body: bytes
    """JSON object."""
    key_order: tuple[str, ...]
    content: Mapping[str, Strategy]
    preserved: frozenset[str]
    inner_hooks: tuple[InnerHookConf, ...]
    billing: EncryptedBilling | None = None
    """None: a constant is unset or ids are not renewed, so a billing line stays as captured."""
    handshake: CapturedHandshake | None = None
    """None: captured without TLS, or imported without its fingerprint."""

    def injected(self, incoming: Mapping[str, Any]) -> Injected:
        """Return the shape's body with the content of a request.

        The shape's values are new objects, which hooks may change in place.
        """
        return inject(loads(self.body), incoming, self.content, self.key_order)

    def stamped(
        self, current: Fields, ours: Fields, edits: Mapping[str, tuple[str, ...]]
    ) -> Stamped:
        """Return the headers of a request that takes this shape, see `header_stamp.stamp`.

        `ours` are the shape's headers after its inner hooks.
        """
        return stamp(current, ours, preserved=self.preserved, edits=edits)


def compile_shape(row: ShapeRow) -> CompiledShape:
    """Return a shape with its patches applied and its profile parsed.

    Raises:
        BadPatch, BadShape, BadStrategy, BadInnerHooks: the row cannot be used; the message is a
            sentence.
    """
    parts = patched(row.parts, row.patches)
    stripped = {name.lower() for name in row.strip_headers}
    headers = tuple(
        (name.encode(), value.encode("utf-8", "surrogateescape"))
        for name, value in parts.headers
        if name.lower() not in stripped
    )
    # A field without a strategy of its own is the client's alone.
    content = dict.fromkeys(row.content_fields, REPLACE)
    content |= {name: parse_strategy(text) for name, text in row.merge_strategies.items()}
    # Half of the constants would sign wrongly, which is worse than not at all.
    billing = None
    hooks = parse_inner_hooks(list(row.shape_hooks))
    regenerates = any(hook.name == "regenerate" for hook in hooks)
    if regenerates and row.billing_salt and row.billing_seed and row.billing_positions:
        billing = EncryptedBilling(row.billing_salt, row.billing_seed, row.billing_positions)
    family = client_family(_user_agent(parts.headers))
    client = f"{family} {row.client_version}".strip()
    return CompiledShape(
        provider_type=row.provider_type,
        version=row.version,
        label=row.label,
        family=family,
        client=client,
        method=parts.method,
        headers=headers,
        query=shape_fields(parts.query),
        body=dumps(read_body(parts.body)),
        key_order=row.key_order,
        content=MappingProxyType(content),
        preserved=frozenset(name.lower() for name in row.preserve_headers),
        inner_hooks=hooks,
        billing=billing,
        handshake=read_handshake(row.fingerprint, client),
    )


def _user_agent(headers: HeaderPairs) -> str:
    return next((value for name, value in headers if name.lower() == "user-agent"), "")


def client_family(user_agent: str) -> str:
    """Return the family of a client: "Claude-CLI/2.1 (external)" → "claude-cli"."""
    return user_agent.partition("/")[0].strip().lower()


def client_release(user_agent: str) -> str:
    """Return the release of a client: "claude-cli/2.1.332 (external)" → "2.1.332"."""
    return user_agent.partition("/")[2].partition(" ")[0].strip()
