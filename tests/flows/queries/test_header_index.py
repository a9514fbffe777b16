"""The filter by header finds the same with the search index as without it."""

from __future__ import annotations

import pytest

from flows.models import Flow
from flows.queries import header_filter
from flows.queries.header_filter import by_header
from flows.search.finder import possible_ids
from flows.search.segment_rows import build_segment
from tests.flows.search.test_search import index
from tests.flows.seed import add_flow, add_side

pytestmark = pytest.mark.django_db
WANTED = [
    "x-trace: Straße", "x-trace: STRASSE", "x-trace:", "x-trace: a b", 'x-trace: "q', "date: Mon",
    "date:", "x-tra: ce", "x-other: 7", "trace", "request-id: req_0", "x-none: 1", "x-trace: é",
]  # fmt: skip


@pytest.fixture(params=["waiting", "open", "segment", "mixed"])
def flows(request: pytest.FixtureRequest) -> str:
    """Flows whose headers wait for the index, or are in it, with and without a segment."""
    stage: str = request.param
    values = ["Straße 1", "a b", 'a "quoted" b', "7", "é", "É", "x-other: 7"]
    for number, value in enumerate(values):
        flow = add_flow(f"f{number}", 60 - number)
        add_side(flow, "client", {"x-trace": value, "date": "Mon, 1 Jan"})
        add_side(flow, "upstream", {"request-id": f"req_{number}", "x-other": value})
        if stage == "mixed" and number in (2, 4):
            index()
            assert build_segment(2 if number == 2 else 1)
    if stage in ("open", "segment"):
        index()
    if stage == "segment":
        assert build_segment(len(values))
    return stage


def test_the_index_leaves_out_no_flow_that_has_the_header(
    flows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Flow.objects.order_by("id")
    found = [[flow.pk for flow in by_header(every, wanted)] for wanted in WANTED]
    monkeypatch.setattr(header_filter, "possible_ids", lambda words: None)
    for wanted, names in zip(WANTED, found, strict=True):
        assert names == [flow.pk for flow in by_header(every, wanted)], wanted
    assert any(found)
    possible = possible_ids([("x-trace: ",), ("nowhere",)])
    assert possible is not None
    assert len(possible) == {"waiting": 7, "open": 7, "segment": 0, "mixed": 4}[flows]
