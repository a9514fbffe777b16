"""Saved filters of the flow list: permissions, allowed parameters, lookup by name."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import Q, QuerySet
from django.http import QueryDict

from flows.models import Flow, SavedFilter
from flows.queries.filters import FlowFilter
from providers.base.errors import CcproxyError
from providers.base.nearest import capitalised, nearest, no_such

FILTER_NAMES: Final = (*FlowFilter.base_filters, "jq")
"""The parameters of the list's address that filter."""
_PAGE_NAMES: Final = ("cursor", "limit", "ids", "sort", "columns", "group", "peek")
"""The parameters of the list's address that say which part of it is shown, and how."""

MAX_QUERY_CHARS: Final = 4000
MAX_SAVED: Final = 200
"""Most filters of one user: one menu shows them all."""
_SHOWN_NAMES: Final = 20
_SHOWN_REFERENCE_CHARS: Final = 60


class SavedFilterError(CcproxyError):
    """A reference to no saved filter, or to several; the message says what to do."""


def saved_filters(user: Any) -> QuerySet[SavedFilter]:
    """Return the filters that a user may use: their own and the shared ones."""
    return SavedFilter.objects.filter(Q(owner_id=user.pk) | Q(shared=True))


def own_filters(user: Any) -> QuerySet[SavedFilter]:
    """Return the filters that a user may change and delete."""
    if user.is_superuser:
        return SavedFilter.objects.all()
    return SavedFilter.objects.filter(owner_id=user.pk)


def check_room(owner_id: int | None) -> None:
    """Refuse another filter of a user who has saved as many as allowed.

    Raises:
        ValidationError: the user has saved `MAX_SAVED` filters.
    """
    if SavedFilter.objects.filter(owner_id=owner_id).count() >= MAX_SAVED:
        raise ValidationError(f"You have saved {MAX_SAVED} filters; delete some first.")


def clean_query(query: str) -> str:
    """Return the filters of an address in the order of the list's form.

    Everything else is left out. Example: "?status=5xx&cursor=1_a&provider=" → "status=5xx".

    Raises:
        ValidationError: there is no filter, one has an impossible value, or a name is
            misspelt: without that filter the others would leave far more flows.
    """
    try:
        given = QueryDict(query.removeprefix("?"))
    except (ValueError, SuspiciousOperation):
        # The latter for a query with thousands of fields.
        raise ValidationError("This is not a query of the flow list.") from None
    kept = QueryDict(mutable=True)
    for name in FILTER_NAMES:
        value = given.get(name, "").strip()
        if value:
            kept[name] = value
    misspelt = _misspelt_filter(given)
    if not kept:
        reason = misspelt or "choose one in the list first."
        raise ValidationError(f"There is no filter to save: {reason}")
    if misspelt:
        raise ValidationError(capitalised(misspelt))
    errors = filter_errors(FlowFilter(kept, queryset=Flow.objects.none()))
    if errors:
        raise ValidationError(errors)
    return kept.urlencode()


def _unknown_filters(given: QueryDict) -> list[str]:
    return sorted(set(given) - {*FILTER_NAMES, *_PAGE_NAMES})


def unknown_parameters(given: QueryDict) -> list[str]:
    """Return a sentence for each parameter that filters nothing, though it looks as if it did."""
    return [no_such("filter", name[:100], FILTER_NAMES) for name in _unknown_filters(given)]


def _misspelt_filter(given: QueryDict) -> str:
    """Return a sentence about the first parameter that is nearly a filter, or ""."""
    for name in _unknown_filters(given):
        if nearest(name, FILTER_NAMES):
            return no_such("filter", name, FILTER_NAMES)
    return ""


def filter_errors(filters: FlowFilter) -> list[str]:
    """Return a line for each filter with an impossible value, with its label."""
    form = filters.form
    return [f"{form[name].label}: {' '.join(lines)}" for name, lines in form.errors.items()]


def parameters_of(reference: str) -> QueryDict:
    """Return the filters of a saved name, or of a query written out (`status=5xx&provider=local`).

    Raises:
        SavedFilterError: there is no such name, several users have one, or the query has no filter.
    """
    rows = list(SavedFilter.objects.filter(name=reference).select_related("owner")[:_SHOWN_NAMES])
    shown = reference[:_SHOWN_REFERENCE_CHARS]
    # Two users may give one name to one query; either will do then.
    if len({row.query for row in rows}) > 1:
        owners = ", ".join(sorted(row.owner.get_username() for row in rows))
        raise SavedFilterError(
            f"Several filters are called “{shown}” ({owners}): rename one in the console."
        )
    if rows:
        return QueryDict(rows[0].query)
    if "=" not in reference:
        saved = SavedFilter.objects.values_list("name", flat=True).distinct()
        names = ", ".join(saved[:_SHOWN_NAMES]) or "none"
        meant = nearest(reference, saved)
        hint = f" Did you mean {meant}?" if meant else ""
        raise SavedFilterError(f"There is no saved filter “{shown}”. Saved are: {names}.{hint}")
    try:
        query = QueryDict(clean_query(reference))
    except ValidationError as exc:
        raise SavedFilterError(" ".join(exc.messages)) from None
    # A command may delete what a query leaves, so that nothing in it may be ignored.
    unknown = _unknown_filters(QueryDict(reference.removeprefix("?")))
    if unknown:
        raise SavedFilterError(capitalised(no_such("filter", unknown[0], FILTER_NAMES)))
    return query


def filtered(parameters: QueryDict, among: QuerySet[Flow] | None = None) -> QuerySet[Flow]:
    """Return the flows that the parameters leave, jq aside.

    `among`: flows that are asked for; all without it.

    Raises:
        SavedFilterError: one has an impossible value.
    """
    asked = Flow.objects.all() if among is None else among
    filters = FlowFilter(parameters, queryset=asked)
    errors = filter_errors(filters)
    if errors:
        raise SavedFilterError(" ".join(errors))
    flows: QuerySet[Flow] = filters.qs
    return flows
