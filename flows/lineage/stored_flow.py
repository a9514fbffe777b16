"""A flow as a link needs it: its sides, the hooks that rewrote the body, bodies when asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, NamedTuple

from flows.bodies.store import load_bodies
from flows.lineage.cache_break import HookBodies
from flows.lineage.first_difference import SentBodies
from flows.lineage.message_memo import Repeated
from flows.models import Flow, FlowParts
from flows.reading.body_view import BodyView, body_view, side_body, side_plain
from flows.sides import FlowSide, HookTrace, PartTexts, read_sides, read_traces

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
_SIDES: Final = ("client", "forwarded", "upstream", "delivered")
_REWRITING: Final = ('"body_before"', '"body_after"')
type Bodies = dict[str, bytes]
"""Bodies by digest."""


class StoredFlow(NamedTuple):
    """A flow, its sides, and the traces of hooks that changed the body."""

    flow: Flow
    sides: dict[str, FlowSide]
    rewriting: list[HookTrace]

    @property
    def digests(self) -> list[str]:
        """The bodies that a comparison may read."""
        digests = [side.body_digest for side in self.sides.values() if side.side in _SIDES]
        for trace in self.rewriting:
            digests += [trace.body_before, trace.body_after]
        return digests


def stored_flow(flow: Flow) -> StoredFlow:
    """Return a flow of the database; read it with `select_related("parts")`."""
    parts: FlowParts | None = getattr(flow, "parts", None)
    if parts is None:
        return StoredFlow(flow, {}, [])
    return flow_of_texts(flow, PartTexts(parts.headers, parts.sides, parts.steps))


def flow_of_texts(flow: Flow, parts: PartTexts) -> StoredFlow:
    """Return a flow that is not in the database yet."""
    traces: list[HookTrace] = []
    # Of nearly every flow no hook rewrote the body, and then reading its traces is for nothing.
    if any(name in parts.steps for name in _REWRITING):
        traces = read_traces(parts.headers, parts.steps)
    rewriting = [trace for trace in traces if trace.body_before != trace.body_after]
    return StoredFlow(flow, read_sides(parts.headers, parts.sides), rewriting)


def read_alone(flow: Flow) -> ReadFlow:
    """Return a flow of the database with its bodies. One query."""
    stored = stored_flow(flow)
    return ReadFlow(stored, load_bodies(stored.digests))


class ReadFlow:
    """Bodies of a flow. Each is parsed once, and only if something asks for it.

    Args:
        stored: the flow.
        bodies: those of `stored.digests`.
    """

    def __init__(self, stored: StoredFlow, bodies: Bodies) -> None:
        self._sides = stored.sides
        self._rewriting = stored.rewriting
        self._bodies = bodies
        self._views: dict[tuple[str, bool], BodyView] = {}
        self.repeated: Repeated | None = None
        """What the forwarded request repeats of an earlier one, once that was looked for."""

    @cached_property
    def request(self) -> bytes:
        """The forwarded request, decoded; it need not be parsed for that."""
        return side_plain(self._forwarded_side, self._bodies)

    @property
    def forwarded(self) -> Any:
        """The forwarded request, parsed."""
        return _parsed(self._forwarded)

    @property
    def response(self) -> bytes:
        """The response, decoded; a translated one is in the client's format where delivered."""
        sides = self._sides
        return side_plain(sides.get("upstream") or sides.get("delivered"), self._bodies)

    @property
    def sent(self) -> SentBodies:
        """The parsed request as the client sent it, and as it was forwarded."""
        return SentBodies(_parsed(self._client), self.forwarded)

    @property
    def hooks(self) -> list[HookBodies]:
        """The hooks that rewrote the body, in order."""
        return [self._hook_bodies(trace) for trace in self._rewriting]

    def view(self, side: FlowSide | None) -> BodyView:
        """Return the body of a side; sides that share a body share its view."""
        if side is None:
            return side_body(None, self._bodies)
        key = (side.body_digest, side.body_decoded)
        known = self._views.get(key)
        if known is None:
            known = self._views[key] = side_body(side, self._bodies)
        return known

    @property
    def _forwarded(self) -> BodyView:
        return self.view(self._forwarded_side)

    @property
    def _forwarded_side(self) -> FlowSide | None:
        return self._sides.get("forwarded") or self._sides.get("client")

    @property
    def _client(self) -> BodyView:
        return self.view(self._sides.get("client"))

    def _hook_bodies(self, trace: HookTrace) -> HookBodies:
        before = body_view("", self._bodies.get(trace.body_before, b""))
        after = body_view("", self._bodies.get(trace.body_after, b""))
        return HookBodies(trace.hook, before.json.value, after.json.value)


def _parsed(view: BodyView) -> Any:
    too_large = len(view.plain) > MAX_BODY_BYTES
    return view.json.value if view.kind == "json" and not too_large else None
