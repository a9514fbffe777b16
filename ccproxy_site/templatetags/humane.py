"""Template filters for numbers and moments in everyday words. Unknown is "–", never 0."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.timesince import timesince, timeuntil

register = template.Library()


@register.filter
def or_dash(value: int | None) -> str:
    """Return a count with thousands separators, or "–"."""
    return "–" if value is None else f"{value:,}"


@register.filter
def ago(moment: datetime | None) -> str:
    """Return "just now", "3 minutes ago", or "–"."""
    if moment is None:
        return "–"
    if (timezone.now() - moment).total_seconds() < 60:
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@register.filter
def until(moment: datetime | None) -> str:
    """Return "in 3 hours, 12 minutes", "in less than a minute", "2 hours ago", or "–"."""
    if moment is None:
        return "–"
    left_s = (moment - timezone.now()).total_seconds()
    if left_s <= 0:
        return ago(moment)
    return "in less than a minute" if left_s < 60 else f"in {timeuntil(moment, depth=2)}"
