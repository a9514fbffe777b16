"""Every filter of the flow list, over HTTP: what it keeps, that it is a chip, and how the database
finds it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.utils.html import escape
from rest_framework.test import APIClient

from flows.console.flow_list.filter_form import FlowListFilter
from flows.models import Flow
from flows.queries import filters
from flows.queries.filters import FlowFilter
from flows.queries.selectors import rows
from tests.environment import ROOT
from tests.flows.seed import add_flow, add_side
from tests.parts import add_trace

pytestmark = pytest.mark.django_db
GUIDE = (ROOT / "docs/console/search.md").read_text()


@pytest.fixture
def four(admin: Client) -> Client:
    """Flows that differ in everything a filter can ask for; "bare" has nothing that could be asked
    for.
    """
    add_flow("bare", 4)
    add_flow(
        "small",
        3,
        cost_usd="0.002",
        input_tokens=90,
        output_tokens=9,
        duration_ms=120,
        is_stream=True,
    )
    add_flow(
        "large",
        2,
        cost_usd="1.5",
        input_tokens=50_000,
        duration_ms=61_000,
        is_lossy=True,
        losses=[["top_k", "-"]],
    )
    add_flow(
        "noted",
        1,
        cost_usd="0.3",
        output_tokens=700,
        duration_ms=4000,
        pinned=True,
        hooks_changed=["trim"],
    )
    for hook, outcome in (("trim", "ran"), ("guard", "ran"), ("late", "skipped")):
        add_trace("noted", stage="inbound", hook=hook, outcome=outcome)
    flow = Flow.objects.get(pk="noted")
    add_side(flow, "client", {"anthropic-beta": 'fine-tool, "quoted"', "x-name": "grün"})
    add_side(flow, "upstream", {"request-id": "req_011CSx"})
    add_side(
        Flow.objects.get(pk="small"), "client", {"x-other": "anthropic-beta is mentioned, req_"}
    )
    return admin


def found(client: Client, **query: str) -> list[str]:
    page = client.get("/flows/", query)
    assert page.status_code == 200
    assert page.content.decode().count('class="chip"') == len(query)
    return re.findall(r'<tr id="f-([^"]+)"', page.content.decode())


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"cost_min_usd": "0.3"}, ["noted", "large"]),
        ({"cost_max_usd": "0.3"}, ["noted", "small"]),
        ({"cost_min_usd": "0.01", "cost_max_usd": "1"}, ["noted"]),
        ({"tokens_min": "700"}, ["noted", "large"]),
        ({"tokens_max": "99"}, ["small"]),
        ({"tokens_min": "99", "tokens_max": "99"}, ["small"]),
        ({"duration_min_ms": "4000"}, ["noted", "large"]),
        ({"duration_max_ms": "120.5"}, ["small"]),
        ({"lossy": "true"}, ["large"]),
        ({"lossy": "false"}, ["noted", "small", "bare"]),
        ({"stream": "true"}, ["small"]),
        ({"pinned": "true"}, ["noted"]),
        ({"hook": "trim"}, ["noted"]),
        ({"hook_ran": "guard"}, ["noted"]),
        ({"hook_ran": "late"}, []),
        ({"header": "anthropic-beta: FINE"}, ["noted"]),
        ({"header": "Anthropic-Beta:"}, ["noted"]),
        ({"header": "anthropic-beta"}, ["noted", "small"]),
        ({"header": 'anthropic-beta: "quoted'}, ["noted"]),
        ({"header": "x-name: grün"}, ["noted"]),
        ({"header": "req_011CSx"}, ["noted"]),
        ({"header": "request-id: req_"}, ["noted"]),
        ({"header": "anthropic-beta: grün"}, []),
        ({"header": "%"}, []),
        ({"header": '", "'}, []),
        ({"header": "(x+x+)+y: ["}, []),
        ({"header": "anthropic-beta: (((("}, []),
    ],
)
def test_it_keeps_what_it_says(four: Client, query: dict[str, str], names: list[str]):
    assert found(four, **query) == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("cost_min_usd", "tokens_max", "duration_min_ms")
            for value in ("x", "-1", "1e99")
        ),
        ("cost_max_usd", "NaN"),
        ("header", "x" * 501),
        ("q", "x" * 2001),
        ("header", "a\0"),
    ],
)
def test_an_impossible_value_is_told_on_the_page_and_refused_by_the_api(
    four: Client, name: str, value: str
):
    page = four.get("/flows/", {name: value})
    assert page.status_code == 200
    label = escape(FlowListFilter().form[name].label)
    assert f'<p class="problem">{label}: ' in page.content.decode()
    api = APIClient()
    api.force_authenticate(User.objects.get())
    refused = api.get("/api/flows/", {name: value})
    assert (refused.status_code, list(refused.json())) == (400, [name])


def test_every_filter_has_a_field_in_the_form_and_is_in_the_guide(four: Client):
    html = four.get("/flows/").content.decode()
    form = html[(start := html.index('<form id="filters"')) : html.index("</form>", start)]
    named = set(re.findall(r'name="([^"]+)"', form))
    assert set(FlowFilter.base_filters) - named == set()
    assert [name for name in FlowFilter.base_filters if f"`{name}`" not in GUIDE] == []


def plan(**query: str) -> str:
    """How the database reads the first page under these filters."""
    flows = FlowFilter(QueryDict(urlencode(query)), queryset=Flow.objects.all()).qs
    return rows(flows)[:61].explain()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plans are SQLite's")
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"cost_min_usd": "1"}, "flow_newest"),
        ({"tokens_min": "1"}, "flow_newest"),
        ({"duration_min_ms": "1"}, "flow_newest"),
        ({"lossy": "true"}, "flow_newest"),
        ({"provider": "x"}, "flow_provider"),
        ({"status": "5xx"}, "flow_"),
        ({"session": "x"}, "flow_session"),
        ({"hook_ran": "x"}, "flow_newest"),
        ({"header": "x"}, "flow_newest"),
    ],
)
def test_an_index_gives_the_order(four: Client, query: dict[str, Any], index: str):
    told = plan(**query)
    assert f"USING INDEX {index}" in told
    # What belongs to one flow is looked up by its id, never by reading all of it.
    assert "SCAN U0" not in told
    assert "SCAN flows_flowparts" not in told


def test_many_of_a_status_are_the_same_as_few(four: Client, monkeypatch: pytest.MonkeyPatch):
    add_flow("broken", 5, status_code=503)
    few = {flow.pk for flow in FlowFilter({"status": "5xx"}, Flow.objects.all()).qs}
    assert few
    monkeypatch.setattr(filters, "_FEW_OF_STATUS", 0)
    assert {flow.pk for flow in FlowFilter({"status": "5xx"}, Flow.objects.all()).qs} == few


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plans are SQLite's")
def test_many_of_a_status_are_not_sorted(four: Client, monkeypatch: pytest.MonkeyPatch):
    add_flow("broken", 5, status_code=503)
    monkeypatch.setattr(filters, "_FEW_OF_STATUS", 0)
    told = plan(status="5xx")
    assert "USING INDEX flow_newest" in told and "TEMP B-TREE" not in told


def test_a_header_is_quoted_into_addresses(four: Client):
    html = four.get("/flows/", {"header": 'x: "<b>&', "provider": "p"}).content.decode()
    assert "<b>" not in html.split("<tbody", 1)[0].split('class="chips"')[1]
    assert f'href="/flows/?header={quote('x: "<b>&', safe="").replace("%20", "+")}"' in html
