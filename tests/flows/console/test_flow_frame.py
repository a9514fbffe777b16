"""Around a flow's parts: request beside response, outline of turns, the copy menu."""

from __future__ import annotations

import re

from django.test import Client

from flows.export.kinds import KINDS
from tests.flows.seed import IDS, seed_all
from tests.flows.seed_session import TURN_IDS, seed_session


def test_the_request_stands_beside_the_response(staff: Client) -> None:
    seed_all()
    flow = f"/flows/{IDS['anthropic']}/"
    alone = staff.get(f"{flow}?tab=response").content.decode()
    assert 'class="two"' not in alone
    assert "beside=1" in alone
    both = staff.get(f"{flow}?tab=response&beside=1").content.decode()
    request, response = both.split('aria-label="The request"')[1].split('aria-label="The response"')
    assert "/v1/messages" in request
    assert "tools" in request
    assert "200" in response
    switch = re.search(r'href="([^"]*)"[^>]*>Alone', response.replace("\n", " "))
    assert switch
    assert "beside" not in switch[1]


def test_the_outline_leads_to_each_turn(staff: Client) -> None:
    seed_session()
    page = staff.get(f"/flows/{TURN_IDS[2]}/?all=1").content.decode()
    outline = page.split('class="outline"')[1].split("</nav>")[0]
    targets = re.findall(r'href="#([^"]+)"', outline)
    assert targets[0] == "turn-1"
    assert targets[-1] == "turn-response"
    assert all(page.count(f'id="{target}"') == 1 for target in targets)


def test_the_copy_menu_has_every_kind(staff: Client) -> None:
    seed_all()
    page = staff.get(f"/flows/{IDS['anthropic']}/").content.decode()
    for kind in KINDS:
        assert f"/flows/{IDS['anthropic']}/as/{kind}" in page
