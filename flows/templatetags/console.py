"""Tags for what stands on several pages of the console."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django import template
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from flows.display import units
from flows.display.safe_text import printable, visible
from flows.failure import has_failed
from flows.lineage.predecessor import common_start
from flows.models import Flow
from flows.templatetags.flows import tab_query
from providers.base.names import PROVIDER_ONLY_FORMATS, WIRE_FORMATS

register = template.Library()

_TITLE_CHARS: Final = 200
_SEPARATOR: Final = re.compile(r"([_.:/])(?=\w)")
_CHANGE_KINDS: Final = {"meta": "note", "url": "address"}
_NO_STATUS: Final = SafeString('<span class="muted">–</span>')
_WEBSOCKET: Final = SafeString('<span class="kind" title="WebSocket">ws</span>')
_STREAMED: Final = SafeString('<i class="dot" title="Streamed"></i>')


@register.filter
@register.simple_tag
def clock(moment: datetime) -> SafeString:
    """Return the time of day in UTC; the page's script shows it in local time."""
    # No figure of a moment needs an escape, and each row has one.
    return SafeString(f'<time datetime="{moment.isoformat()}">{moment:%H:%M:%S}</time>')


@register.simple_tag
def full_time(moment: datetime) -> SafeString:
    """Return date and time in UTC; the page's script shows them in local time."""
    return format_html(
        '<time datetime="{}" data-full>{} UTC</time>',
        moment.isoformat(),
        date_format(moment, "Y-m-d H:i:s"),
    )


@register.simple_tag
def fact(label: str, value: Any) -> SafeString:
    """Return one entry of a list of facts: `<dl class="facts">`."""
    return format_html("<div><dt>{}</dt><dd>{}</dd></div>", label, value)


@register.filter
def model_names(flow: Flow) -> str:
    """Return "requested → sent", or one name where both are the same."""
    if flow.sent_model and flow.sent_model != flow.requested_model:
        return f"{flow.requested_model or units.UNKNOWN} → {flow.sent_model}"
    return flow.requested_model


@register.filter
def breakable(name: object) -> SafeString:
    """Return a name that a narrow column breaks behind its separators: "content_·block_·delta"."""
    return SafeString(_SEPARATOR.sub(r"\1<wbr>", visible(str(name))))


@register.filter
def change_name(name: str) -> str:
    """Return what a hook changed, for people: "header:x-a" → "header x-a", "meta:a" → "note a"."""
    kind, _, part = name.partition(":")
    return f"{_CHANGE_KINDS.get(kind, kind)} {part}".rstrip()


@register.filter
def format_name(name: str) -> str:
    """Return a wire format's name for people; an unknown one as it is."""
    return (WIRE_FORMATS | PROVIDER_ONLY_FORMATS).get(name, name)  # type: ignore[call-overload, no-any-return]


@register.filter
def marked_against(text: str, other: str) -> SafeString:
    """Return a text with a mark around what another one has otherwise.

    Example: "at 11:58 UTC" against "at 12:03 UTC" → "at 1<mark>1:58</mark> UTC".
    """
    start = common_start(text, other)
    rest, other_rest = text[start:], other[start:]
    same_end = common_start(rest[::-1], other_rest[::-1])
    end = len(text) - same_end
    if start == end:
        return visible(text)
    return format_html(
        "{}<mark>{}</mark>{}", visible(text[:start]), visible(text[start:end]), visible(text[end:])
    )


@register.filter
def tone_class(tone: int) -> str:
    """Return the class of a model's colour in the charts of usage."""
    return f"tone{tone}"


@register.simple_tag
def swatch(names: str) -> SafeString:
    """Return the coloured square of a legend; `names` are the classes of the bar it explains."""
    return format_html(
        '<svg class="swatch" viewBox="0 0 1 1"><rect class="{}" width="1" height="1"/></svg>',
        names,
    )


@register.simple_tag(takes_context=True)
def flow_link(context: template.Context, flow_id: str, tab: str = "") -> str:
    """Return the address of a flow, in a file that opens offline the anchor of its raw bodies."""
    if context.get("offline"):
        return f"#f-{flow_id}"
    address = reverse("flows:detail", args=[flow_id])
    return f"{address}?tab={tab}" if tab else address


@register.inclusion_tag("flows/_tab_link.html", takes_context=True)
def tab_link(
    context: template.Context, label: str, selected: str, default: str = "", **change: str
) -> dict[str, Any]:
    """Render a link that sets one parameter of the current tab.

    `selected` is the parameter's value on this page. `default` is the value that addresses omit.
    Example: `{% tab_link "Raw" view view="raw" %}`.
    """
    [(name, value)] = change.items()
    address = tab_query(context, **{name: None if value == default else value})
    return {"label": label, "current": value == selected, "address": address}


@register.inclusion_tag("flows/_body_buttons.html")
def body_buttons(flow_id: str, body: Any) -> dict[str, Any]:
    """Render “Copy” and “Download” of a body."""
    return {"flow_id": flow_id, "body": body}


@register.filter
def status_tag(flow: Flow) -> SafeString:
    """Return the tag with the status of a row, and whether the response streamed."""
    return format_html("{} {}", _end_tag(flow), _way_tag(flow))


def _end_tag(flow: Flow) -> SafeString:
    error = printable(_shortened(flow.error))
    title = format_html(' title="{}"', error) if error else ""
    if flow.state == Flow.State.LIVE:
        name = "bad-tag" if flow.error else "live-tag"
        words = "live" if flow.status_code is None else flow.status_code
        return format_html(
            '<span class="tag {}"{}><i class="dot pulse"></i>{}</span>', name, title, words
        )
    if flow.state == Flow.State.DONE and not flow.status_code:
        return _NO_STATUS
    words = units.status_words(flow.status_code, failed=flow.state == Flow.State.ERROR)
    if not flow.status_code and flow.action == "refused":
        words = "refused"
    name = " bad-tag" if has_failed(flow) else ""
    return format_html('<span class="tag{}"{}>{}</span>', name, title, words)


def _way_tag(flow: Flow) -> SafeString:
    if flow.is_websocket:
        return _WEBSOCKET
    return _STREAMED if flow.is_stream else SafeString("")


def _shortened(error: str) -> str:
    return error if len(error) <= _TITLE_CHARS else f"{error[: _TITLE_CHARS - 1]}…"


@register.filter
def with_rows(table: Any, shown: Sequence[Flow]) -> SafeString:
    """Return the rows of flows as the table of a list shows them."""
    return table.html(shown)  # type: ignore[no-any-return]
