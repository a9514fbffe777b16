"""State of the record for the browser's tab."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from ccproxy_site.console.recording_word import RECORDING
from ccproxy_site.models import SentNotice
from tests.rows import make_flow, make_status
from tests.visitors import staff_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def state(browser: Client, **query: Any) -> dict[str, Any]:
    return dict(browser.get("/tab-state/", query).json())


def test_failures_since_the_last_look(browser):
    flows: list[dict[str, Any]] = [
        {"status_code": 529},
        {"state": "error", "status_code": 200, "error": "the stream was cut"},
        {"state": "error", "error": "Client disconnected"},
        {"status_code": 500, "method": "DNS"},
        {"status_code": 500, "age_s": 60},
        {},
    ]
    for fields in flows:
        make_flow(**{"age_s": 2, **fields})
    # A flow may fail long after it began.
    make_flow(status_code=504, age_s=300, finished_at=timezone.now())
    now = time.time()
    assert state(browser, since=now - 30)["failures"] == 3
    assert state(browser, since=now - 120)["failures"] == 4
    assert state(browser)["failures"] == 0
    assert state(browser, since="x")["failures"] == 0
    assert state(browser, since=now + 60)["now"] == pytest.approx(now, abs=60)


def test_an_interrupted_record(browser, monkeypatch):
    assert state(browser)["problem"] == "no interceptor is running"
    make_status()
    assert state(browser)["problem"] == ""
    monkeypatch.setattr(RECORDING, "problem", "the database is away")
    assert state(browser)["problem"] == "the database is away"


def test_the_notices_that_were_not_shown(browser):
    assert state(browser) | {"now": 0, "problem": ""} == {
        "now": 0,
        "problem": "",
        "failures": 0,
        "last": 0,
        "notices": [],
    }
    made_at = timezone.now() - timedelta(seconds=5)
    rows = [
        SentNotice.objects.create(made_at=made_at, kind="failure", text=f"it failed {n}")
        for n in range(3)
    ]
    first = state(browser)
    assert (first["last"], first["notices"]) == (rows[2].pk, [])
    after = state(browser, after=rows[0].pk)["notices"]
    assert [each["text"] for each in after] == ["it failed 1", "it failed 2"]
    viewer = Client()
    viewer.force_login(staff_with("viewer", "flows.view_flow"))
    assert state(viewer, after=0)["notices"] == []
