"""The session page and the usage page: sums that are right, unknown that stays unknown, few
queries.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flows.figures.usage_summary import usage_summary
from flows.models import Flow, UsageDaily
from flows.queries.sessions import session
from flows.writer.rollup import roll_up
from tests.flows.seed import HOSTILE, IDS, add_flow, seed_all
from tests.flows.seed import SESSION as OTHER
from tests.flows.seed_session import SESSION, TURN_IDS, seed_session

TODAY = date(2026, 11, 20)


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    html: str = response.content.decode()
    assert not re.search(
        r"<script>alert|<img src=x|\sstyle=|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", html
    )
    return html


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


def test_a_session_has_totals_threads_and_the_place_where_the_cache_was_lost(db: None) -> None:
    seed_session()
    add_flow(
        "side",
        199.5,
        session_id=SESSION,
        conversation_id="title",
        sent_model="haiku",
        input_tokens=90,
    )
    found = session(SESSION)
    assert found is not None
    totals = found.totals
    assert (totals["requests"], totals["input"], totals["output"], totals["cost"]) == (
        4,
        37_640,
        636,
        Decimal("0.048"),
    )
    assert (totals["unpriced"], totals["reasoning"], found.cache_share) == (1, None, 0.0)
    assert [(thread.letter, thread.requests, thread.main) for thread in found.threads] == [
        ("A", 3, True),
        ("B", 1, False),
    ]
    assert [row.cache_lost for row in found.rows] == [False, False, True, True]
    assert [row.cache_share for row in found.rows] == [0.0, None, 0.0, 0.0]
    assert found.highest_tokens == 12_940
    assert found.newest is not None
    assert found.newest.pk == TURN_IDS[2]


def test_the_session_page_shows_it(staff: Client) -> None:
    seed_session()
    for tab in ("conversation", "timeline", "context"):
        said = text(page(staff, f"/flows/session/{SESSION}/?tab={tab}"))
        assert "3 requests" in said
        assert "Cost $0.048" in said
    html = page(staff, f"/flows/session/{SESSION}/?tab=timeline")
    assert html.count("cache lost</a>") == 2
    html = page(staff, f"/flows/session/{SESSION}/?tab=context")
    assert html.count('<rect class="fresh"') == 3 + 1  # and the legend
    assert "What fills the newest request" in text(html)


def test_a_flow_links_to_its_session_whatever_its_name(staff: Client) -> None:
    seed_all()
    assert f'href="/flows/session/{OTHER}/"' in page(staff, f"/flows/{IDS['anthropic']}/")
    nasty = Flow.objects.get(pk=IDS["hostile"]).session_id
    assert "1 request" in text(page(staff, f"/flows/session/{quote(nasty)}/"))
    add_flow("slashes", 1, session_id="a/../b?c#d")
    assert "1 request" in text(page(staff, f"/flows/session/{quote('a/../b?c#d')}/"))


def test_an_unknown_session_says_so(staff: Client) -> None:
    assert "No request of this session is stored" in page(
        staff, f"/flows/session/{quote(HOSTILE[:80], errors='replace')}/", 404
    )


def seed_usage() -> None:
    """Two days, three models, one of them without a price and one without a count."""
    known = {"state": "done", "status_code": 200, "provider": "anthropic", "session_id": "s1"}
    add_flow(
        "a",
        0,
        **known,
        sent_model="haiku",
        input_tokens=100,
        output_tokens=10,
        cache_read_tokens=80,
        cost_usd=0.5,
    )
    add_flow(
        "b", 24 * 60, **known, sent_model="haiku", input_tokens=300, output_tokens=30, cost_usd=1.5
    )
    add_flow(
        "c", 1, **known | {"session_id": ""}, sent_model="local", input_tokens=50, output_tokens=5
    )
    add_flow("d", 2, **known | {"status_code": 529}, sent_model="opus")
    flows = list(Flow.objects.all())
    Flow.objects.all().delete()
    roll_up(flows)


def test_the_figures_of_a_period(db: None) -> None:
    seed_usage()
    found = usage_summary(7, "cost", TODAY)
    totals = found.totals
    assert (totals["requests"], totals["failed"], totals["unpriced"], totals["unmetered"]) == (
        4,
        1,
        1,
        1,
    )
    assert (totals["cost_usd"], totals["input_tokens"], totals["output_tokens"]) == (2, 450, 45)
    assert (totals["cache_share"], totals["reasoning_tokens"]) == (80 / 100, None)
    assert {row["model"]: (row["cost_usd"], row["input_tokens"]) for row in found.models} == {
        "haiku": (2, 400), "local": (None, 50), "opus": (None, None),
    }  # fmt: skip
    assert [(row["session_id"], row["requests"], row["last_day"]) for row in found.sessions] == [
        ("s1", 3, TODAY)
    ]
    assert [(row["day"], row["cost_usd"]) for row in found.by_day] == [
        (TODAY, Decimal("0.5")),
        (TODAY - timedelta(days=1), Decimal("1.5")),
    ]
    assert [round(block.height) for block in found.blocks] == [200, 67]
    assert [round(block.x) for block in found.blocks] == [714, 857]  # the last two of seven days
    assert usage_summary(7, "cost", TODAY - timedelta(days=1)).totals["cost_usd"] == Decimal("1.5")


def test_the_usage_page_draws_and_says_what_is_missing(staff: Client) -> None:
    seed_usage()
    for row in UsageDaily.objects.order_by("-day"):
        row.day += datetime.now(UTC).date() - TODAY
        row.save()
    UsageDaily.objects.create(
        day=datetime.now(UTC).date(), provider=HOSTILE[:20], model="<b>x", requests=1, unmetered=1
    )
    html = page(staff, "/usage/?days=7&show=tokens")
    assert html.count('<rect class="tone') >= 5
    assert (
        "the cost of 1 request whose price is not known and 2 requests without reported tokens"
        in text(html)
    )
    assert "$2.00" in html


def test_an_empty_usage_page_teaches(staff: Client) -> None:
    for address in ("/usage/", "/usage/?days=x&show=y", "/usage/?days=99999999"):
        assert "ccproxy demo" in page(staff, address)


@pytest.mark.parametrize("address", ["/usage/", "/flows/session/x/", "/flows/x/image/client/0"])
def test_only_staff_may_look(client: Client, db: None, address: str) -> None:
    assert client.get(address).status_code == 302
    client.force_login(User.objects.create_user("guest"))
    assert client.get(address).status_code == 403
