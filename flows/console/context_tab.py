"""The Context tab: what fills the window, and whether the prompt cache could be used, and if not,
because of whom.
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
from flows.reading.body_view import BodyView, body_view, side_body
from flows.reading.cache_break import Break, HookBodies, broken_by_client, culprit, find_break
from flows.reading.context_size import context_size
from flows.sides import FlowSide
from providers.prices.cost import Call, context_window_tokens

Context = dict[str, Any]
CACHE_LIFE: Final = timedelta(minutes=5)
"""How long vendors keep a prompt without being asked to keep it longer (Anthropic; OpenAI says 5 to
10 minutes).
"""
_SIDES: Final = ("forwarded", "client")


@dataclass(frozen=True, slots=True)
class CacheFinding:
    """What the page says about the cache: a sentence, what it cost, and the request it was compared
    with.
    """

    sentence: str
    cost: str
    previous: Flow
    broken: Break | None = None
    by: str = ""

    @property
    def bad(self) -> bool:
        return self.broken is not None


def context_tab(detail: FlowDetail, params: Mapping[str, str]) -> Context:
    """The breakdown of what left the proxy and the comparison with the request before it."""
    del params
    flow, part = detail.flow, "forwarded" if "forwarded" in detail.sides else "client"
    side = detail.sides.get(part)
    if side_format(flow, side, part) is None:
        return {"context": None, "note": "This is no conversation with a model.", "cache": None}
    previous = selectors.previous_flow(flow, _SIDES)
    bodies = selectors.load_bodies(_digests(detail, previous))
    request, note = request_of(flow, side, side_body(side, bodies), part)
    window = context_window_tokens(
        Call(
            flow.sent_model or flow.requested_model,
            flow.forwarded_url,
            flow.provider,
            flow.provider_type,
        )
    )
    return {
        "context": context_size(request) if request else None,
        "note": note,
        "window": window,
        "window_share": (
            flow.input_tokens / window if window and flow.input_tokens is not None else None
        ),
        "cache": finding(detail, previous, bodies) if previous else None,
    }


def finding(
    detail: FlowDetail, previous: Previous, bodies: Mapping[str, bytes]
) -> CacheFinding | None:
    """What became of the prompt that the previous request had put into the cache; None when that
    cannot be told.
    """
    now = {name: _json(detail.sides.get(name), bodies) for name in _SIDES}
    before = {name: _json(previous.sides.get(name), bodies) for name in _SIDES}
    if now["forwarded"] is None or before["forwarded"] is None:
        return None
    broken = find_break(now["forwarded"], before["forwarded"])
    cost = _cost(detail.flow, previous.flow)
    if broken is None:
        return CacheFinding(_kept(detail.flow, previous.flow), cost, previous.flow)
    if broken_by_client(broken, now["client"], before["client"]):
        by = "the client"
    else:
        by = culprit(broken, _hooks(detail, bodies)) or _who(detail.flow)
    return CacheFinding(_sentence(broken, by), cost, previous.flow, broken, by)


def _who(flow: Flow) -> str:
    return "the translation or an earlier hook" if flow.action == "transform" else "the proxy"


def _sentence(broken: Break, by: str) -> str:
    who = by if by.startswith(("the ",)) else f"the hook {by}"
    kept = f"{percent(broken.kept_share)} of the previous prompt come before it."
    if broken.kind == "model":
        return (
            "The cache cannot be used: another model was asked than in the previous request, by"
            f" {who}."
        )
    return f"The cache broke at {broken.path}, {broken.kind} by {who}; {kept}"


def _kept(flow: Flow, previous: Flow) -> str:
    text = "The previous prompt is a beginning of this one, so its cache can be used."
    gap = flow.started_at - previous.started_at
    if gap > CACHE_LIFE and flow.cache_read_tokens == 0:
        text += (
            f" It was not: {gap.total_seconds() / 60:.0f} minutes passed, and caches live for about"
            " five."
        )
    return text


def _cost(flow: Flow, previous: Flow) -> str:
    """What was read and written, in tokens; and how much less was read than could have been."""
    if flow.cache_read_tokens is None and flow.cache_write_tokens is None:
        return ""
    text = f"{count(flow.cache_read_tokens)} tokens were read from the cache"
    if flow.cache_write_tokens is not None:
        text += f" and {count(flow.cache_write_tokens)} written into it"
    held = (previous.cache_read_tokens or 0) + (previous.cache_write_tokens or 0)
    lost = held - (flow.cache_read_tokens or 0)
    if held and lost > 0:
        text += f"; {count(held)} were there after the previous request, so {count(lost)} were lost"
    return f"{text}."


def _digests(detail: FlowDetail, previous: Previous | None) -> list[str]:
    sides = [side for name, side in detail.sides.items() if name in _SIDES]
    sides += list(previous.sides.values()) if previous else []
    digests = [side.body_digest for side in sides]
    for trace in detail.traces:
        digests += [trace.body_before, trace.body_after]
    return digests


def _hooks(detail: FlowDetail, bodies: Mapping[str, bytes]) -> list[HookBodies]:
    found = []
    for trace in detail.traces:
        if trace.body_before != trace.body_after:
            before, after = (
                body_view("", bodies.get(digest, b"")).json.value
                for digest in (trace.body_before, trace.body_after)
            )
            found.append(HookBodies(trace.hook, before, after))
    return found


def _json(side: FlowSide | None, bodies: Mapping[str, bytes]) -> Any:
    view: BodyView = side_body(side, dict(bodies))
    return view.json.value if view.kind == "json" else None
