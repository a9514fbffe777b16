"""Flows that a user chose by ids, saved filter, jq and number."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import OutputWrapper
from django.db.models import QuerySet

from flows.display.progress import counted
from flows.models import Flow
from flows.queries.flow_set import (
    chosen_ids,
    jq_filters,
    missing_field,
    newest,
    referred_ids,
)
from providers.base.errors import CcproxyError

if TYPE_CHECKING:
    from flows.bodies.complete_flow import CompleteFlow


def apply_filter(options: Namespace) -> None:
    """Set `among`, the flows that a saved filter and a search leave.

    The filter's jq comes before the jq of the command line.
    """
    if options.filter:
        # Imported only here: its form costs every other command 30 ms.
        from flows.queries.saved_filters import parameters_of

        parameters = parameters_of(options.filter)
        options.jq = [*parameters.getlist("jq"), *options.jq]
    if options.filter or options.search:
        options.among = filtered_flows(options, Flow.objects.all())


def filtered_flows(options: Namespace, flows: QuerySet[Flow]) -> QuerySet[Flow]:
    """Return those of the flows that the saved filter and the search leave now."""
    if options.filter:
        from flows.queries.saved_filters import filtered, parameters_of

        flows = filtered(parameters_of(options.filter), flows)
    if options.search:
        from flows.search.text_filter import matching

        flows = matching(flows, options.search).flows
    return flows


def asked(options: Namespace) -> QuerySet[Flow]:
    """Return the flows before jq, oldest first."""
    if options.flows:
        ids = referred_ids(options.flows)
        return Flow.objects.filter(pk__in=ids).order_by("started_at", "id")
    return newest(options.number, options.among)


def ids_asked(options: Namespace) -> list[str]:
    """Return the ids of the flows after jq."""
    filters = [] if options.flows else jq_filters(options.jq)
    return chosen_ids(asked(options), filters)


def some_ids(options: Namespace) -> list[str]:
    """Return the ids of the flows after jq.

    Raises:
        CcproxyError: there are none.
    """
    ids = ids_asked(options)
    if not ids:
        raise CcproxyError(nothing_found(options.jq))
    return ids


def nothing_found(filters: Sequence[str]) -> str:
    """Return the sentence for no flows at all, or for filters that leave none."""
    if Flow.objects.exists():
        return f"No flow matches. {missing_field(filters)}".strip()
    return "No flows are recorded yet."


def complete(ids: Sequence[str], progress: OutputWrapper) -> Iterator[CompleteFlow]:
    """Yield the flows with their bodies; a terminal sees the progress."""
    from flows.bodies.complete_flow import load_flows

    flows = load_flows(ids)
    return counted(flows, len(ids), "flows", progress)


def print_json(values: Iterable[Any], output: OutputWrapper) -> None:
    """Write an array value by value: the record need not fit into memory."""
    separator = "[\n"
    for value in values:
        output.write(separator + json.dumps(value), ending="")
        separator = ",\n"
    is_empty = separator == "[\n"
    output.write("[]" if is_empty else "\n]")
