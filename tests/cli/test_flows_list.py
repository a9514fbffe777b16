"""`ccproxy flows list`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from flows.export.table import ago, print_flows, status_text
from flows.models import Flow
from tests.parts import add_side

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def make(number: int, **values: object) -> Flow:
    fields = {
        "id": f"{number:08d}-0000-4000-8000-000000000000",
        "started_at": NOW - timedelta(minutes=number),
        "method": "POST",
        "host": "api.anthropic.com",
        "path": "/v1/messages",
        "status_code": 200,
        "user_agent": "agent/1",
    }
    return Flow.objects.create(**fields | values)


def table(*flows: Flow) -> str:
    output = StringIO()
    print_flows(flows, output, now=NOW, is_terminal=False)
    return output.getvalue()


@pytest.mark.django_db
def test_it_works():
    make(2)
    make(1, status_code=None)
    out = StringIO()
    call_command("flows", "list", stdout=out)
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines[0] == ["ID", "Method", "Code", "Host", "Path", "UA", "Time"]
    assert lines[1][:6] == [
        "00000002",
        "POST",
        "200",
        "api.anthropic.com",
        "/v1/messages",
        "agent/1",
    ]
    assert lines[2][:3] == ["00000001", "POST", "–"]


@pytest.mark.django_db
def test_no_flows_is_said():
    out = StringIO()
    call_command("flows", "list", stdout=out)
    assert out.getvalue() == "No flows are recorded yet.\n"


@pytest.mark.django_db
def test_as_json():
    flow = make(1)
    add_side(flow.pk, "forwarded", method="POST", url="https://api.anthropic.com/v1/messages")
    make(2)
    out = StringIO()
    call_command("flows", "list", "--json", stdout=out)
    older, newer = json.loads(out.getvalue())
    assert (older["id"][:8], newer["id"][:8]) == ("00000002", "00000001")
    assert newer["request"]["host"] == "api.anthropic.com"
    assert newer["time"] == "2026-11-22 11:59:00 UTC"
    call_command("flows", "list", "--json", "-n", "1", stdout=(one := StringIO()))
    assert [flow["id"] for flow in json.loads(one.getvalue())] == [newer["id"]]


@pytest.mark.django_db
def test_json_takes_the_same_number_of_queries_for_any_number_of_flows(django_assert_num_queries):
    for number in range(5):
        add_side(make(number).pk, "client")
    with django_assert_num_queries(1):
        call_command("flows", "list", "--json", stdout=StringIO())


def test_text_from_the_wire_cannot_steer_the_terminal():
    flow = Flow(
        id="a" * 36,
        started_at=NOW,
        method="GET",
        host="h",
        path="/\x1b[31m\n\u202e[red]",
        user_agent="\x07",
    )
    shown = table(flow)
    assert "/\\x1b[31m\\n\\u202e[red]" in shown
    assert not set("\x1b\u202e\x07") & set(shown)


def test_long_text_is_cut():
    shown = table(
        Flow(
            id="a" * 36,
            started_at=NOW,
            method="GET",
            host="h",
            path="/" + "p" * 100,
            user_agent="u" * 99,
        )
    )
    assert "/" + "p" * 58 + "…" in shown
    assert "u" * 29 + "…" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s ago"),
        (59, "59s ago"),
        (60, "1m ago"),
        (7200, "2h ago"),
        (86_399, "23h ago"),
        (200_000, "2d ago"),
    ],
)
def test_ages(seconds, text):
    assert ago(timedelta(seconds=seconds)) == text


def test_colours_of_the_status():
    assert [str(status_text(code).style) for code in (204, None, 302, 500)] == [
        "green",
        "dim",
        "red",
        "red",
    ]
    hidden = status_text(200, failed=True)
    assert (hidden.plain, str(hidden.style)) == ("200 failed", "red")
    assert status_text(None, failed=True).plain == "failed"
