"""The table of `ccproxy status`."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.utils import timezone

from interceptor.config.files.server import ServerSettings
from interceptor.models import InterceptorStatus
from interceptor.operate.command_settings import settings_for_commands
from interceptor.operate.status import from_rows, print_table, status_report
from providers.reading.database_reader import UnreadableDatabase
from providers.reading.django_reader import read
from tests.environment import ROOT
from tests.rows import make_flow, make_status

pytestmark = pytest.mark.django_db


def _report() -> dict[str, Any]:
    """Return the report with what this test's transaction holds."""
    nowhere = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/ccproxy.sqlite3"}
    return status_report(settings_for_commands(ServerSettings(), ROOT), ROOT, nowhere) | from_rows(
        read
    )


@pytest.mark.parametrize(
    ("endpoints", "shown"),
    [
        ({"stock": "speed"}, "host:1, revision 3, speed patches off (CCPROXY_STOCK)\n"),
        ({"stock": ""}, "host:1, revision 3\n"),
        ({}, "host:1, revision 3\n"),
    ],
)
def test_it_shows_that_patches_are_off(endpoints: dict[str, str], shown: str) -> None:
    now = timezone.now()
    InterceptorStatus.objects.create(
        instance="host:1", started_at=now, heartbeat_at=now, revision=3, endpoints=endpoints
    )
    report = _report()
    output = io.StringIO()
    print_table(report, output, is_terminal=False)
    lines = [line.rstrip() + "\n" for line in output.getvalue().splitlines()]
    assert any(line.endswith(shown) for line in lines), output.getvalue()


def test_it_shows_what_chains_skip() -> None:
    later, rest = time.time() + 12.2, {"model": "large", "cause": "429"}
    soon = {"provider": "main", "until": later, **rest}
    make_status(cooldowns=[soon, {"provider": "old", "until": time.time() - 1, **rest}])
    both = {"provider": "all", "model": "", "until": later + 60, "cause": "connect"}
    make_status(instance="host-2", cooldowns=[{**soon, "until": later - 5}, both])
    report = _report()
    assert [each["sentence"] for each in report["cooldowns"]] == [
        "all is skipped for 72 s after connect",
        "main/large is skipped for 12 s after 429",
    ]
    assert [each["instances"] for each in report["cooldowns"]] == [1, 2]
    output = io.StringIO()
    print_table(report, output, is_terminal=False)
    assert "main/large is skipped for 12 s after 429" in output.getvalue()


def test_it_shows_how_many_flows_wait_for_the_search_index() -> None:
    def shown() -> str:
        output = io.StringIO()
        print_table(_report(), output, is_terminal=False)
        [line] = [line for line in output.getvalue().splitlines() if line.startswith("search")]
        return line.removeprefix("search").strip()

    assert shown() == "every flow is indexed"
    make_flow(searched=True), make_flow(state="live"), make_flow()
    assert shown() == "1 flow waits for the index"
    make_flow(state="error")
    assert (shown(), _report()["search"]) == ("2 flows wait for the index", {"waiting": 2})


def test_a_database_without_the_index_has_no_number() -> None:
    def older(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        if "searched" in sql:
            raise UnreadableDatabase("no such column: searched")
        return read(sql, parameters)

    assert from_rows(older)["search"] == {"waiting": None}
    assert from_rows(older)["hooks"]
