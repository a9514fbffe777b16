from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from flows.models import Flow
from flows.queries.summary import flow_summary
from flows.record import AttemptRecord
from flows.redaction.redactor import Redactor
from flows.rest.schema import FlowDetailShape, FlowShape
from flows.search.indexer import Indexer
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow as recorded
from tests.rows import make_flow

CANARY = b"canary-body-4711"


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [flow["id"] for flow in answer.json()["results"]]


def test_a_flow_reads_like_mitmwebs(api: APIClient):
    flow = make_flow(body=CANARY)
    [found] = api.get("/api/flows/").json()["results"]
    request, response = found["request"], found["response"]
    assert (request["method"], request["scheme"], request["host"], request["port"]) == (
        "POST",
        "https",
        "api.anthropic.com",
        443,
    )
    assert request["path"] == "/v1/messages?beta=true"
    assert request["pretty_host"] == "api.anthropic.com"
    assert request["headers"][1] == ["x-side", "forwarded"]
    assert request["contentLength"] == len(CANARY)
    assert (response["status_code"], response["headers"][1]) == (200, ["x-side", "delivered"])
    assert response["timestamp_start"] == pytest.approx(flow.started_at.timestamp() + 0.12)
    assert (found["id"], found["type"], found["error"], found["modified"]) == (
        flow.pk,
        "http",
        None,
        True,
    )
    assert (found["provider"], found["requested_model"]) == ("anthropic", "claude-haiku-4-5")
    assert found["cost_usd"] is None


def test_a_flow_without_an_answer_or_sides_is_whole(api: APIClient):
    Flow.objects.create(
        id="x",
        state="error",
        started_at="2026-01-01T00:00:00Z",
        method="GET",
        path="/",
        error="cut",
        status_code=None,
    )
    [found] = api.get("/api/flows/").json()["results"]
    assert found["response"] is None
    assert found["error"] == {"msg": "cut", "timestamp": None}
    assert found["request"]["port"] is None


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://x:99999999/", "", "http://h:1/%zz", "http://é\x00/"]
)
def test_hostile_urls_are_only_text(api: APIClient, url):
    make_flow(forwarded_url=url, client_url=url)
    assert len(ids(api.get("/api/flows/"))) == 1


def test_the_described_fields_are_those_that_are_sent(api: APIClient):
    flow = make_flow(error="x")
    listed = api.get("/api/flows/").json()["results"][0]
    assert list(listed) == list(flow_summary(flow))
    assert sorted(listed) == sorted(FlowShape().fields)
    detail = api.get(f"/api/flows/{flow.pk}/").json()
    described: dict[str, Any] = dict(FlowDetailShape().fields)
    assert sorted(detail) == sorted(described)
    assert sorted(detail["sides"]["client"]) == sorted(described["sides"].child.fields)
    assert sorted(detail["hooks"][0]) == sorted(described["hooks"].child.fields)
    for part in ("request", "response", "error", "server_conn"):
        assert sorted(detail[part]) == sorted(described[part].fields)


def test_the_detail_has_the_attempts(api: APIClient):
    attempts = (
        AttemptRecord(1, "", 2.5, 40.0, 503, "a.example"),
        AttemptRecord(2, "503: busy", 1042.5, 60.25, None, "b.example"),
    )
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(recorded(attempts=attempts))])
    detail = api.get(f"/api/flows/{recorded().id}/").json()
    assert detail["attempts"] == [asdict(attempt) for attempt in attempts]
    described: dict[str, Any] = dict(FlowDetailShape().fields)
    assert sorted(detail["attempts"][0]) == sorted(described["attempts"].child.fields)


def test_the_detail_has_four_sides_and_the_hooks(api: APIClient):
    flow = make_flow(body=CANARY)
    detail = api.get(f"/api/flows/{flow.pk}/").json()
    assert sorted(detail["sides"]) == ["client", "delivered", "forwarded", "upstream"]
    assert [hook["hook"] for hook in detail["hooks"]] == ["inject_auth"]
    assert CANARY.decode() not in api.get(f"/api/flows/{flow.pk}/").content.decode()


def test_pages_follow_the_cursor_without_gaps(api: APIClient):
    same_moment = make_flow().started_at
    made = {make_flow(started_at=same_moment).pk for _ in range(4)} | set(
        Flow.objects.values_list("pk", flat=True)
    )
    path, seen = "/api/flows/?limit=2", []
    while path:
        answer = api.get(path)
        seen += ids(answer)
        following = answer.json()["next"]
        path = following and f"{urlsplit(following).path}?{urlsplit(following).query}"
    assert (len(seen), set(seen)) == (5, made)
    assert seen == list(Flow.objects.order_by("-started_at", "-id").values_list("pk", flat=True))


def test_the_list_loads_no_bodies_and_no_search_texts(api: APIClient):
    make_flow(body=b"{}")
    with CaptureQueriesContext(connection) as queries:
        assert len(ids(api.get("/api/flows/"))) == 1
    loaded = " ".join(query["sql"] for query in queries)
    assert "flows_flowbody" not in loaded
    assert "search_text" not in loaded


def test_filters_are_the_consoles(api: APIClient):
    wanted = make_flow(provider="openai", status_code=500)
    make_flow()
    assert ids(api.get("/api/flows/?provider=openai")) == [wanted.pk]
    assert ids(api.get("/api/flows/?error=true&status=5xx")) == [wanted.pk]


@pytest.mark.parametrize(
    "query",
    [
        "provder=x",
        "status=7xx",
        "after=yesterday",
        "q=%00",
        "provider=a%00b",
        "limit=0",
        "limit=501",
        "limit=9999999999999999999",
        "limit=-1",
        "limit=x",
        "limit=٣",
        "cursor=x",
        "cursor=99999999999999999999_a",
        "cursor=1_%00",
        "cursor=1_",
        "cursor=_a",
        "state=asleep",
    ],
)
def test_a_bad_query_is_a_400(api: APIClient, query):
    make_flow()
    answer = api.get(f"/api/flows/?{query}")
    assert answer.status_code == 400, answer.content
    assert answer.json()


@pytest.mark.parametrize(
    "query",
    ["q=%ff", "q=" + "a%20" * 2000, "q='\";--", "after=0001-01-01", "stream=maybe", "q=%25"],
)
def test_an_odd_query_is_answered(api: APIClient, query):
    make_flow()
    assert api.get(f"/api/flows/?{query}").status_code in (200, 400)


@pytest.mark.parametrize("side", ["client", "forwarded", "upstream", "delivered"])
def test_a_body_is_a_download(api: APIClient, side):
    flow = make_flow(body=CANARY)
    answer = api.get(f"/api/flows/{flow.pk}/body/{side}/")
    assert answer.content == CANARY
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == f'attachment; filename="{flow.pk[:8]}-{side}.bin"'
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["nope/", "nope/body/client/", "x/body/sideways/", "a%00b/", "..%2f/", "x" * 40 + "/"]
)
def test_what_is_not_there_is_a_404(api: APIClient, path):
    make_flow()
    assert api.get(f"/api/flows/{path}").status_code == 404


def test_no_body_is_a_404(api: APIClient):
    flow = make_flow()
    assert api.get(f"/api/flows/{flow.pk}/body/client/").status_code == 404


def test_a_flow_is_deleted_with_everything_but_shared_bodies(api: APIClient):
    flow, other = make_flow(body=CANARY), make_flow()
    assert api.delete(f"/api/flows/{flow.pk}/").status_code == 204
    assert list(Flow.objects.values_list("pk", flat=True)) == [other.pk]
    assert api.delete(f"/api/flows/{flow.pk}/").status_code == 404
    assert api.post("/api/flows/", {}, format="json").status_code == 405
    assert api.put(f"/api/flows/{other.pk}/", {}, format="json").status_code == 405


def test_a_search_says_where_it_found_the_words(api: APIClient):
    text = json.dumps({"messages": [{"role": "user", "content": "Where is the Nadel?"}]}).encode()
    flow = make_flow(body=text)
    assert api.get("/api/flows/?q=nadel").json() == {
        "next": None,
        "results": [],
        "notes": ["Still indexing 1 flow; their texts are searched only in part until then."],
    }
    Indexer().index(list(Flow.objects.select_related("parts")))
    found = api.get("/api/flows/?q=nadel").json()
    assert [each["id"] for each in found["results"]] == [flow.pk]
    assert found["results"][0]["hit"] == {"where": "user, turn 1", "text": "Where is the Nadel?"}
    assert found["notes"] == []
    assert api.delete(f"/api/flows/{flow.pk}/").status_code == 204
    assert api.get("/api/flows/?q=nadel").json()["results"] == []


def test_other_orders_with_pages(api: APIClient):
    by_cost = [make_flow(cost_usd=cost, age_s=age).pk for cost, age in ((0.5, 2), (0.1, 9), (2, 5))]
    free = make_flow().pk
    middle, cheap, dear = by_cost
    assert ids(api.get("/api/flows/?sort=-cost")) == [dear, middle, cheap]
    assert ids(api.get("/api/flows/?sort=cost")) == [cheap, middle, dear]
    assert ids(api.get("/api/flows/?sort=time")) == [cheap, dear, middle, free]
    page = api.get("/api/flows/?sort=-cost&limit=2")
    assert ids(page) == [dear, middle]
    rest = api.get(page.json()["next"])
    assert (ids(rest), rest.json()["next"]) == ([cheap], None)


def test_an_unknown_order_is_refused(api: APIClient):
    answer = api.get("/api/flows/?sort=-costs")
    assert answer.status_code == 400
    assert "costs" in answer.json()["sort"][0] and "-cost" in answer.json()["sort"][0]
    # A cursor of another order names no position in this one.
    make_flow(), make_flow()
    by_time = parse_qs(urlsplit(api.get("/api/flows/?limit=1").json()["next"]).query)["cursor"][0]
    assert api.get("/api/flows/", {"sort": "-cost", "cursor": f"x{by_time}"}).status_code == 400
    assert "sort" in api.get("/api/flows/?sort=cost&jq=.").json()
    # An export has one order.
    assert "sort" in api.get("/api/flows/har/?sort=cost").json()


def test_the_description_names_the_orders(api: APIClient):
    described = api.get("/api/schema/?format=json").json()
    of_flows = described["paths"]["/api/flows/"]["get"]["parameters"]
    [sort] = [each for each in of_flows if each["name"] == "sort"]
    assert {"time", "-time", "cost", "-cost", "tokens", "took"} <= {*sort["schema"]["enum"]}
