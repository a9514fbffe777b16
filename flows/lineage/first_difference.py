"""First difference between a prompt and its predecessor's: address, author, texts, cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from flows.flow_link import MISSED_TOKENS
from flows.lineage.cache_break import (
    Break,
    HookBodies,
    broken_by_client,
    culprit,
)
from flows.lineage.predecessor import alike, common_start
from flows.lineage.prompt_parts import parts_of
from flows.models import Flow
from providers.prices.cost import Call, OwnPrice, cost_of
from providers.wire.core.ir import Usage
from providers.wire.core.jsonio import dumps_text

CLIENT: Final = "the client"
_EXCERPT_CHARS: Final = 240
_LEAD_CHARS: Final = 60
_CACHE_STEP_TOKENS: Final = 128
"""OpenAI caches prompts in steps of this many tokens."""


@dataclass(frozen=True, slots=True)
class SentBodies:
    """Parsed bodies of a request: as the client sent it, and as it was forwarded."""

    client: Any
    forwarded: Any


@dataclass(frozen=True, slots=True)
class Excerpts:
    """Texts of the earlier part and of the new one, around their first difference."""

    before: str
    after: str


def author_of(
    broken: Break, now: SentBodies, before: SentBodies, hooks: Sequence[HookBodies], action: str
) -> str:
    """Return who made a difference: the client, a hook by its name, or the proxy."""
    if broken_by_client(broken, now.client, before.client):
        return CLIENT
    if hook := culprit(broken, hooks):
        return hook
    if action == "transform":
        return "the translation or an earlier hook"
    return "the proxy"


def excerpts(broken: Break, now: Any, before: Any) -> Excerpts:
    """Return what stands at the first difference in both requests.

    Example: "Today is Monday." and "Today is Friday." → the texts around "Monday" and "Friday".
    """
    earlier = _text_of(before, broken.before)
    newer = _text_of(now, broken.now)
    if broken.kind == "inserted":
        return Excerpts("", newer[:_EXCERPT_CHARS])
    if broken.kind == "removed":
        return Excerpts(earlier[:_EXCERPT_CHARS], "")
    start = max(0, common_start(earlier, newer) - _LEAD_CHARS)
    return Excerpts(_window(earlier, start), _window(newer, start))


def _text_of(body: Any, digest: bytes) -> str:
    for part in parts_of(body):
        if part.digest == digest:
            return _readable(part.value)
    return ""


def _readable(value: Any) -> str:
    """Return a part as text: a text block as it reads, anything else as JSON."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], dict):
        value = value[1]
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    if isinstance(value, str):
        return value
    try:
        return dumps_text(value)
    except (ValueError, TypeError, RecursionError):
        return repr(value)


def _window(text: str, start: int) -> str:
    lead = "…" if start else ""
    tail = "…" if len(text) > start + _EXCERPT_CHARS else ""
    return f"{lead}{text[start : start + _EXCERPT_CHARS]}{tail}"


def cached_tokens(flow: Flow) -> int:
    """Return the tokens that the cache holds after a call, as far as its usage tells.

    Anthropic reports writes. OpenAI and Google cache each prompt without saying so.
    """
    read = flow.cache_read_tokens
    written = flow.cache_write_tokens
    if read is None and written is None:
        return 0
    if written is None:
        return (flow.input_tokens or 0) // _CACHE_STEP_TOKENS * _CACHE_STEP_TOKENS
    return (read or 0) + written


def lost_tokens(flow: Flow, available: int) -> int | None:
    """Return the tokens that were cached after the call before and were not read; None if unknown.

    Example: 12,000 were in the cache and 4,000 are read → 8,000.

    Args:
        flow: the later call.
        available: the tokens that were cached, 0 if unknown.
    """
    if not available or flow.cache_read_tokens is None:
        return None
    return max(0, available - flow.cache_read_tokens)


def kept_tokens(available: int, broken: Break) -> int:
    """Estimate the tokens before the first difference of those that were cached.

    Example: 12,000 were cached, and 3/4 of the prompt's bytes come before it → 9,000.
    """
    return round(available * broken.kept_share)


def lost_behind_rewind(flow: Flow, available: int, broken: Break) -> int | None:
    """Return the tokens of what a rewound prompt keeps that were cached and not read.

    An estimate: fewer than vendors cache count as none.
    """
    lost = lost_tokens(flow, kept_tokens(available, broken))
    return 0 if lost is not None and lost < MISSED_TOKENS else lost


def is_rewind(broken: Break, around: Excerpts, *, was_answered: bool) -> bool:
    """Return whether the client went back or edited a message, rather than lost the cache.

    A request without a complete response that comes again with another time is neither.
    """
    is_retry = broken.rewind == "edited" and not was_answered
    return bool(broken.rewind) and not (is_retry and alike(around.before, around.after))


def lost_usd(flow: Flow, lost: int | None, own: Sequence[OwnPrice]) -> Decimal | None:
    """Return what a call would have cost less with the lost tokens read from the cache."""
    if lost is None or flow.input_tokens is None or flow.output_tokens is None:
        return None
    model = flow.sent_model or flow.requested_model
    call = Call(model, flow.forwarded_url, flow.provider, flow.provider_type, flow.started_at)
    read = flow.cache_read_tokens or 0
    written = flow.cache_write_tokens
    paid = Usage(flow.input_tokens, flow.output_tokens, read, written)
    # No more than the request has: a shorter prompt needs less of the cache.
    could_read = min(flow.input_tokens, read + lost)
    fewer = None if written is None else max(0, written - (could_read - read))
    spared = Usage(flow.input_tokens, flow.output_tokens, could_read, fewer)
    actual = cost_of(paid, call, own)
    possible = cost_of(spared, call, own)
    if actual is None or possible is None:
        return None
    return max(Decimal(0), actual.usd - possible.usd)
