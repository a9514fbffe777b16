"""The Context tab: contents of the context window, and use of the prompt cache.

If the cache could not be used, the tab names the first difference and its author.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from flows.console.conversation_tab import chosen_turn, request_of, side_format
from flows.display.units import count, percent, usd
from flows.lineage.first_difference import cached_tokens
from flows.lineage.links import link_of
from flows.lineage.turn_rows import TurnRow
from flows.models import Flow, FlowLink
from flows.queries import selectors
from flows.queries.selectors import FlowDetail
from flows.reading.body_view import side_body
from flows.reading.context_size import context_size
from flows.reading.decoded import read_request
from flows.reading.websocket_chat import PATH
from providers.base.names import OPENAI_RESPONSES
from providers.prices.cost import Call, context_window_tokens
from providers.wire.core.jsonio import dumps

Context = dict[str, Any]
CACHE_LIFE: Final = timedelta(minutes=5)
"""Time for which vendors keep a prompt by default (Anthropic; OpenAI: 5 to 10 minutes)."""

_DIFFERING: Final = frozenset(
    {FlowLink.Relation.BROKEN, FlowLink.Relation.COMPACTED, FlowLink.Relation.SWITCHED}
)
"""Relations of a prompt that does not begin with the earlier one."""


@dataclass(frozen=True, slots=True)
class CacheFinding:
    """A sentence about the cache, its cost in tokens, and the request it was compared with."""

    sentence: str
    cost: str
    previous: Flow
    link: FlowLink

    @property
    def bad(self) -> bool:
        """True if the cache could not be used in full."""
        return self.link.is_break

    @property
    def differs(self) -> bool:
        """True if the earlier prompt and this one can be shown where they differ."""
        return bool(self.link.kind) and self.link.kind != "model"

    @property
    def by(self) -> str:
        """The author of the difference, "" without one."""
        return self.link.author


def context_tab(detail: FlowDetail, params: Mapping[str, str]) -> Context:
    """Show the contents of the forwarded request, and compare it with the request before it."""
    flow = detail.flow
    if flow.is_websocket:
        return _turn_context(flow, params)
    # A refused request was never forwarded.
    part = "forwarded" if "forwarded" in detail.sides else "client"
    side = detail.sides.get(part)
    if side_format(flow, side, part) is None:
        note = "This is not a conversation with a model."
        return {"context": None, "note": note, "cache": None}

    bodies = selectors.load_bodies([side.body_digest] if side else [])
    request, note = request_of(flow, side, side_body(side, bodies), part)
    window = _window_tokens(flow)
    return {
        "context": context_size(request) if request else None,
        "note": note,
        "window": window,
        "window_share": _window_share(flow, window),
        "cache": finding(flow),
        "tokens": flow.input_tokens,
    }


def _turn_context(flow: Flow, params: Mapping[str, str]) -> Context:
    """Show the contents of one turn of a websocket; without a choice, of the last one."""
    row = chosen_turn(flow, params)
    if row is None:
        note = "No request to a model passed here."
        return {"context": None, "note": note, "cache": None}
    request, problem = read_request(OPENAI_RESPONSES, PATH, dumps(row.turn.request))
    window = _window_tokens(row.flow)
    return {
        "context": context_size(request) if request else None,
        "note": problem or f"Turn {row.turn.number} of this websocket. {_turn_sentence(row)}",
        "window": window,
        "window_share": _window_share(row.flow, window),
        "cache": None,
        "tokens": row.flow.input_tokens,
    }


def _turn_sentence(row: TurnRow) -> str:
    turn = row.turn
    if turn.previous is None:
        return "It is the first one."
    if turn.broken is None:
        return f"Turn {turn.previous.number} is its start, so the cache of that one can be used."
    kept = percent(turn.broken.kept_share)
    if turn.is_rewind:
        has_words = bool(turn.around and turn.around.after)
        words = rewind_words(turn.broken.path, has_words=has_words)
        return f"{words}; {kept} of the prompt of turn {turn.previous.number} comes before it."
    text = (
        f"The cache broke at {turn.broken.path}, {turn.broken.kind} by the client since turn"
        f" {turn.previous.number}; {kept} of that prompt comes before it."
    )
    return f"{text} {count(row.lost_tokens)} tokens were lost." if row.lost_tokens else text


def _window_tokens(flow: Flow) -> int | None:
    model = flow.sent_model or flow.requested_model
    call = Call(model, flow.forwarded_url, flow.provider, flow.provider_type)
    return context_window_tokens(call)


def _window_share(flow: Flow, window: int | None) -> float | None:
    if not window or flow.input_tokens is None:
        return None
    return flow.input_tokens / window


def finding(flow: Flow) -> CacheFinding | None:
    """Compare a request with the one that it continues, whose prompt the vendor had cached.

    None for the first request of a thread.
    """
    link = link_of(flow)
    if link is None or not link.previous:
        return None
    previous = selectors.find_flow(link.previous)
    if previous is None:
        return None
    if link.is_rewind:
        sentence = _rewound(link)
    elif link.is_break:
        sentence = _sentence(link)
    elif link.relation in _DIFFERING:
        sentence = "The previous prompt is not the start of this one. Where they differ is unknown."
    else:
        sentence = _kept(flow, previous, link)
    cost = _rewind_cost(flow, previous, link) if link.is_rewind else _cost(flow, previous, link)
    return CacheFinding(sentence, cost, previous, link)


def _rewound(link: FlowLink) -> str:
    share = link.kept_bytes / link.total_bytes if link.total_bytes else 0.0
    return (
        f"{rewind_words(link.path, has_words=bool(link.after))}, so no cache broke:"
        f" {percent(share)} of the previous prompt comes before it."
    )


def rewind_words(path: str, *, has_words: bool) -> str:
    """Return the beginning of a sentence that says where the client went back to."""
    end = " and went on with other words" if has_words else ""
    return f"The client went back to {path}{end}"


def _rewind_cost(flow: Flow, previous: Flow, link: FlowLink) -> str:
    """Describe what was read, what is not wanted any more, and what was lost.

    Example: "6.0 k tokens were read from the cache; about 4.0 k that were there after the previous
    request belong to what was left out."
    """
    if flow.cache_read_tokens is None:
        return ""
    text = f"{count(flow.cache_read_tokens)} tokens were read from the cache"
    available = cached_tokens(previous)
    if available and link.total_bytes:
        left_out = available * (link.total_bytes - link.kept_bytes) // link.total_bytes
        text += (
            f"; about {count(left_out)} that were there after the previous request belong to what"
            " was left out"
        )
    if link.lost_tokens:
        text += f", and about {count(link.lost_tokens)} more were lost"
        if link.lost_usd:
            text += f", for {usd(link.lost_usd)} more"
    return f"{text}."


def _sentence(link: FlowLink) -> str:
    author = link.author if link.author.startswith("the ") else f"the hook {link.author}"
    if link.kind == "model":
        models = f"{link.before} → {link.after}"
        return (
            f"The cache cannot be used: {author} changed the model since the previous request"
            f" ({models})."
        )
    share = link.kept_bytes / link.total_bytes if link.total_bytes else 0.0
    kept = f"{percent(share)} of the previous prompt comes before it."
    if link.relation == FlowLink.Relation.COMPACTED:
        return f"{author.capitalize()} compacted the conversation, at {link.path}; {kept}"
    return f"The cache broke at {link.path}, {link.kind} by {author}; {kept}"


def _kept(flow: Flow, previous: Flow, link: FlowLink) -> str:
    text = "The previous prompt is the start of this one, so its cache can be used."
    is_late = flow.started_at - previous.started_at > CACHE_LIFE
    is_missed = link.is_missed(flow.cache_read_tokens)
    if not is_missed and not (is_late and flow.cache_read_tokens == 0):
        return text
    how_much = "Most of it was not" if flow.cache_read_tokens else "It was not"
    gap_s = (flow.started_at - previous.started_at).total_seconds()
    if is_late:
        life = "caches live for about five, or for an hour where the request asks for it"
        return f"{text} {how_much}: {gap_s / 60:.0f} minutes passed, and {life}."
    return (
        f"{text} {how_much}, after {gap_s:.0f} seconds: the provider had not stored it, or dropped"
        " it, or another of its servers answered."
    )


def _cost(flow: Flow, previous: Flow, link: FlowLink) -> str:
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
    if link.lost_tokens:
        available = link.lost_tokens + (read or 0)
        text += f"; {count(available)} were there after the previous request"
        text += f", so {count(link.lost_tokens)} were lost"
        if link.lost_usd:
            text += f", for {usd(link.lost_usd)} more"
    return f"{text}."
