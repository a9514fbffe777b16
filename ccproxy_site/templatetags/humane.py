"""Template filters for numbers and moments as people say them. Unknown is "–", never 0."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

register = template.Library()


@register.filter
def or_dash(value: int | None) -> str:
    """A count with thousands separators, or "–"."""
    return "–" if value is None else f"{value:,}"


@register.filter
def ago(moment: datetime | None) -> str:
    """ "just now", "3 minutes ago", or "–"."""
    if moment is None:
        return "–"
    if (timezone.now() - moment).total_seconds() < 60:
        return "just now"
    return f"{timesince(moment, depth=1)} ago"
