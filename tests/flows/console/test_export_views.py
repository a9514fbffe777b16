"""The pages that take flows out of the console."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flows.export.kinds import KINDS
from tests.flows.export.har_schema import assert_valid
from tests.flows.seed import IDS, seed_all
from tests.streamed import whole_body

pytestmark = pytest.mark.django_db


def har_of(response: Any) -> list[str]:
    assert response.status_code == 200
    har = json.loads(whole_body(response))
    assert_valid(har)
    return [page["id"] for page in har["log"]["pages"]]


def test_a_flows_page_leads_to_its_copies(seeded: Client):
    html = seeded.get(f"/flows/{IDS['chat']}/").content.decode()
    assert f'href="/flows/{IDS["chat"]}/as/curl"' in html
    assert f'href="/flows/{IDS["chat"]}/har"' in html


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("side", ["client", "forwarded"])
def test_every_copy_of_every_flow_is_text_or_a_reason(
    seeded: Client, kind: str, name: str, side: str
):
    response = seeded.get(f"/flows/{IDS[name]}/as/{kind}", {"side": side})
    html = response.content.decode()
    assert response.status_code == 200
    assert ('id="copied"' in html) != ('class="problem"' in html)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_the_text_can_be_downloaded(seeded: Client):
    response = seeded.get(f"/flows/{IDS['chat']}/as/httpx?download=1&side=forwarded")
    assert response["Content-Disposition"] == 'attachment; filename="0a1b2c3d.py"'
    assert response.content.decode().startswith("import httpx")
    assert "https://api.openai.com/v1/chat/completions" in response.content.decode()


@pytest.mark.parametrize(
    "path", ["nope/as/curl", "nope/har", f"{IDS['chat']}/as/nope", "%00/as/curl", "%00/har"]
)
def test_what_is_not_there_is_404(seeded: Client, path: str):
    assert seeded.get(f"/flows/{path}").status_code == 404


def test_the_list_and_a_flow_can_be_saved_as_har(seeded: Client):
    assert har_of(seeded.get("/flows/har?provider=local")) == [IDS["failed"], IDS["redirect"]]
    assert har_of(seeded.get("/flows/har", {"jq": 'map(select(.provider == "openai"))'})) == [
        IDS["websocket"],
        IDS["chat"],
    ]
    assert har_of(seeded.get(f"/flows/{IDS['chat']}/har")) == [IDS["chat"]]
    assert seeded.get("/flows/har", {"jq": ".["}).status_code == 400
    assert seeded.get("/flows/har", {"jq": "[1]"}).status_code == 400
    html = seeded.get("/flows/?provider=local").content.decode()
    assert re.search(r'href="/flows/har\?provider=local"', html)


def test_only_staff_may_take_flows_out(client: Client):
    seed_all()
    client.force_login(User.objects.create_user("guest"))
    for path in ("har", f"{IDS['chat']}/har", f"{IDS['chat']}/as/curl"):
        assert client.get(f"/flows/{path}").status_code == 403
