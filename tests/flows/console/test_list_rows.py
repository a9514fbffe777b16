"""Rows of the list of flows: cache share, running time, colour of the session."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flows.models import Flow
from tests.flows.seed import add_flow

pytestmark = pytest.mark.django_db


def row(client: Client, flow_id: str) -> str:
    html = client.get("/flows/").content.decode()
    found = re.search(rf'<tr id="f-{flow_id}".*?</tr>', html, re.DOTALL)
    assert found is not None
    return " ".join(found[0].split())


def test_a_row_names_the_share_from_the_cache(staff: Client) -> None:
    add_flow("a", 1, input_tokens=1000, output_tokens=5, cache_read_tokens=900)
    add_flow("b", 1, input_tokens=1000, output_tokens=5)
    assert "90 % cached" in row(staff, "a")
    assert "cached" not in row(staff, "b")


def test_a_running_row_names_its_time_so_far(staff: Client) -> None:
    add_flow("a", 1, state="live")
    Flow.objects.update(started_at=timezone.now() - timedelta(minutes=10, seconds=30))
    assert re.search(r"10 m \d\d s …", row(staff, "a"))


def test_rows_of_a_session_have_one_colour_and_lead_to_it(staff: Client) -> None:
    for name, session_id in (("a", "one"), ("b", "one"), ("c", "")):
        add_flow(name, 1, session_id=session_id)
    links = [
        re.search(r'<a class="session-dot (tone\d)" href="([^"]+)"', row(staff, n)) for n in "abc"
    ]
    first, second, third = links
    assert first is not None
    assert second is not None
    assert first.groups() == second.groups()
    assert first[2] == "/flows/session/one/"
    assert third is None
