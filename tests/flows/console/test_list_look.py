"""How the list of flows is shown: columns, orders, running rows, the pane beside it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flows.console.flow_list.list_columns import HIDDEN_WHEN_NARROW
from flows.models import Flow, FlowLink
from flows.queries import selectors
from flows.queries.list_order import ORDERS
from tests.environment import ROOT
from tests.flows.seed import IDS, add_flow

pytestmark = pytest.mark.django_db


def headings(client: Client, address: str) -> list[str]:
    html = client.get(address).content.decode()
    return re.findall(r'<th class="([a-z]+)', html)


def listed(client: Client, address: str) -> list[str]:
    html = client.get(address).content.decode()
    return re.findall(r'<tr id="f-([^"]+)"', html)


def test_the_address_names_columns_and_the_browser_remembers_them(staff: Client) -> None:
    add_flow("a", 1)
    assert headings(staff, "/flows/")[:3] == ["time", "request", "said"]
    chosen = ["request", "model", "cost", "speed"]
    assert headings(staff, "/flows/?columns=request&columns=cost&columns=model&columns=speed") == (
        chosen
    )
    assert headings(staff, "/flows/") == chosen
    assert headings(staff, "/flows/?columns=time") == ["time", "request"]
    # Rows of a live list have the cells of its headings.
    row = staff.get("/flows/rows?ids=a&columns=cost.model").content.decode()
    assert re.findall(r'<td class="([a-z ]+)"', row) == ["request", "model", "num cost"]


def test_unknown_columns_change_nothing(staff: Client) -> None:
    before = headings(staff, "/flows/")
    response = staff.get("/flows/?columns=nothing")
    assert headings(staff, "/flows/?columns=nothing") == before
    assert "ccproxy-columns" not in response.cookies


@pytest.mark.parametrize("order", ORDERS)
def test_pages_of_an_order_have_every_flow_once(
    staff: Client, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "PAGE_ROWS", 3)
    for number in range(8):
        figures = {"cost_usd": number // 2, "duration_ms": 9.5 - number // 3}
        add_flow(f"f{number}", number, input_tokens=(number * 5) % 4, **figures)
    add_flow("unknown", 1, input_tokens=None, cost_usd=None, duration_ms=None)
    address = f"/flows/?sort={order}"
    found: list[str] = []
    while address:
        html = staff.get(address).content.decode()
        found += re.findall(r'<tr id="f-([^"]+)"', html)
        link = re.search(r'rel="next" href="([^"]+)"', html)
        address = link[1].replace("&amp;", "&") if link else ""
    assert sorted(found) == sorted(set(found))
    name = order.removeprefix("-")
    field = {"time": "started_at", "took": "duration_ms", "tokens": "input_tokens"}
    column = field.get(name, "cost_usd")
    values = [getattr(Flow.objects.get(pk=flow_id), column) for flow_id in found]
    assert values == sorted(values, reverse=order.startswith("-"))
    assert len(found) == (9 if name == "time" else 8)


@pytest.mark.parametrize("cursor", ["x", "1_", "nan_a", "1e999_a", "-1_a", "9" * 60, "0_\0"])
def test_a_broken_cursor_means_the_first_page(staff: Client, cursor: str) -> None:
    add_flow("a", 1, cost_usd=1)
    assert listed(staff, f"/flows/?sort=-cost&cursor={cursor}") == ["a"]


def test_an_unknown_order_is_named(staff: Client) -> None:
    add_flow("a", 1)
    html = staff.get("/flows/?sort=-costs").content.decode()
    assert "There is no order “-costs”; did you mean -cost?" in html
    assert 'id="f-a"' in html


def test_a_heading_sorts_first_by_the_largest_and_says_so(staff: Client) -> None:
    add_flow("a", 1)
    html = staff.get("/flows/?sort=-cost&status=2xx").content.decode()
    assert 'aria-sort="descending"' in html
    assert 'href="?sort=cost&amp;status=2xx"' in html
    assert "data-live" not in html
    assert "Sorted by cost" in html


def test_a_running_row_estimates_its_tokens(staff: Client) -> None:
    add_flow("a", 1, state="live", is_stream=True, event_count=400, first_event_ms=1000.0)
    Flow.objects.update(started_at=timezone.now() - timedelta(seconds=11), input_tokens=None)
    html = staff.get("/flows/").content.decode()
    assert "– / ~400" in " ".join(html.split())
    speed = re.search(r"~(\d+) tok/s", html)
    assert speed is not None
    assert 30 <= int(speed[1]) <= 40


def test_the_pane_shows_what_was_asked_what_came_and_what_was_lost(seeded: Client) -> None:
    flow_id = IDS["redirect"]
    Flow.objects.filter(pk=flow_id).update(losses=[["top_k", "no such setting"]], session_id="s")
    html = seeded.get(f"/flows/{flow_id}/peek").content.decode()
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "trim_tools" in text
    assert "top_k : no such setting" in text
    assert "1 request," in text
    assert "Response" in text
    page = seeded.get(f"/flows/?peek={flow_id}").content.decode()
    assert f'data-peek="{flow_id}"' in page
    assert seeded.get("/flows/nothing/peek").status_code == 404
    assert 'id="peek"' in seeded.get("/flows/?peek=nothing").content.decode()


def group_titles(html: str) -> list[str]:
    heads = re.findall(r'class="group-title[^>]*>(.*?)</', html, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", "", head).split()) for head in heads]


def test_rows_under_their_sessions(staff: Client) -> None:
    add_flow("old", 9, session_id="s1", asked="Mend the clock")
    add_flow("other", 5, session_id="s2", asked="", status_code=529)
    add_flow("none", 4, session_id="")
    add_flow("new", 1, session_id="s1", asked="And test it", cost_usd="0.25")
    html = staff.get("/flows/?group=session").content.decode()
    assert group_titles(html) == ["Mend the clock", "s2", "Without a session"]
    # Each group has its rows, in the order of the page.
    assert re.findall(r'<tr id="f-([^"]+)"', html) == ["new", "old", "other", "none"]
    assert "2 here" in html and "1 failed" in html
    # The grouping stays while the filters change, and one click ends it.
    assert '<input type="hidden" name="group" value="session">' in html
    assert 'href="/flows/?group=session&amp;provider=' in html or "group=session" in html
    assert "By session" in staff.get("/flows/").content.decode()
    # A list with headings takes no rows by itself: it says how many there are.
    assert "data-live" not in html and "data-live" in staff.get("/flows/").content.decode()


def test_a_heading_spans_the_columns_that_every_window_shows(staff: Client) -> None:
    add_flow("a", 1, session_id="s1")
    css = (ROOT / "flows/static/flows/list.css").read_text()
    hidden = re.findall(
        r"@container.*?:not\(\.picked\) (?:\.([a-z]+)|:is\(([^)]*)\)) \{ display", css
    )
    names = {name.strip(" .") for pair in hidden for name in ",".join(pair).split(",")} - {""}
    assert names == HIDDEN_WHEN_NARROW
    assert 'colspan="5"' in staff.get("/flows/?group=session").content.decode()
    html = staff.get("/flows/?group=session&columns=model.cost").content.decode()
    assert 'colspan="3"' in html


def test_a_guessed_session_is_a_group(staff: Client) -> None:
    first, second = (add_flow(name, age, session_id="") for name, age in (("a", 2), ("b", 1)))
    for flow in (first, second):
        FlowLink.objects.update_or_create(pk=flow.pk, defaults={"session": "~a", "thread": "a"})
    html = staff.get("/flows/?group=session").content.decode()
    assert html.count("group-head") == 1
    assert 'href="/flows/session/~a/"' in html and "guessed" in html


def test_an_unknown_grouping_is_named(staff: Client) -> None:
    add_flow("a", 1)
    html = staff.get("/flows/?group=sessions").content.decode()
    assert "There is no grouping" in html or "no grouping" in html
    assert "group-head" not in html
