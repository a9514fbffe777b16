"""REST for what the pages work out: usage, sessions, changes, context, messages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from flows.models import Flow, UsageDaily
from flows.rest.insights import MessagesView
from tests.flows.seed import IDS, seed_all
from tests.flows.seed_session import SESSION, TURN_IDS, seed_session

PATHS = [
    "/api/usage/",
    f"/api/sessions/{SESSION}/",
    *(f"/api/flows/{IDS['redirect']}/{name}/" for name in ("changes", "context", "messages")),
]


@pytest.fixture
def seeded(api: APIClient) -> APIClient:
    seed_all()
    seed_session()
    return api


def test_usage_has_the_page_s_sums(seeded: APIClient):
    today = timezone.now().date()
    for model, cost in (("a", "0.5"), ("b", None)):
        UsageDaily.objects.create(
            day=today, provider="p", model=model, session_id="s", requests=2, cost_usd=cost
        )
    found = seeded.get("/api/usage/?days=7").json()
    assert (found["days"], found["last"]) == (7, today.isoformat())
    assert (
        found["totals"]["requests"],
        found["totals"]["cost_usd"],
        found["totals"]["input_tokens"],
    ) == (4, 0.5, None)
    assert [(row["model"], row["cost_usd"]) for row in found["models"]] == [("a", 0.5), ("b", None)]
    assert found["by_day"][0]["day"] == today.isoformat()
    assert seeded.get("/api/usage/?days=8").json() == {"days": ["Choose one of 7, 30, 90, 365."]}


def test_a_session_has_its_requests_in_order(seeded: APIClient):
    found = seeded.get(f"/api/sessions/{SESSION}/").json()
    times = [row["flow"]["started_at"] for row in found["requests"]]
    assert times == sorted(times)
    assert (
        found["totals"]["requests"] == len(times) == Flow.objects.filter(session_id=SESSION).count()
    )
    assert {row["conversation"] for row in found["requests"]} == {
        one["letter"] for one in found["conversations"]
    }


def test_changes_as_a_whole_and_of_one_hook(seeded: APIClient):
    found = seeded.get(f"/api/flows/{IDS['redirect']}/changes/").json()
    places = {item["change"]["path"] for item in found["change"]["body"]}
    assert {"model", "tools[name=Bash]", "metadata"} <= places
    assert found["losses"]
    hook = seeded.get(f"/api/flows/{IDS['redirect']}/changes/?hook=0").json()["change"]
    assert "tools[name=Bash]" in {item["change"]["path"] for item in hook["body"]}
    assert seeded.get(f"/api/flows/{IDS['redirect']}/changes/?hook=99").status_code == 404


def test_the_context_and_its_cache(seeded: APIClient):
    found = seeded.get(f"/api/flows/{TURN_IDS[2]}/context/").json()
    assert found["context"]["total_bytes"] == sum(
        part["size_bytes"] for part in found["context"]["slices"]
    )
    assert found["cache"]["previous"] == TURN_IDS[1]
    assert seeded.get(f"/api/flows/{IDS['count']}/context/").json()["context"] is None


def test_messages_page_by_page(seeded: APIClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(MessagesView, "page_rows", 2)
    address = f"/api/flows/{IDS['websocket']}/messages/"
    first = seeded.get(address).json()
    assert [row["seq"] for row in first["results"]] == [0, 1]
    second = seeded.get(f"{address}?after={first['next']}").json()
    assert [row["seq"] for row in second["results"]] == [2, 3]
    assert second["results"][1]["body"] == f"/flows/{IDS['websocket']}/body/message-3"
    assert seeded.get(f"{address}?after=x").status_code == 400


@pytest.mark.parametrize("path", PATHS)
def test_they_need_the_right_to_look(path: str, stranger: APIClient):
    assert APIClient().get(path).status_code == 401
    assert stranger.get(path).status_code == 403
    clerk = APIClient()
    clerk.force_authenticate(User.objects.create_user("clerk", is_staff=True))
    assert clerk.get(path).status_code == 403


@pytest.mark.parametrize("name", ["changes", "context", "messages"])
def test_hostile_and_missing_flows(seeded: APIClient, name: str):
    assert seeded.get(f"/api/flows/{IDS['hostile']}/{name}/").status_code == 200
    for odd in ("nope", "%00", "%ff", "x" * 3000):
        assert seeded.get(f"/api/flows/{odd}/{name}/").status_code == 404
        assert seeded.get(f"/api/sessions/{odd}/").status_code == 404
