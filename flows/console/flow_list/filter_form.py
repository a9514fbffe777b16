"""The form over the list of flows: every filter of the FilterSet, and jq."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC
from functools import cached_property, partial
from typing import Any, Final

from django import forms
from django.forms.boundfield import BoundField
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

from flows.display.safe_text import printable
from flows.models import Flow
from flows.queries.filters import BOUNDS, STATUS_CHOICES, FlowFilter
from flows.queries.selectors import PAGE_ROWS, Facets, facets
from flows.search.text_filter import PAGE_TIME_S

Choices = Iterable[tuple[str, Any]]

_ANY: Final = ("", "any")
_YES_NO: Final = (_ANY, ("true", "yes"), ("false", "no"))
_SOURCES: Final = (
    _ANY,
    ("reverse", "the proxy’s port"),
    ("wireguard", "captured commands"),
    ("forward", "the forward proxy"),
    ("import", "imported files"),
)
_CHOICES: Final[dict[str, Choices]] = {
    "status": (_ANY, *STATUS_CHOICES),
    "state": (_ANY, *Flow.State.choices),
    "lookups": (("", "hidden"), ("shown", "shown"), ("alone", "alone")),
    "source": _SOURCES,
}
_FACETS: Final = {
    "provider": "providers",
    "rule": "rules",
    "model": "models",
    "hook": "hooks",
    "hook_ran": "ran",
    "run": "runs",
}
"""Filters whose values are offered: filter → field of `Facets`."""

_TEXTS: Final[dict[str, dict[str, str]]] = {
    "header": {"placeholder": "anthropic-beta: redact, or a part of any name or value"},
    "jq": {"placeholder": "map(select(.response.status_code >= 400))"},
    "ja4": {},
    "session": {},
}
_WIDE: Final = frozenset({"header", "jq"})
_ORDER: Final = (
    *("provider", "rule", "model", "status", "state", "stream", "error", "hook", "hook_ran"),
    *(
        "run",
        "source",
        "candidate",
        "shape",
        "unshaped",
        "lookups",
        "ja4",
        "lossy",
        "pinned",
        *BOUNDS,
    ),
    *("session", "after", "before", "header", "jq"),
)
"""The fields of the sheet; those that a later filter adds follow."""


class FlowFilterForm(forms.Form):
    """The FilterSet's form as the console shows it."""

    jq = forms.Field(required=False, label="jq, from array to array")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = False  # each field stands in its label
        for name, field in self.fields.items():
            field.widget = self._widget(name, field)
        self.fields["after"].label = "From (UTC)"
        self.fields["before"].label = "Until (UTC)"

    @cached_property
    def facets(self) -> Facets:
        """Values to choose from; one query, and none where the form is not shown."""
        return facets()

    def _offered(self, facet: str, name: str) -> list[tuple[str, str]]:
        """Return the values that the newest flows have, each with its text.

        The address may name another value. It stays in the list, or the form would drop it.
        """
        values: list[str] = getattr(self.facets, facet)
        wanted = self.data.get(name, "")
        if wanted and wanted not in values:
            values = [wanted, *values]
        return [_ANY, *((value, printable(value)) for value in values)]

    def sheet(self) -> Iterator[tuple[BoundField, bool]]:
        """Yield the fields below the search box, each with True when it fills a line."""
        rest = [name for name in self.fields if name != "q" and name not in _ORDER]
        for name in (*_ORDER, *rest):
            yield self[name], name in _WIDE

    def clean(self) -> dict[str, Any]:
        # jq runs on what the filters leave, so the FilterSet must not look for a filter “jq”.
        self.cleaned_data.pop("jq", None)
        return self.cleaned_data

    def _widget(self, name: str, field: forms.Field) -> forms.Widget:
        if name == "q":
            return _search_box()
        if name in _FACETS:
            # A callable is asked when the field is rendered; the stubs do not know that.
            offered: Any = partial(self._offered, _FACETS[name], name)
            return forms.Select(choices=offered)
        if name in _CHOICES:
            return forms.Select(choices=_CHOICES[name])
        if name in BOUNDS:
            return forms.TextInput({"inputmode": "decimal", "autocomplete": "off"})
        if name in _TEXTS:
            quiet = {"class": "wire", "spellcheck": "false", "autocomplete": "off"}
            return forms.TextInput(quiet | _TEXTS[name])
        if name in ("after", "before"):
            return _UtcMinute({"type": "datetime-local"})
        widget: forms.Widget = field.widget
        if isinstance(widget, forms.Select):
            # Django's widget calls no choice “unknown” and would select "" for every value.
            return forms.Select(choices=_YES_NO)
        return widget


class _UtcMinute(forms.DateTimeInput):
    """A field for a moment, which takes no zone: 2026-11-29T19:07+01:00 → 2026-11-29T18:07."""

    def format_value(self, value: Any) -> str | None:
        moment = parse_datetime(str(value or ""))
        if moment is None:
            return super().format_value(value)
        if is_aware(moment):
            moment = moment.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M}"


def _search_box() -> forms.Widget:
    widget = forms.TextInput(
        {
            "id": "q",
            "placeholder": "Search id, host, path, model, session, text …",
            "aria-label": "Search all flows",
            "autocomplete": "off",
            "spellcheck": "false",
        }
    )
    widget.input_type = "search"
    return widget


class FlowListFilter(FlowFilter):
    """The filters of the list with the console's form."""

    enough = PAGE_ROWS + 1
    time_s = PAGE_TIME_S

    class Meta(FlowFilter.Meta):
        form = FlowFilterForm


class LiveRowFilter(FlowFilter):
    """The filters of a live list for rows that changed, wherever in the list they stand."""

    enough = PAGE_ROWS + 1

    def position(self) -> str:
        """Return the list's start: a row that the list shows is one, wherever the page begins."""
        return ""
