"""Template filters and tags of the flow pages."""

from __future__ import annotations

from typing import Any, NamedTuple
from zlib import crc32

from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.safestring import SafeString

from flows.compare.diff import JsonChange
from flows.display import units
from flows.display.safe_text import printable, visible
from flows.failure import has_failed
from flows.lookup_method import NO_HTTP
from flows.models import Flow, FlowLink
from flows.queries.sessions import cache_share
from flows.reading.event_pieces import says
from flows.reading.json_text import pretty
from flows.reading.sentence import (
    CREDENTIAL_HOOK,
    changed_hooks,
    translated,
)
from flows.search.hits import Hit

register = template.Library()
register.filter("size", units.size)
register.filter("ms", units.duration)
register.filter("count", units.count)
register.filter("usd", units.usd)
register.filter("percent", units.percent)

_TONES = 6
_MIN_TIMED_MS = 100
"""In less time, packets decide how fast a response looks."""
SIGNS = {"added": "+", "removed": "−", "changed": "≠", "moved": "↕", "same": ""}


class Speed(NamedTuple):
    """Output tokens of a response a second."""

    tokens_a_second: float
    is_estimated: bool


@register.filter("wire")
def wire(value: object) -> SafeString:
    """Return text from the wire as HTML that is safe to look at."""
    return visible("" if value is None else str(value))


@register.filter
def plain(value: object) -> str:
    """Return text from the wire for attributes and titles, without markup."""
    return printable("" if value is None else str(value))


@register.filter
def dash(value: Any) -> Any:
    """Show an unknown or empty value as "–"."""
    return units.UNKNOWN if value is None or value == "" else value


@register.filter
def whole_ms(duration_ms: float | None) -> str:
    """Return a number for a column whose header names the unit: 1234.5 → "1,234"."""
    return units.UNKNOWN if duration_ms is None else f"{duration_ms:,.0f}"


@register.filter
def sign(change: JsonChange | Any) -> str:
    """Return the sign of a change's kind, for readers who see no colours."""
    return SIGNS.get(change.kind, "")


@register.filter
def ttft_ms(flow: Flow) -> float | None:
    """Return the time to the first event, or to the first byte of a response without events."""
    if flow.first_event_ms is not None:
        return flow.first_event_ms
    return flow.first_byte_ms


@register.filter
def hit_in(flow: Flow, hits: Any) -> Hit | None:
    """Return where a search found its words in a flow; None where there is no search."""
    return hits.get(flow.pk) if hits else None


@register.filter
def cached_share(flow: Flow) -> float | None:
    """Return the share of a request's input that came from the cache; None if not reported."""
    return cache_share(flow.cache_read_tokens, flow.input_tokens)


@register.filter
def elapsed_ms(flow: Flow) -> float:
    """Return how long a running flow has taken until now."""
    return max(0.0, (timezone.now() - flow.started_at).total_seconds() * 1000)


@register.filter
def tokens_a_second(flow: Flow) -> Speed | None:
    """Return the speed of a response behind its first event; None where it is not known.

    The tokens of a running one are estimated by its events: most vendors send one with each token
    or few.
    """
    begun_ms = ttft_ms(flow)
    is_live = flow.state == Flow.State.LIVE
    tokens = flow.event_count if is_live else flow.output_tokens
    ended_ms = elapsed_ms(flow) if is_live else flow.duration_ms
    if not flow.is_stream or not tokens or begun_ms is None or ended_ms is None:
        return None
    if ended_ms - begun_ms < _MIN_TIMED_MS:
        return None
    return Speed(tokens / (ended_ms - begun_ms) * 1000, is_estimated=is_live)


@register.filter
def speed(found: Speed | None) -> str:
    """Write a speed as "48", one that is estimated as "~48"."""
    if found is None:
        return units.UNKNOWN
    return f"{'~' if found.is_estimated else ''}{found.tokens_a_second:,.0f}"


@register.filter
def session_tone(session_id: str) -> str:
    """Return the class of a session's colour in the list: the same for all of its rows."""
    return f"tone{crc32(session_id.encode('utf-8', 'replace')) % _TONES}"


@register.filter
def live_tab(flow: Flow) -> str:
    """Return the tab on which a running flow grows; "" when it has ended."""
    if flow.state != Flow.State.LIVE:
        return ""
    # Imported by the first page: Django loads these filters at each start.
    from flows.console.tabs import default_tab

    return default_tab(flow)


@register.filter
def failed(flow: Flow) -> bool:
    """Check whether a row is red: cut off, refused, or with a status of 400 and above."""
    return has_failed(flow)


@register.filter
def failed_status(flow: Flow) -> str:
    """Write a failed flow's status; one that hides the failure gets a word: "200 failed"."""
    return units.status_words(flow.status_code, failed=flow.state == Flow.State.ERROR)


@register.filter
def unread(flow: Flow) -> bool:
    """Recognise a name lookup, or a connection that was not read: it has a host and no path."""
    return flow.is_captured and flow.method in NO_HTTP


@register.filter
def worth_a_badge(flow: Flow) -> list[str]:
    """Return the hooks that changed a flow; none if hooks set only the credential."""
    names = changed_hooks(flow)
    return [] if names == [CREDENTIAL_HOOK] else names


register.filter("translated", translated)


@register.filter
def cache_break(flow: Flow) -> FlowLink | None:
    """Return the link of a flow whose prompt cache broke at a cost, if the row came with it."""
    link = _link_in_row(flow)
    is_lost = link is not None and link.is_break and link.lost_tokens != 0
    return link if is_lost else None


@register.filter
def cache_miss(flow: Flow) -> FlowLink | None:
    """Return the link of a flow whose cache was not read though nothing broke it."""
    link = _link_in_row(flow)
    is_missed = link is not None and link.is_missed(flow.cache_read_tokens)
    return link if is_missed else None


@register.filter
def rewound(flow: Flow) -> FlowLink | None:
    """Return the link of a flow that goes on from an earlier message, if the row came with it."""
    link = _link_in_row(flow)
    return link if link is not None and link.is_rewind else None


def _link_in_row(flow: Flow) -> FlowLink | None:
    if not Flow._meta.get_field("link").is_cached(flow):
        return None
    link: FlowLink | None = getattr(flow, "link", None)
    return link


register.filter("says", says)
register.filter("pretty", pretty)


@register.filter
def svg(number: float) -> str:
    """Write a coordinate with a point, also in languages with a decimal comma."""
    return f"{number:.1f}"


@register.filter
def as_list(item: object) -> list[object]:
    """Return a list with one item, for a template that wants several."""
    return [item]


@register.filter
def utf8(data: bytes) -> str:
    """Decode bytes; those that are not UTF-8 stay visible."""
    return data.decode("utf-8", "surrogateescape")


@register.simple_tag(takes_context=True)
def tab_query(context: template.Context, **changes: Any) -> str:
    """Return the query of the current tab with some parameters set; None removes one."""
    query = QueryDict(mutable=True)
    query["tab"] = context["tab"]
    given = context["request"].GET
    for key in ("view", "side", "hook", "part", "order"):
        if given.get(key):
            query[key] = given[key]
    return _changed(query, changes)


@register.simple_tag(takes_context=True)
def query_with(context: template.Context, **changes: Any) -> str:
    """Return this page's query with some parameters set; None removes one."""
    query = context["request"].GET.copy()
    return _changed(query, changes)


def _changed(query: QueryDict, changes: dict[str, Any]) -> str:
    for key, value in changes.items():
        if value is None:
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"
