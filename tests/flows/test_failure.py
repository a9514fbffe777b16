"""Decision whether a flow failed: of the columns in Python, and of the database."""

from __future__ import annotations

from itertools import product

import pytest

from flows.failure import has_failed, is_alarming
from flows.models import FAILED, Flow
from tests.rows import make_flow

STATES = ("live", "done", "error")
STATUSES = (None, 101, 200, 399, 400, 529)
ERRORS = ("", "the stream was cut", "Client disconnected.")


@pytest.mark.parametrize(
    ("state", "status_code", "error", "failed", "alarming"),
    [
        ("done", 200, "", False, False),
        ("done", None, "", False, False),
        ("done", 399, "", False, False),
        ("done", 400, "", True, True),
        ("error", 200, "the stream was cut", True, True),
        ("error", None, "", True, True),
        ("live", None, "", False, False),
        ("live", 101, "the provider closed", True, True),
        ("error", 200, "Client disconnected.", True, False),
    ],
)
def test_the_decision(state, status_code, error, failed, alarming):
    flow = Flow(state=state, status_code=status_code, error=error, method="POST")
    assert has_failed(flow) is failed
    assert is_alarming(flow.method, state, status_code, error) is alarming
    assert not is_alarming("DNS", state, status_code, error)


@pytest.mark.django_db
def test_the_database_decides_the_same():
    for state, status_code, error in product(STATES, STATUSES, ERRORS):
        make_flow(state=state, status_code=status_code, error=error)
    flows = {flow.pk: flow for flow in Flow.objects.all()}
    by_database = set(Flow.objects.filter(FAILED).values_list("pk", flat=True))
    assert by_database == {key for key, flow in flows.items() if has_failed(flow)}
    assert by_database | {*Flow.objects.exclude(FAILED).values_list("pk", flat=True)} == {*flows}
