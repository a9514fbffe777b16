"""What happened to a flow, in one sentence of parts that a page joins by " · "."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from flows.display.units import duration, plural
from flows.models import Flow
from flows.sides import HookTrace

Tone = Literal["", "changed", "bad", "live"]
ROUTING_STAGE: Final = "transform"
NO_HTTP: Final = frozenset({"DNS", "TCP", "UDP", "TLS"})
"""Methods of what captured commands do besides HTTP."""
ROUTING_STEPS: Final = frozenset({"passthrough", "redirect", "transform"})


@dataclass(frozen=True, slots=True)
class Part:
    """A clause and the colour it earns."""

    text: str
    tone: Tone = ""


def sentence(flow: Flow, traces: Sequence[HookTrace]) -> list[Part]:
    """Request, where it went and why, what was changed, how it ended."""
    if flow.method in NO_HTTP and flow.source == "wireguard":
        return _connection(flow)
    parts = [
        Part(f"{flow.method} {_short(flow.path)}"),
        *_route(flow),
        *_changes(flow, traces),
        _end(flow),
    ]
    return [part for part in parts if part.text]


def _connection(flow: Flow) -> list[Part]:
    """A lookup, or a connection whose content was not read."""
    parts = [Part(f"{flow.method} {flow.host} {flow.path}")]
    if flow.action == "refused":
        return [*parts, Part("refused by ccproxy", "bad")]
    if flow.state == Flow.State.ERROR:
        return [*parts, Part("failed", "bad")]
    if flow.state == Flow.State.LIVE:
        return [*parts, Part("open", "live")]
    took = f" in {duration(flow.duration_ms)}" if flow.duration_ms is not None else ""
    return [
        *parts,
        Part(
            f"{flow.route}{took}"
            if flow.method == "DNS"
            else f"passed on unread, open for{took[3:]}"
        ),
    ]


def _short(path: str) -> str:
    path = path.partition("?")[0]
    return path if len(path) <= 80 else f"{path[:78]}…"


def _route(flow: Flow) -> list[Part]:
    if flow.action == "local":
        return [Part("answered by ccproxy itself")]
    if flow.action == "refused":
        return [Part("refused by ccproxy", "bad")]
    why = (
        f" by rule “{flow.rule}”"
        if flow.rule
        else " by sentinel"
        if flow.credential_injected
        else ""
    )
    to = f"provider {flow.provider}" if flow.provider else flow.host
    if not flow.requested_model:
        return [Part(f"to {to}{why}" if to else "")]
    if flow.sent_model and flow.sent_model != flow.requested_model:
        return [Part(f"{flow.requested_model} → {flow.sent_model} at {to}{why}", "changed")]
    return [Part(f"{flow.requested_model} → {to}{why}" if to else flow.requested_model)]


def changed_hooks(flow: Flow) -> list[str]:
    """The hooks that changed something, each once; routing is told by the route."""
    return [name for name in dict.fromkeys(flow.hooks_changed) if name not in ROUTING_STEPS]


def _changes(flow: Flow, traces: Sequence[HookTrace]) -> list[Part]:
    if flow.action in ("local", "refused"):
        return []
    failed = [trace for trace in traces if trace.outcome == "error"]
    parts = [Part(f"hook {failed[0].hook} failed", "bad")] if failed else []
    steps = [trace for trace in traces if trace.stage != ROUTING_STAGE]
    what = {change for trace in steps for change in trace.changed if not change.startswith("meta:")}
    if not traces and (names := changed_hooks(flow)):  # their traces are gone or not written yet
        return [Part(f"{_hooks(names)} changed it", "changed")]
    if not what:
        return [*parts, Part("no hook changed it")]
    names = list(dict.fromkeys(trace.hook for trace in steps if what.intersection(trace.changed)))
    headers = sum(change.startswith("header:") for change in what)
    things = [plural(headers, "header")] if headers else []
    kinds = {change.partition(":")[0] for change in what}
    things += [
        words for kind, words in (("body", "the body"), ("url", "the address")) if kind in kinds
    ]
    return [*parts, Part(f"{_hooks(names)} changed {_listed(things or ['something'])}", "changed")]


def _hooks(names: list[str]) -> str:
    return names[0] if len(names) == 1 else plural(len(names), "hook")


def _end(flow: Flow) -> Part:
    code = str(flow.status_code) if flow.status_code else ""
    if flow.state == Flow.State.LIVE and flow.is_websocket:
        return Part("websocket open", "live")
    if flow.state == Flow.State.LIVE:
        return Part(f"{code} streaming" if code else "waiting for the answer", "live")
    took = f" in {duration(flow.duration_ms)}" if flow.duration_ms is not None else ""
    if flow.state == Flow.State.ERROR:
        cut = " cut off" if (flow.status_code or 0) < 400 else ""
        return Part(f"{code}{cut}{took}" if code else f"failed{took}", "bad")
    if flow.is_websocket:
        return Part(f"websocket, open for {duration(flow.duration_ms)}" if took else "websocket")
    verb = " streamed" if flow.is_stream else ""
    return Part(
        f"{code or 'no answer'}{verb}{took}", "bad" if (flow.status_code or 0) >= 400 else ""
    )


def _listed(things: list[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
