"""Filters of the flow list, shared by the console and the REST API.

The parameters' names are part of the URLs.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import django_filters
from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, StrIndex

from flows.bytes.database_text import database_json
from flows.models import Flow
from flows.queries.header_filter import by_header

STATUS_CHOICES: Final = [
    ("2xx", "2xx"),
    ("3xx", "3xx"),
    ("4xx", "4xx"),
    ("5xx", "5xx"),
    ("none", "no answer"),
]
_FLOW_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
_ID_START = re.compile(r"[0-9a-f]{6,8}(-[0-9a-f-]*)?", re.IGNORECASE)
_MAX_USD: Final = 1_000_000
_MAX_COUNT: Final = 2**31 - 1
_MAX_TEXT: Final = 500
LOOKUP: Final = "DNS"
"""The method of a name lookup."""


def _bound(
    label: str, field: str, lookup: str, largest: int, **options: Any
) -> django_filters.NumberFilter:
    return django_filters.NumberFilter(
        label=label,
        field_name=field or None,
        lookup_expr=lookup,
        min_value=0,
        max_value=largest,
        **options,
    )


class FlowFilter(django_filters.FilterSet):
    """Narrows a queryset of flows. Every filter is optional and they are joined by "and"."""

    q = django_filters.CharFilter(label="Search", method="search", max_length=2000)
    provider = django_filters.CharFilter(label="Provider", field_name="provider")
    rule = django_filters.CharFilter(label="Rule", field_name="rule")
    model = django_filters.CharFilter(label="Model", method="by_model")
    status = django_filters.ChoiceFilter(label="Status", choices=STATUS_CHOICES, method="by_status")
    stream = django_filters.BooleanFilter(label="Streamed", field_name="is_stream")
    error = django_filters.BooleanFilter(label="Failed", method="by_error")
    state = django_filters.ChoiceFilter(label="State", choices=Flow.State.choices)
    session = django_filters.CharFilter(label="Session", field_name="session_id")
    hook = django_filters.CharFilter(label="Changed by hook", method="by_hook")
    hook_ran = django_filters.CharFilter(label="Hook ran", method="by_hook_ran")
    lossy = django_filters.BooleanFilter(label="Translation lost something", field_name="is_lossy")
    header = django_filters.CharFilter(label="Header", method="by_header", max_length=_MAX_TEXT)
    cost_min_usd = _bound("Cost from, $", "cost_usd", "gte", _MAX_USD)
    cost_max_usd = _bound("Cost to, $", "cost_usd", "lte", _MAX_USD)
    tokens_min = _bound("Tokens from", "", "gte", _MAX_COUNT, method="by_tokens")
    tokens_max = _bound("Tokens to", "", "lte", _MAX_COUNT, method="by_tokens")
    duration_min_ms = _bound("Took from, ms", "duration_ms", "gte", _MAX_COUNT)
    duration_max_ms = _bound("Took to, ms", "duration_ms", "lte", _MAX_COUNT)
    pinned = django_filters.BooleanFilter(label="Pinned", field_name="pinned")
    source = django_filters.CharFilter(label="Source", field_name="source")
    run = django_filters.CharFilter(label="Captured command", field_name="run_label")
    ja4 = django_filters.CharFilter(label="JA4", field_name="ja4", lookup_expr="startswith")
    candidate = django_filters.BooleanFilter(label="May become a shape", method="by_candidate")
    lookups = django_filters.ChoiceFilter(
        label="Name lookups", choices=[("shown", "shown"), ("alone", "alone")], method="by_lookups"
    )
    after = django_filters.IsoDateTimeFilter(
        label="From", field_name="started_at", lookup_expr="gte"
    )
    before = django_filters.IsoDateTimeFilter(
        label="Until", field_name="started_at", lookup_expr="lt"
    )

    class Meta:
        model = Flow
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Flow]) -> QuerySet[Flow]:
        """Name lookups are flows too, but there are so many that they are shown only when asked
        for.
        """
        found: QuerySet[Flow] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("lookups") else found.exclude(method=LOOKUP)

    def by_lookups(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """With the rest, or alone."""
        del name
        return queryset.filter(method=LOOKUP) if value == "alone" else queryset

    def by_candidate(self, queryset: QuerySet[Flow], name: str, value: bool) -> QuerySet[Flow]:
        """See `Flow.is_shape_candidate`."""
        del name
        candidates = Q(source="wireguard", status_code=200) & ~Q(client_format="")
        return queryset.filter(candidates) if value else queryset.exclude(candidates)

    def search(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Every word must occur somewhere: id, method, host, path, models, provider, rule, session,
        error, text.
        """
        del name
        for word in value.split()[:8]:
            queryset = queryset.filter(_word(word))
        return queryset

    def by_model(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Asked for or sent."""
        del name
        return queryset.filter(Q(requested_model=value) | Q(sent_model=value))

    def by_status(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """By the first digit, or none at all."""
        del name
        if value == "none":
            return queryset.filter(status_code__isnull=True)
        hundred = int(value[0]) * 100
        return queryset.filter(status_code__gte=hundred, status_code__lt=hundred + 100)

    def by_error(self, queryset: QuerySet[Flow], name: str, value: bool) -> QuerySet[Flow]:
        """Failed: cut, refused, or answered with 400 and above."""
        del name
        failed = Q(state=Flow.State.ERROR) | Q(status_code__gte=400)
        return queryset.filter(failed) if value else queryset.exclude(failed)

    def by_hook(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Flows that this hook changed."""
        del name
        # SQLite has no JSON "contains"; as text it works on every database.
        return queryset.annotate(hooks_text=Cast("hooks_changed", TextField())).filter(
            hooks_text__contains=f'"{value}"'
        )

    def by_hook_ran(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Flows on which this hook ran, whether it changed something or not."""
        del name
        named = database_json(
            value
        ).decode()  # as the column spells it; "contains" would fold letters on SQLite
        return queryset.alias(ran_at=StrIndex("hooks_ran", Value(named))).filter(ran_at__gt=0)

    def by_header(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """A header of any side: "name: part of the value", "name:", or a text in any name or
        value.
        """
        del name
        return by_header(queryset, value)

    def by_tokens(self, queryset: QuerySet[Flow], name: str, value: Decimal) -> QuerySet[Flow]:
        """Input and output together, where at least one of them is known."""
        known = Q(input_tokens__isnull=False) | Q(output_tokens__isnull=False)
        total = Coalesce(F("input_tokens"), 0) + Coalesce(F("output_tokens"), 0)
        lookup = {"tokens_min": "gte", "tokens_max": "lte"}[name]
        return queryset.alias(tokens=total).filter(known, **{f"tokens__{lookup}": value})


BOUNDS: Final = tuple(
    name for name, found in FlowFilter.base_filters.items() if "_min" in name or "_max" in name
)
"""The filters that take a number."""


def _word(word: str) -> Q:
    found = Q(id__startswith=word.lower()) if _ID_START.fullmatch(word) else Q()
    for field in ("path", "host", "requested_model", "sent_model", "provider", "rule", "error"):
        found |= Q(**{f"{field}__icontains": word})
    exact: dict[str, Any] = {
        "method": word.upper(),
        "session_id__startswith": word,
        "run_label": word,
    }
    exact["search_text__contains"] = (
        word.lower()
    )  # it is lower case: folding 4 KB a row would take most of the time
    for lookup, value in exact.items():
        found |= Q(**{lookup: value})
    return found


def pasted_flow_id(text: str) -> str:
    """The flow id that somebody pasted, alone or in a console URL; empty when it is something
    else.
    """
    text = text.strip()
    match = _FLOW_ID.search(text)
    if match and (match.group() == text or "/flows/" in text):
        return match.group().lower()
    return ""
