"""Links from values to the list of flows with this value as a filter."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from flows.display import units
from flows.display.safe_text import printable, visible

_OF_ANOTHER_LIST: Final = ("cursor", "ids", "peek")
"""Parameters that a list with another filter does not keep."""


class FilterLinks:
    """Makes the links of one page. The rows of a page share most values, so links are kept."""

    def __init__(self, request: HttpRequest) -> None:
        self._list = reverse("flows:list")
        self._kept = QueryDict(mutable=True)
        for key in request.GET:
            current = request.GET.get(key, "")
            if current and key not in _OF_ANOTHER_LIST:
                self._kept[key] = current
        self._made: dict[tuple[str, str, str], SafeString] = {}

    def __call__(self, name: str, value: str, label: str = "") -> SafeString:
        """Return a link that adds a filter and keeps the others; "–" for an empty value.

        Example: ("model", "opus") → `<a … href="/flows/?status=4xx&model=opus" …>opus</a>`.
        """
        key = (name, value, label)
        if key not in self._made:
            self._made[key] = self._link(name, value, label)
        return self._made[key]

    def _link(self, name: str, value: str, label: str) -> SafeString:
        if not value:
            return format_html('<span class="muted">{}</span>', units.UNKNOWN)
        query = self._kept.copy()
        query[name] = value
        return format_html(
            '<a class="value" href="{}?{}" title="{}">{}</a>',
            self._list,
            query.urlencode(),
            printable(f"Only {name} {value}"),
            visible(label or value),
        )
