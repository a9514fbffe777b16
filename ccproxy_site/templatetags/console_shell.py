"""Template tags for the frame around every page: the top bar and its navigation."""

from __future__ import annotations

from typing import Any

from django import template

from ccproxy_site.frame.navigation import menus

register = template.Library()


@register.inclusion_tag("_top.html", takes_context=True)
def top_bar(context: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of the top bar. A page without a request has no navigation."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"menus": (), "user": None}
    return {
        "menus": menus(request),  # type: ignore[arg-type]
        "user": user,
        "sees_flows": user.is_staff and user.has_perm("flows.view_flow"),
        "csrf_token": context.get("csrf_token"),
        "live_badge": context.get("live_badge"),
    }
