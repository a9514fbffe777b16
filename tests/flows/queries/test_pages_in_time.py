"""Pages of slow filters end in time; one after the other, they have what the whole answer has."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.http import QueryDict

from flows.console.flow_list.filter_form import FlowListFilter
from flows.models import Flow
from flows.queries.filters import FlowFilter
from flows.queries.list_order import NEWEST_FIRST, in_order, ordered_page, parse_order
from flows.search import finder
from flows.search.segment_rows import build_segment
from tests.flows.search.test_search import index
from tests.flows.seed import add_flow, add_side

pytestmark = pytest.mark.django_db

COUNT = 40
ROWS = 4
QUERIES = [
    "header=qz",
    "header=date:+tu",
    "header=date:",
    "header=none+of+them",
    "header=x-odd:+qz",
    "header=qz&sort=-took",
    "header=qz&duration_min_ms=20",
    "q=zq",
    "q=zq&sort=took",
    "q=zq&header=qz",
    "q=common&header=qz",
    "q=common&header=date:+tu&sort=-took",
    "q=zq+common&header=date:+tu",
]


@pytest.fixture(autouse=True)
def flows() -> None:
    """Flows of which every third one has a header, and every fifth one a name."""
    for number in range(COUNT):
        flow = add_flow(
            f"f{number:02}",
            COUNT - number,
            duration_ms=float(number % 7 * 10),
            error="common zq" if number % 5 == 0 else "common",
        )
        headers = {"date": "Tue, 1 Jan" if number % 4 == 0 else "Mon, 1 Jan"}
        headers["x-odd"] = "qz" if number % 3 == 0 else "other"
        add_side(flow, "client", headers)
    index()
    assert build_segment(COUNT // 2)


def pages(query: str, time_s: float | None) -> list[list[str]]:
    """Return the ids of each page, as a reader of the list goes through them."""
    found: list[list[str]] = []
    cursor = ""
    while not found or cursor:
        params = QueryDict(query, mutable=True)
        params["cursor"] = cursor
        with patch.object(FlowListFilter, "time_s", time_s):
            filters = FlowListFilter(params, queryset=Flow.objects.all())
            order = parse_order(params.get("sort", "")) or NEWEST_FIRST
            page = ordered_page(filters.qs, order, cursor, ROWS)
        found.append([flow.pk for flow in page.flows])
        cursor = page.older or filters.reached
        assert len(found) <= COUNT * 2
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_pages_together_are_the_whole_answer(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlowListFilter, "enough", ROWS + 1)
    for name, number in (("_FEW_READ", 2), ("_READ_FLOWS", 3), ("_ASKED_FLOWS", 3)):
        monkeypatch.setattr(finder, name, number)
    order = parse_order(QueryDict(query).get("sort", "")) or NEWEST_FIRST
    whole = in_order(FlowFilter(QueryDict(query), queryset=Flow.objects.all()).qs, order)
    wanted = [flow.pk for flow in whole]
    assert bool(wanted) is ("none" not in query)
    for time_s in (0.0, 60.0):
        read = pages(query, time_s)
        assert [flow_id for page in read for flow_id in page] == wanted
    assert len(pages(query, 0.0)) >= len(pages(query, 60.0))


def test_a_page_asks_for_the_headers_of_some_flows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "_FEW_READ", 10)
    asked: list[int] = []
    real = finder._that_meet

    def counted(condition: object, ids: list[str]) -> list[str]:
        asked.append(len(ids))
        return real(condition, ids)  # type: ignore[arg-type]

    monkeypatch.setattr(finder, "_that_meet", counted)
    for query in ("header=nowhere", "q=%2F%2F"):
        asked.clear()
        with patch.object(FlowListFilter, "time_s", 0.0):
            filters = FlowListFilter(QueryDict(query), queryset=Flow.objects.all())
            assert list(filters.qs) == []
        assert asked == [10]
        assert filters.reached
