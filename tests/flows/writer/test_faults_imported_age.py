"""Age of imported flows: it counts from the import, whatever the dates in the file are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.imports.importer import RETENTION_NOTE, import_file
from flows.models import Flow
from flows.writer.retention import prune_chunk
from flows.writer.retention_policy import RetentionPolicy
from tests.flows.seed import add_flow

pytestmark = pytest.mark.django_db
AGE = RetentionPolicy(max_age_days=30, max_flows=None, max_bytes=None)


def capture(path: Path, *years: int) -> Path:
    entries: list[dict[str, Any]] = []
    for year in years:
        request = {"method": "GET", "url": f"https://a.example/{year}"}
        entries.append(
            {
                "startedDateTime": f"{year}-01-02T03:04:05Z",
                "request": request,
                "response": {"status": 200},
            }
        )
    path.write_text(json.dumps({"log": {"entries": entries}}))
    return path


def test_an_old_capture_is_still_listed_after_the_next_housekeeping(tmp_path: Path) -> None:
    import_file(capture(tmp_path / "old.har", 1999, 2015, 2024))
    assert prune_chunk(AGE, datetime.now(UTC)) == 0
    assert Flow.objects.count() == 3


def test_imported_flows_go_when_their_import_is_old(tmp_path: Path) -> None:
    import_file(capture(tmp_path / "old.har", 1999, 2024))
    now = datetime.now(UTC)
    assert prune_chunk(AGE, now + timedelta(days=29)) == 0
    assert prune_chunk(AGE, now + timedelta(days=31)) == 2


def test_the_limit_of_flows_takes_older_records_before_a_new_import(tmp_path: Path) -> None:
    recorded = add_flow("11111111-2222-4333-8444-000000000001", 1)
    import_file(capture(tmp_path / "old.har", 1999))
    imported_at = Flow.objects.get(source="import").imported_at
    assert imported_at is not None and recorded.started_at < imported_at
    policy = RetentionPolicy(max_age_days=None, max_flows=1, max_bytes=None)
    assert prune_chunk(policy, datetime.now(UTC)) == 1
    assert Flow.objects.get().source == "import"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ages=st.lists(
        st.tuples(st.integers(0, 90), st.none() | st.integers(0, 90)), min_size=1, max_size=8
    ),
    limit=st.integers(1, 4),
)
def test_flows_go_in_the_order_of_their_ages(
    ages: list[tuple[int, int | None]], limit: int
) -> None:
    Flow.objects.all().delete()
    now = datetime.now(UTC)
    age_of: dict[str, int] = {}
    for index, (started_days, imported_days) in enumerate(ages):
        flow_id = f"11111111-2222-4333-8444-{index:012d}"
        imported_at = None
        age_of[flow_id] = started_days
        if imported_days is not None:
            imported_at = now - timedelta(days=imported_days)
            age_of[flow_id] = imported_days
        flow = add_flow(flow_id, 1, imported_at=imported_at)
        Flow.objects.filter(pk=flow.pk).update(started_at=now - timedelta(days=started_days))
    prune_chunk(AGE, now, limit)
    left = set(Flow.objects.values_list("pk", flat=True))
    gone = sorted((age_of[pk] for pk in age_of.keys() - left), reverse=True)
    expired = sorted((age for age in age_of.values() if age > 30), reverse=True)
    assert gone == expired[:limit]


def test_the_command_and_the_page_name_the_retention(tmp_path: Path, admin: Client) -> None:
    path = capture(tmp_path / "old.har", 1999)
    err = StringIO()
    call_command("flows", "import", str(path), stdout=StringIO(), stderr=err)
    assert RETENTION_NOTE in err.getvalue()
    Flow.objects.all().delete()
    with path.open("rb") as file:
        page = admin.post("/flows/import/", {"file": file}).content.decode()
    # Once in the introduction, once in the result.
    assert page.count(RETENTION_NOTE) == 2
