"""Filters of the flow list, shared by the console and the REST API.

The parameters' names are part of the URLs.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import django_filters
from django.db.models import (
    ExpressionWrapper,
    F,
    FloatField,
    IntegerField,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, StrIndex

from flows.bytes.database_text import database_json
from flows.models import FAILED, Flow
from flows.queries.header_filter import by_header, narrowed_by_header
from flows.queries.list_order import NEWEST_FIRST, cursor_at, in_order, parse_order
from flows.queries.sessions import of_session
from flows.record import CAPTURED, LOOKUP
from flows.search.text_filter import PAGE_HITS, matching

STATUS_CHOICES: Final = [
    ("2xx", "2xx"),
    ("3xx", "3xx"),
    ("4xx", "4xx"),
    ("5xx", "5xx"),
    ("none", "no response"),
]
_FLOW_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
_MAX_USD: Final = 1_000_000
_MAX_COUNT: Final = 2**31 - 1
_MAX_TEXT: Final = 500
_FEW_OF_STATUS: Final = 1000


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
    """Filters of flows. Every one is optional; a flow has to pass all of them."""

    q = django_filters.CharFilter(label="Search", method="search", max_length=2000)
    provider = django_filters.CharFilter(label="Provider", field_name="provider")
    rule = django_filters.CharFilter(label="Rule", field_name="rule")
    model = django_filters.CharFilter(label="Model", method="by_model")
    status = django_filters.ChoiceFilter(label="Status", choices=STATUS_CHOICES, method="by_status")
    stream = django_filters.BooleanFilter(label="Streamed", field_name="is_stream")
    error = django_filters.BooleanFilter(label="Failed", method="by_error")
    state = django_filters.ChoiceFilter(label="State", choices=Flow.State.choices)
    session = django_filters.CharFilter(label="Session", method="by_session")
    hook = django_filters.CharFilter(label="Changed by hook", method="by_hook")
    hook_ran = django_filters.CharFilter(label="Hook ran", method="by_hook_ran")
    lossy = django_filters.BooleanFilter(label="Translation lost something", field_name="is_lossy")
    header = django_filters.CharFilter(label="Header", method="by_header", max_length=_MAX_TEXT)
    cost_min_usd = _bound("Cost from, $", "", "gte", _MAX_USD, method="by_amount")
    cost_max_usd = _bound("Cost to, $", "", "lte", _MAX_USD, method="by_amount")
    tokens_min = _bound("Tokens from", "", "gte", _MAX_COUNT, method="by_tokens")
    tokens_max = _bound("Tokens to", "", "lte", _MAX_COUNT, method="by_tokens")
    duration_min_ms = _bound("Took from, ms", "", "gte", _MAX_COUNT, method="by_amount")
    duration_max_ms = _bound("Took to, ms", "", "lte", _MAX_COUNT, method="by_amount")
    pinned = django_filters.BooleanFilter(label="Pinned", field_name="pinned")
    source = django_filters.CharFilter(label="Source", field_name="source")
    run = django_filters.CharFilter(label="Captured command", field_name="run_label")
    ja4 = django_filters.CharFilter(label="JA4", field_name="ja4", lookup_expr="startswith")
    shape = django_filters.CharFilter(label="Took the shape", field_name="shape")
    unshaped = django_filters.BooleanFilter(label="Shape failed, or unsigned", method="by_unshaped")
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

    time_s: float | None = None
    """Processor time in which a search reads texts; None for any."""
    reached: str = ""
    """Cursor of the last flow that a search read, if it ended before all were; set by `qs`."""
    enough: int | None = None
    """Number of hits of a search that is enough, from the `cursor` on; None for all."""
    _unchecked: Q | None = None
    """A condition that is met by reading through the list; None: there is none."""

    class Meta:
        model = Flow
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Flow]) -> QuerySet[Flow]:
        """Apply all filters, and leave out name lookups unless the URL asks for them."""
        self._unchecked = None
        flows: QuerySet[Flow] = super().filter_queryset(queryset)
        # Captured commands look up so many names that the list would show little else.
        if not self.form.cleaned_data.get("lookups"):
            flows = flows.exclude(method=LOOKUP)
        limit = self._limit()
        text = self.form.cleaned_data.get("q") or ""
        if not limit:
            return matching(flows, text).flows
        order = parse_order(str(self.data.get("sort") or "")) or NEWEST_FIRST
        among = in_order(flows, order, self.position())
        found = matching(flows, text, limit, among, self.time_s, self._unchecked)
        if not found.reached:
            return found.flows
        last = Flow.objects.filter(pk=found.reached).first()
        if last is None:
            # It was deleted meanwhile, so the next search reaches another one.
            return self.filter_queryset(queryset)
        self.reached = cursor_at(last, order)
        # Flows that wait for the index come when the list has reached them.
        behind = in_order(found.flows, order, self.reached).values("pk").order_by()
        return found.flows.exclude(pk__in=behind)

    def _limit(self) -> int | None:
        """Return how many flows are enough; None for all, which jq needs."""
        return None if self.data.get("jq") else self.enough

    def position(self) -> str:
        """Return the cursor of the page, "" for the first one."""
        return str(self.data.get("cursor") or "")

    def by_lookups(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep name lookups with the other flows ("shown"), or nothing else ("alone")."""
        del name
        if value == "alone":
            return queryset.filter(method=LOOKUP)
        return queryset

    def by_unshaped(self, queryset: QuerySet[Flow], name: str, value: bool) -> QuerySet[Flow]:
        """Keep flows whose shape could not be applied or signed, see `Flow.shape_problem`."""
        del name
        if value:
            return queryset.exclude(shape_problem="")
        return queryset.filter(shape_problem="")

    def by_candidate(self, queryset: QuerySet[Flow], name: str, value: bool) -> QuerySet[Flow]:
        """Keep flows that may become a shape, see `Flow.is_shape_candidate`."""
        del name
        accepted = Q(status_code__gte=200, status_code__lt=300)
        candidates = Q(source__in=CAPTURED) & accepted & ~Q(client_format="")
        if value:
            return queryset.filter(candidates)
        return queryset.exclude(candidates)

    def search(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Leave the search to `filter_queryset`: it comes behind the other filters."""
        del name, value
        return queryset

    def by_model(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep flows with this model, requested or sent."""
        del name
        return queryset.filter(Q(requested_model=value) | Q(sent_model=value))

    def by_session(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep flows of a session, also of a guessed one."""
        del name
        return of_session(queryset, value)

    def by_status(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep flows by the first digit of their status ("5xx"), or those without one."""
        del name
        if value == "none":
            return queryset.filter(status_code__isnull=True)
        hundred = int(value[0]) * 100
        of_class = Q(status_code__gte=hundred, status_code__lt=hundred + 100)
        # Few are found by the index on the status, and sorted. Of many, the list's own index meets
        # enough for a page: the sum keeps the database from sorting them all.
        if not Flow.objects.filter(of_class).order_by()[_FEW_OF_STATUS:].exists():
            return queryset.filter(of_class)
        plain = ExpressionWrapper(F("status_code") + Value(0), output_field=IntegerField())
        coded = queryset.alias(code=plain)
        return coded.filter(code__gte=hundred, code__lt=hundred + 100)

    def by_error(self, queryset: QuerySet[Flow], name: str, value: bool) -> QuerySet[Flow]:
        """Keep flows that failed: cut off, refused, or with a status of 400 and above."""
        del name
        return queryset.filter(FAILED) if value else queryset.exclude(FAILED)

    def by_hook(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep flows that this hook changed."""
        del name
        # SQLite has no JSON "contains"; as text it works on every database.
        hooks_text = Cast("hooks_changed", TextField())
        quoted = f'"{value}"'
        return queryset.annotate(hooks_text=hooks_text).filter(hooks_text__contains=quoted)

    def by_hook_ran(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep flows on which this hook ran, also if it changed nothing."""
        del name
        # As the column writes it. "contains" would ignore the case of letters on SQLite.
        stored_name = database_json(value).decode()
        position = StrIndex("hooks_ran", Value(stored_name))
        return queryset.alias(ran_at=position).filter(ran_at__gt=0)

    def by_header(self, queryset: QuerySet[Flow], name: str, value: str) -> QuerySet[Flow]:
        """Keep flows with a header of any side, see `header_filter`."""
        del name
        if self._limit() is None or self.time_s is None:
            return by_header(queryset, value)
        # A page does not wait until the headers of all flows were read.
        left, self._unchecked = narrowed_by_header(queryset, value)
        return left

    def by_amount(self, queryset: QuerySet[Flow], name: str, value: Decimal) -> QuerySet[Flow]:
        """Compare the cost or the duration, where it is known."""
        kind, bound = name.split("_")[:2]
        column = F("cost_usd") if kind == "cost" else F("duration_ms")
        # As a sum, so that the list's own index is walked, which has these columns too. By the
        # index of one of them, all that match would be sorted for a page.
        plain = ExpressionWrapper(column + Value(0.0), output_field=FloatField())
        amounts = queryset.alias(**{kind: plain})
        lookup = "gte" if bound == "min" else "lte"
        return amounts.filter(**{f"{kind}__{lookup}": float(value)})

    def by_tokens(self, queryset: QuerySet[Flow], name: str, value: Decimal) -> QuerySet[Flow]:
        """Compare input and output tokens together, where at least one of them is known."""
        known = Q(input_tokens__isnull=False) | Q(output_tokens__isnull=False)
        total = Coalesce(F("input_tokens"), 0) + Coalesce(F("output_tokens"), 0)
        counted = queryset.alias(tokens=total).filter(known)
        if name == "tokens_min":
            return counted.filter(tokens__gte=value)
        return counted.filter(tokens__lte=value)


class PagedFlowFilter(FlowFilter):
    """The filters for one page of flows, in the order of the page."""

    enough = PAGE_HITS


BOUNDS: Final = tuple(name for name in FlowFilter.base_filters if "_min" in name or "_max" in name)
"""The filters that take a number."""


def pasted_flow_id(text: str) -> str:
    """Return the flow id that a user pasted, alone or in a console URL; "" for anything else."""
    text = text.strip()
    match = _FLOW_ID.search(text)
    if match is None:
        return ""
    # A search for words may contain an id too; only a URL of a flow means this flow.
    if match.group() == text or "/flows/" in text:
        return match.group().lower()
    return ""
