"""Template tags for the frame around every page: the top bar and its navigation."""

from __future__ import annotations

from typing import Any

from django import template
from django.db.models import Model
from django.utils.text import capfirst

from ccproxy_site.frame.navigation import menus, title_at

register = template.Library()


@register.filter
def crumb(part: dict[str, Any]) -> str:
    """Return the text of one part of the way to a page of the admin.

    A list is called as in the navigation. A row keeps its name as it is written.
    """
    title = str(part["title"])
    if isinstance(part["title"], Model):
        return title
    return title_at(part.get("link", "")) or capfirst(title)


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
