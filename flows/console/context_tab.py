"""The Context tab: contents of the context window, and use of the prompt cache.

If the cache could not be used, the tab names the first difference and its author.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from flows.console.conversation_tab import request_of, side_format
from flows.display.units import count, percent
from flows.models import Flow
from flows.queries import selectors
from flows.queries.selectors import FlowDetail, Previous
from flows.reading.body_view import body_view, side_body
from flows.reading.cache_break import Break, HookBodies, broken_by_client, culprit, find_break
from flows.reading.context_size import context_size
from flows.sides import FlowSide
from providers.prices.cost import Call, context_window_tokens

Context = dict[str, Any]
CACHE_LIFE: Final = timedelta(minutes=5)
"""Time for which vendors keep a prompt by default (Anthropic; OpenAI: 5 to 10 minutes)."""
_SIDES: Final = ("forwarded", "client")


@dataclass(frozen=True, slots=True)
class CacheFinding:
    """A sentence about the cache, its cost in tokens, and the request it was compared with."""

    sentence: str
    cost: str
    previous: Flow
    broken: Break | None = None
    by: str = ""

    @property
    def bad(self) -> bool:
        """True if the cache could not be used in full."""
        return self.broken is not None


def context_tab(detail: FlowDetail, params: Mapping[str, str]) -> Context:
    """Show the contents of the forwarded request, and compare it with the request before it."""
    del params
    flow = detail.flow
    # A refused request was never forwarded.
    part = "forwarded" if "forwarded" in detail.sides else "client"
    side = detail.sides.get(part)
    if side_format(flow, side, part) is None:
        note = "This is not a conversation with a model."
        return {"context": None, "note": note, "cache": None}

    previous = selectors.previous_flow(flow, _SIDES)
    # All bodies of the page in one query.
    bodies = selectors.load_bodies(_digests(detail, previous))
    request, note = request_of(flow, side, side_body(side, bodies), part)
    window = _window_tokens(flow)
    return {
        "context": context_size(request) if request else None,
        "note": note,
        "window": window,
        "window_share": _window_share(flow, window),
        "cache": finding(detail, previous, bodies) if previous else None,
    }


def _window_tokens(flow: Flow) -> int | None:
    model = flow.sent_model or flow.requested_model
    call = Call(model, flow.forwarded_url, flow.provider, flow.provider_type)
    return context_window_tokens(call)


def _window_share(flow: Flow, window: int | None) -> float | None:
    if not window or flow.input_tokens is None:
        return None
    return flow.input_tokens / window


def finding(
    detail: FlowDetail, previous: Previous, bodies: dict[str, bytes]
) -> CacheFinding | None:
    """Compare a request with the previous one, whose prompt the vendor had cached.

    None if one of the two bodies cannot be read.
    """
    flow = detail.flow
    now = _json(detail.sides.get("forwarded"), bodies)
    before = _json(previous.sides.get("forwarded"), bodies)
    if now is None or before is None:
        return None
    cost = _cost(flow, previous.flow)
    broken = find_break(now, before)
    if broken is None:
        return CacheFinding(_kept(flow, previous.flow), cost, previous.flow)

    client_now = _json(detail.sides.get("client"), bodies)
    client_before = _json(previous.sides.get("client"), bodies)
    if broken_by_client(broken, client_now, client_before):
        by = "the client"
    else:
        by = culprit(broken, _rewriting_hooks(detail, bodies)) or _other_author(flow)
    return CacheFinding(_sentence(broken, by), cost, previous.flow, broken, by)


def _other_author(flow: Flow) -> str:
    if flow.action == "transform":
        return "the translation or an earlier hook"
    return "the proxy"


def _sentence(broken: Break, by: str) -> str:
    author = by if by.startswith("the ") else f"the hook {by}"
    if broken.kind == "model":
        return f"The cache cannot be used: {author} changed the model since the previous request."
    kept = f"{percent(broken.kept_share)} of the previous prompt come before it."
    return f"The cache broke at {broken.path}, {broken.kind} by {author}; {kept}"


def _kept(flow: Flow, previous: Flow) -> str:
    text = "The previous prompt is the start of this one, so its cache can be used."
    gap = flow.started_at - previous.started_at
    if gap <= CACHE_LIFE or flow.cache_read_tokens != 0:
        return text
    minutes = gap.total_seconds() / 60
    return f"{text} It was not: {minutes:.0f} minutes passed, and caches live for about five."


def _cost(flow: Flow, previous: Flow) -> str:
    """Describe the tokens that were read and written, and those that were lost.

    Example: the previous request left 10,000 tokens in the cache and this one read 2,000 → "2.0 k
    tokens were read from the cache; 10.0 k were there after the previous request, so 8.0 k were
    lost."
    """
    read = flow.cache_read_tokens
    written = flow.cache_write_tokens
    if read is None and written is None:
        return ""
    text = f"{count(read)} tokens were read from the cache"
    if written is not None:
        text += f" and {count(written)} written into it"
    available = (previous.cache_read_tokens or 0) + (previous.cache_write_tokens or 0)
    lost = available - (read or 0)
    if available and lost > 0:
        text += f"; {count(available)} were there after the previous request"
        text += f", so {count(lost)} were lost"
    return f"{text}."


def _digests(detail: FlowDetail, previous: Previous | None) -> list[str]:
    digests = []
    for name in _SIDES:
        if name in detail.sides:
            digests.append(detail.sides[name].body_digest)
    if previous is not None:
        for side in previous.sides.values():
            digests.append(side.body_digest)
    for trace in detail.traces:
        digests += [trace.body_before, trace.body_after]
    return digests


def _rewriting_hooks(detail: FlowDetail, bodies: Mapping[str, bytes]) -> list[HookBodies]:
    hooks = []
    for trace in detail.traces:
        if trace.body_before == trace.body_after:
            continue
        before = body_view("", bodies.get(trace.body_before, b""))
        after = body_view("", bodies.get(trace.body_after, b""))
        hooks.append(HookBodies(trace.hook, before.json.value, after.json.value))
    return hooks


def _json(side: FlowSide | None, bodies: dict[str, bytes]) -> Any:
    view = side_body(side, bodies)
    return view.json.value if view.kind == "json" else None
