"""The badges of a cache that broke or was missed, which lead to the Context tab."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flows.lineage.linker import Linker
from flows.models import Flow, FlowLink
from flows.templatetags.flows import cache_break
from tests.flows.lineage.synthetic import Agent, Expected
from tests.flows.lineage.test_linker import linked
from tests.flows.seed_session import TURN_IDS, seed_session

ON = Expected("continued")


def test_the_list_marks_breaks_and_leads_to_their_cause(staff: Client) -> None:
    seed_session()
    before = staff.get("/flows/").content.decode()
    assert "cache broke" not in before
    while Linker().link_pending():
        pass
    html = staff.get("/flows/").content.decode()
    assert html.count("cache broke</a>") == 2
    assert f'href="/flows/{TURN_IDS[1]}/?tab=context"' in html
    assert "The prompt cache broke at system[0], by my_hooks.add_date" in html
    # A break that cost nothing is none worth a badge.
    FlowLink.objects.update(lost_tokens=0)
    assert "cache broke" not in staff.get("/flows/").content.decode()


def test_a_row_without_its_link_asks_for_none(staff: Client) -> None:
    seed_session()
    flow = Flow.objects.get(pk=TURN_IDS[1])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert cache_break(flow) is None
    assert len(queries) == 0


@pytest.mark.parametrize(
    ("later_s", "read", "sentence"),
    [
        (0, 29_000, ""),
        (900, 29_000, ""),
        (900, 0, "It was not: 15 minutes passed"),
        (900, 4_000, "Most of it was not: 15 minutes passed"),
        (0, 0, "It was not, after 10 seconds: the provider"),
        (0, 20_000, ""),
    ],
)
def test_a_cache_that_nothing_broke_may_be_missed(
    staff: Client, later_s: float, read: int, sentence: str
) -> None:
    agent = Agent("s")
    agent.ask("Why does the lexer fail on files from Windows?")
    agent.result(agent.send(Expected("first"), cached=(0, 30_000)))
    agent.at += max(0.0, later_s - 10)
    agent.send(ON, cached=(read, 30_000 - read), tool=False)
    assert [link.relation for _, link, _ in linked([agent])] == ["first", "continued"]
    context = staff.get("/flows/s-0002/?tab=context").content.decode()
    assert "its cache can be used." in context
    assert ("was not" in context) == bool(sentence)
    assert sentence in context
    assert ("cache missed</a>" in staff.get("/flows/").content.decode()) == bool(sentence)
