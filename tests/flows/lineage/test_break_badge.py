"""The badge of a cache break in the list, which leads to the Context tab."""

from __future__ import annotations

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flows.lineage.linker import Linker
from flows.models import Flow, FlowLink
from flows.templatetags.flows import cache_break
from tests.flows.seed_session import TURN_IDS, seed_session


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
