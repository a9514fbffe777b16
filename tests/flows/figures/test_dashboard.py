"""The dashboard: sums of the right hours, latencies, running sessions; and the usage page's plots."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.figures.dashboard import dashboard
from flows.figures.latencies import latencies, percentile
from flows.figures.plots import Value, line, stacked
from flows.figures.usage_summary import COLOURS, MEASURES, PERIODS, usage_summary
from flows.models import UsageDaily
from tests.rows import make_flow

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)


def at(hours_ago: float, **fields: Any) -> None:
    make_flow(started_at=NOW - timedelta(hours=hours_ago), **{"state": "done"} | fields)


def test_hours_count_requests_failures_and_cost(db: None) -> None:
    at(0.1, status_code=200, cost_usd=Decimal("0.25"))
    at(0.2, status_code=529)
    at(0.3, status_code=None, state="error")
    at(5.6, status_code=200, cost_usd=Decimal("1"))
    at(23.4, status_code=401)
    at(23.6, status_code=200)
    at(40, status_code=200)
    board = dashboard(NOW)
    assert [hour.begins.hour for hour in board.hours] == [*range(19, 24), *range(19)]
    filled = {
        hour.begins.isoformat(): (hour.requests, hour.failed, hour.cost_usd)
        for hour in board.hours
        if hour.requests
    }
    assert filled == {
        "2026-11-19T19:00:00+00:00": (1, 1, 0.0),
        "2026-11-20T12:00:00+00:00": (1, 0, 1.0),
        "2026-11-20T18:00:00+00:00": (3, 2, 0.25),
    }
    assert (board.requests_in_day, board.failed_in_day, board.cost_in_day) == (5, 3, 1.25)
    assert board.requests.highest == 3
    assert [part.tone for part in board.requests.rectangles] == [
        "failed",
        "tone0",
        "failed",
        "tone0",
    ]


def test_running_requests_and_sessions_stand_first(db: None) -> None:
    at(0.05, session_id="calm", status_code=200, cost_usd=Decimal("0.5"))
    at(0.1, session_id="busy", state="live", status_code=None)
    at(0.1, session_id="busy", status_code=200)
    at(2, session_id="old", status_code=200)
    at(60, session_id="socket", state="live", status_code=101)
    board = dashboard(NOW)
    assert board.running == 2
    shown = [(row["session_id"], row["requests"], row["running"]) for row in board.sessions]
    assert shown == [("busy", 2, 1), ("calm", 1, 0)]


def test_latencies_are_those_of_answered_requests(db: None) -> None:
    for number in range(1, 21):
        at(1, provider="slow", status_code=200, first_event_ms=number * 100.0, duration_ms=5000.0)
    at(1, provider="slow", status_code=529, first_byte_ms=1.0)
    at(1, provider="quick", status_code=200, first_byte_ms=50.0, duration_ms=60.0)
    slow, quick = latencies(NOW - timedelta(hours=2))
    assert (slow.provider, slow.requests, slow.failed) == ("slow", 21, 1)
    assert (slow.first_p50_ms, slow.first_p95_ms, slow.total_p95_ms) == (1000.0, 1900.0, 5000.0)
    assert (quick.first_p50_ms, quick.failed) == (50.0, 0)
    assert (slow.width_p95, round(quick.width_p95, 1)) == (100.0, 2.6)


def test_a_percentile_is_a_measured_value() -> None:
    assert percentile([], 95) is None
    assert percentile([7.0], 50) == percentile([7.0], 95) == 7.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.0


def test_plots_keep_proportions_and_gaps() -> None:
    plot = stacked([[Value(3, "a", ""), Value(1, "b", "")], [], [Value(2, "a", "")]])
    assert plot.highest == 4
    assert [(part.height, part.y) for part in plot.rectangles] == [(75, 25), (25, 0), (50, 50)]
    assert stacked([[], []]).rectangles == []
    assert line([1.0, 0.0, None, 0.5]) == ["0.0,0.0 333.3,100.0", "990.0,50.0 1000.0,50.0"]
    assert line([0.5]) == ["0.0,50.0 10.0,50.0"]
    assert line([None]) == []


def test_the_page_shows_them_and_teaches_when_nothing_happened(staff: Client) -> None:
    empty = staff.get("/dashboard/").content.decode()
    assert "ccproxy demo" in empty
    make_flow(
        started_at=timezone.now() - timedelta(minutes=1),
        state="done",
        status_code=200,
        provider="<b>vendor",
        session_id="s-1",
        duration_ms=70.0,
    )
    shown = staff.get("/dashboard/").content.decode()
    assert "ccproxy demo" not in shown
    assert 'aria-label="Requests and failures per hour"' in shown
    assert "&lt;b&gt;vendor" in shown
    assert "/flows/session/s-1/" in shown


def usage(day: date, model: str, **fields: Any) -> None:
    UsageDaily.objects.create(day=day, provider="anthropic", model=model, **fields)


def test_models_without_a_colour_are_one_block(db: None) -> None:
    day = date(2026, 11, 20)
    for number in range(COLOURS + 2):
        usage(day, f"m{number}", requests=10 - number, cost_usd=Decimal(10 - number))
    summary = usage_summary(7, "requests", today=day)
    assert len(summary.blocks) == COLOURS
    assert summary.blocks[-1].title == "2026-11-20 · 3 others · 12"
    assert round(sum(block.height for block in summary.blocks)) == 200


@pytest.mark.parametrize("wanted, days", [("7", 7), ("", 30)])
def test_usage_as_csv(staff: Client, wanted: str, days: int) -> None:
    today = timezone.now().date()
    usage(today, "=1+1", requests=2, cost_usd=Decimal("0.125"))
    usage(today - timedelta(days=days), "too old", requests=1)
    reply = staff.get(f"/usage/csv?days={wanted}")
    assert reply["Content-Disposition"].endswith(f'-{today}.csv"')
    rows = list(csv.DictReader(reply.content.decode().splitlines()))
    assert [(row["model"], row["requests"], row["input_tokens"]) for row in rows] == [
        ("'=1+1", "2", "")
    ]
    assert Decimal(rows[0]["cost_usd"]) == Decimal("0.125")


WORDS = st.sampled_from(["7", "365", "07", "cost", "Cost", "tokens"])


@given(word=WORDS | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_a_period_or_measure_of_nothing_is_named(staff: Client, word: str) -> None:
    is_period = word in map(str, PERIODS)
    page = staff.get("/usage/", {"days": word}).content.decode()
    assert ("There is no period" in page) != is_period
    assert staff.get("/usage/csv", {"days": word}).status_code == (200 if is_period else 400)
    page = staff.get("/usage/", {"show": word}).content.decode()
    assert ("There is no measure" in page) != (word in MEASURES)
