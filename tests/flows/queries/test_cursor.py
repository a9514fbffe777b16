"""Cursors of the flow list: one pagination for the console and REST."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from flows.models import Flow
from flows.queries.cursor import Cursor, make_cursor, parse_cursor
from flows.queries.list_order import NEWEST_FIRST, ordered_page
from flows.queries.selectors import PAGE_ROWS, rows
from tests.rows import make_flow

MOMENT = datetime(2026, 11, 29, 12, 0, 0, 123456, tzinfo=UTC)


def test_a_cursor_comes_back_to_the_microsecond() -> None:
    flow = Flow(id="0190-a_b", started_at=MOMENT)
    assert parse_cursor(make_cursor(flow)) == Cursor(MOMENT, "0190-a_b")


@pytest.mark.parametrize("text", ["", "_", "1", "1_", "_a", "x_a", "-1_a", "٣_a", "1_\0", "9" * 17])
def test_anything_else_is_no_cursor(text: str) -> None:
    assert parse_cursor(text) is None


@pytest.mark.django_db
def test_flows_of_one_moment_are_on_one_page_each() -> None:
    names = [make_flow(age_s=0).pk for _ in range(5)]
    Flow.objects.update(started_at=MOMENT)
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = ordered_page(rows(), NEWEST_FIRST, cursor, 2)
        seen += [flow.pk for flow in page.flows]
        cursor = page.older
    assert seen == sorted(names, reverse=True)
    assert cursor == ""


def test_rest_goes_on_where_the_console_stopped(admin_user: User) -> None:
    api = APIClient()
    api.force_authenticate(admin_user)
    for age in range(PAGE_ROWS + 3):
        make_flow(age_s=age)
    first = ordered_page(rows(), NEWEST_FIRST, "", PAGE_ROWS)
    rest = api.get("/api/flows/", {"cursor": first.older}).json()
    seen = [flow.pk for flow in first.flows] + [row["id"] for row in rest["results"]]
    newest_first = Flow.objects.order_by("-started_at", "-id").values_list("pk", flat=True)
    assert seen == list(newest_first)
    assert rest["next"] is None
