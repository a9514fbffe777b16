"""REST over sets of flows: jq filters and HAR."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from flows.models import Flow
from flows.queries.jq import JQ_SLOTS, JqLimits
from flows.rest.flow_viewset import FlowViewSet
from tests.flows.export.har_schema import assert_valid
from tests.flows.seed import IDS, seed_all
from tests.rows import make_flow
from tests.streamed import whole_body


@pytest.fixture
def seeded(api: APIClient) -> APIClient:
    seed_all()
    return api


def body_of(response: Any) -> Any:
    assert response.status_code == 200, response.content
    return json.loads(whole_body(response))


def test_jq_sees_what_the_other_filters_leave_newest_first(seeded: APIClient):
    found = seeded.get(
        "/api/flows/",
        {"jq": ["map(select(.status_code // .response.status_code == 200))", "map(.id)"]},
    )
    assert found.json()["results"][:2] == [IDS["live"], IDS["anthropic"]]
    found = seeded.get(
        "/api/flows/", {"provider": "local", "jq": "[length, .[0].rule]", "limit": "1"}
    )
    assert found.json() == {"next": None, "results": [2, "cheap-evenings"]}


def test_jq_looks_at_a_bounded_number_and_says_where_to_go_on(api: APIClient, monkeypatch):
    monkeypatch.setattr(FlowViewSet, "jq_max_flows", 2)
    rows = [make_flow(age_s=number) for number in range(5)]
    seen: list[list[str]] = []
    url = "/api/flows/?jq=map(.id)"
    while url:
        answer = api.get(url).json()
        seen.append(answer["results"])
        url = answer["next"]
    assert seen == [[rows[0].pk, rows[1].pk], [rows[2].pk, rows[3].pk], [rows[4].pk]]


@pytest.mark.parametrize(
    "source",
    [
        ".[} ",
        ".[]",
        "x" * 20_000,
        "\0",
        'import "a" as a; .',
        "error",
        "[range(1e9)]",
        "[repeat(.)]",
        "\ud800",
    ],
)
@pytest.mark.parametrize("path", ["/api/flows/", "/api/flows/har/"])
def test_bad_filters_are_400_and_name_the_parameter(
    api: APIClient, monkeypatch, source: str, path: str
):
    monkeypatch.setattr(FlowViewSet, "jq_limits", JqLimits(timeout_s=0.5))
    answer = api.get(path, {"jq": source.encode("utf-8", "surrogatepass")})
    assert answer.status_code == 400
    assert list(answer.json()) == ["jq"]


def test_too_many_filters_at_once_are_503(seeded: APIClient, monkeypatch):
    monkeypatch.setattr(FlowViewSet, "jq_limits", JqLimits(timeout_s=0.01))
    with JQ_SLOTS, JQ_SLOTS:
        assert seeded.get("/api/flows/?jq=.").status_code == 503


def test_har_of_what_matches_oldest_first(seeded: APIClient):
    answer = seeded.get("/api/flows/har/", {"provider": "local"})
    assert answer["Content-Type"] == "application/har+json"
    assert answer["Content-Disposition"] == 'attachment; filename="ccproxy.har"'
    har = body_of(answer)
    assert_valid(har)
    assert [page["id"] for page in har["log"]["pages"]] == [IDS["failed"], IDS["redirect"]]


def test_har_by_the_accept_header(seeded: APIClient):
    har = body_of(seeded.get("/api/flows/", HTTP_ACCEPT="application/har+json"))
    assert_valid(har)
    assert len(har["log"]["pages"]) == Flow.objects.count()
    one = body_of(seeded.get(f"/api/flows/{IDS['chat']}/", HTTP_ACCEPT="application/har+json"))
    assert [page["id"] for page in one["log"]["pages"]] == [IDS["chat"]]
    missing = seeded.get("/api/flows/nope/", HTTP_ACCEPT="application/har+json")
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/har+json")


def test_har_of_what_jq_keeps(seeded: APIClient):
    har = body_of(
        seeded.get("/api/flows/har/", {"jq": 'map(select(.provider == "openai")) | sort_by(.id)'})
    )
    assert [page["id"] for page in har["log"]["pages"]] == [IDS["chat"], IDS["websocket"]]
    assert seeded.get("/api/flows/har/", {"jq": "map(.provider)"}).status_code == 400
    assert seeded.get("/api/flows/har/", {"nope": 1}).status_code == 400


def test_har_needs_the_right_to_look(stranger: APIClient):
    assert stranger.get("/api/flows/har/").status_code == 403
    assert APIClient().get("/api/flows/har/").status_code == 401


def test_a_flow_in_another_form(seeded: APIClient):
    answer = seeded.get(f"/api/flows/{IDS['chat']}/as/curl/")
    assert answer["Content-Type"].startswith("text/plain")
    assert "--url http://127.0.0.1:4000/v1/chat/completions" in answer.content.decode()
    forwarded = seeded.get(f"/api/flows/{IDS['chat']}/as/curl/?side=forwarded").content.decode()
    assert "--url https://api.openai.com/v1/chat/completions" in forwarded
    assert seeded.get(f"/api/flows/{IDS['chat']}/as/anthropic/").status_code == 409
    assert seeded.get(f"/api/flows/{IDS['chat']}/as/curl/?side=nope").status_code == 400
    for path in (f"{IDS['chat']}/as/nope", "nope/as/curl"):
        assert seeded.get(f"/api/flows/{path}/").status_code == 404
