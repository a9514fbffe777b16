"""Filters under a name: whose they are, what they may hold, and how they are found again."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import Q, QuerySet
from django.http import QueryDict

from flows.models import Flow, SavedFilter
from flows.queries.filters import FlowFilter
from providers.base.errors import CcproxyError

FILTER_NAMES: Final = (*FlowFilter.base_filters, "jq")
"""The parameters of the list's address that filter."""

MAX_QUERY_CHARS: Final = 4000
MAX_SAVED: Final = 200
"""How many one user may keep: they are all in one menu."""


class SavedFilterError(CcproxyError):
    """No saved filter, or not one, is meant; the message says what to do."""


def saved_filters(user: Any) -> QuerySet[SavedFilter]:
    """What a user may use: their own, and those that others share."""
    return SavedFilter.objects.filter(Q(owner_id=user.pk) | Q(shared=True))


def own_filters(user: Any) -> QuerySet[SavedFilter]:
    """What a user may change and delete."""
    return (
        SavedFilter.objects.all()
        if user.is_superuser
        else SavedFilter.objects.filter(owner_id=user.pk)
    )


def clean_query(query: str) -> str:
    """The filters of an address in the order of the list's form; everything else (a page, empty
    ones) is left out.

    Raises:
        ValidationError: there is none, or one has an impossible value.
    """
    try:
        given = QueryDict(query.removeprefix("?"))
    except (ValueError, SuspiciousOperation):  # the latter where it has thousands of fields
        raise ValidationError("This is no query of the flow list.") from None
    kept = QueryDict(mutable=True)
    for name in FILTER_NAMES:
        if value := given.get(name, "").strip():
            kept[name] = value
    if not kept:
        raise ValidationError("There is no filter to save: choose one in the list first.")
    errors = FlowFilter(kept, queryset=Flow.objects.none()).form.errors
    if errors:
        raise ValidationError([f"{name}: {' '.join(lines)}" for name, lines in errors.items()])
    return kept.urlencode()


def parameters_of(reference: str) -> QueryDict:
    """The filters of a saved name, or of a query written out (`status=5xx&provider=local`).

    Raises:
        SavedFilterError: there is no such name, several people use it, or the query is none.
    """
    found = list(SavedFilter.objects.filter(name=reference).select_related("owner")[:20])
    if len({row.query for row in found}) > 1:
        owners = ", ".join(sorted(row.owner.get_username() for row in found))
        raise SavedFilterError(
            f"Several filters are called “{reference[:60]}” ({owners}): rename one in the console."
        )
    if not found and "=" not in reference:
        names = (
            ", ".join(SavedFilter.objects.values_list("name", flat=True).distinct()[:20]) or "none"
        )
        raise SavedFilterError(f"There is no saved filter “{reference[:60]}”. Saved are: {names}.")
    try:
        return QueryDict(found[0].query if found else clean_query(reference))
    except ValidationError as exc:
        raise SavedFilterError(" ".join(exc.messages)) from None


def filtered(parameters: QueryDict) -> QuerySet[Flow]:
    """The flows that they leave, jq aside.

    Raises:
        SavedFilterError: one has an impossible value.
    """
    filters = FlowFilter(parameters, queryset=Flow.objects.all())
    if filters.form.errors:
        raise SavedFilterError(
            " ".join(f"{name}: {' '.join(lines)}" for name, lines in filters.form.errors.items())
        )
    found: QuerySet[Flow] = filters.qs
    return found
