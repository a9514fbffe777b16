"""Tags for what stands on several pages of the console."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from flows.display import units
from flows.models import Flow
from flows.templatetags.flows import tab_query

register = template.Library()


@register.simple_tag
def clock(moment: datetime) -> SafeString:
    """Return the time of day in UTC; the page's script shows it in local time."""
    return format_html(
        '<time datetime="{}">{}</time>', moment.isoformat(), date_format(moment, "H:i:s")
    )


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
