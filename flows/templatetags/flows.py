"""Filters and tags of the flow pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from flows.compare.diff import JsonChange
from flows.console.conversation_tab import is_conversation
from flows.display import units
from flows.display.safe_text import printable, visible
from flows.models import Flow
from flows.reading.answer_text import pretty, says
from flows.reading.sentence import NO_HTTP, changed_hooks

register = template.Library()
register.filter("size", units.size)
register.filter("ms", units.duration)
register.filter("count", units.count)
register.filter("usd", units.usd)
register.filter("percent", units.percent)

SIGNS = {"added": "+", "removed": "−", "changed": "≠", "moved": "↕", "same": ""}


@register.filter("wire")
def wire(value: object) -> SafeString:
    """Text from the wire, safe to look at."""
    return visible("" if value is None else str(value))


@register.filter
def plain(value: object) -> str:
    """The same for attributes and titles, where no markup can be."""
    return printable("" if value is None else str(value))


@register.filter
def dash(value: Any) -> Any:
    """Unknown or empty is "–"."""
    return units.UNKNOWN if value is None or value == "" else value


@register.filter
def whole_ms(duration_ms: float | None) -> str:
    """A number for a column whose header names the unit."""
    return units.UNKNOWN if duration_ms is None else f"{duration_ms:,.0f}"


@register.filter
def sign(change: JsonChange | Any) -> str:
    """A change's kind without colour."""
    return SIGNS.get(change.kind, "")


@register.filter
def ttft_ms(flow: Flow) -> float | None:
    """Time to the first event, or to the first byte where there are no events."""
    return flow.first_event_ms if flow.first_event_ms is not None else flow.first_byte_ms


@register.filter
def live_tab(flow: Flow) -> str:
    """The tab on which a running flow grows; empty when it is over."""
    return (
        ""
        if flow.state != Flow.State.LIVE
        else "messages"
        if flow.is_websocket
        else "chat"
        if is_conversation(flow)
        else "response"
    )


@register.filter
def failed(flow: Flow) -> bool:
    """Whether a row is red."""
    return flow.state == Flow.State.ERROR or (flow.status_code or 0) >= 400


register.filter("changed_hooks", changed_hooks)


@register.filter
def unread(flow: Flow) -> bool:
    """A lookup, or a connection whose content was not read: it has a host and no path."""
    return flow.source == "wireguard" and flow.method in NO_HTTP


@register.filter
def only_key(names: list[str]) -> bool:
    """Whether nothing but the credential was exchanged, as for every routed request."""
    return names == ["inject_auth"]


register.filter("says", says)
register.filter("pretty", pretty)


@register.filter
def svg(number: float) -> str:
    """A coordinate, whatever the language's decimal point."""
    return f"{number:.1f}"


@register.filter
def as_list(item: object) -> list[object]:
    """One thing where a template wants several."""
    return [item]


@register.filter
def utf8(data: bytes) -> str:
    """Bytes as text; what is not UTF-8 stays visible."""
    return data.decode("utf-8", "surrogateescape")


@register.simple_tag(takes_context=True)
def filter_link(context: template.Context, name: str, value: str, label: str = "") -> SafeString:
    """A value that narrows the list to itself, keeping the other filters."""
    if not value:
        return format_html('<span class="muted">{}</span>', units.UNKNOWN)
    query = QueryDict(mutable=True)
    for key, current in context["request"].GET.items():
        if current and key not in ("cursor", "ids", name):
            query[key] = current
    query[name] = value
    title = printable(f"Only {name} {value}")
    return format_html(
        '<a class="value" href="/flows/?{}" title="{}">{}</a>',
        query.urlencode(),
        title,
        visible(label or value),
    )


@register.simple_tag(takes_context=True)
def tab_query(context: template.Context, **changes: Any) -> str:
    """A query of the flow page for its current tab with some parameters set; None removes one."""
    query = QueryDict(mutable=True)
    query["tab"] = context["tab"]
    for key in ("view", "side", "hook", "part", "order"):
        if context["request"].GET.get(key):
            query[key] = context["request"].GET[key]
    for key, value in changes.items():
        if value is None:
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def query_with(context: template.Context, **changes: Any) -> str:
    """This page's own query with some parameters set; None removes one."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        if value is None:
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"
