"""The page that tries an edited rule on recorded flows: what it shows, who may see it, and that it
changes nothing.
"""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from interceptor.models import HookSetting
from providers.models import ConfigRevision, Provider, TransformRule
from tests.flows.seed import HOSTILE, IDS, seed_all
from tests.rows import make_provider, make_rule

pytestmark = pytest.mark.django_db
ADDRESS = "/explain/rule/"
REDIRECT = {
    "name": "cheaper",
    "enabled": "on",
    "position": "0",
    "action": "redirect",
    "match_model": "opus",
}


@pytest.fixture
def boss(client: Client) -> Client:
    make_provider("anthropic", native_formats=["anthropic_messages"])
    HookSetting.objects.create(name="inject_auth", stage="inbound", position=0)
    seed_all()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def tried(client: Client, query: str = "", **fields: str) -> str:
    answer = client.post(ADDRESS + query, REDIRECT | {"dest_host": "local.example"} | fields)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.content.decode().split("<main", 1)[1]))


def test_each_flow_that_would_move_is_shown_with_its_conditions(
    boss: Client, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any) -> None:
        raise AssertionError("a dry run opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = (ConfigRevision.current(), TransformRule.objects.count())
    text = tried(boss, match_path="messages", dest_model="small-1")
    assert "1 of " in text
    assert "flows would go elsewhere with a new rule as below" in text
    assert re.search(
        r"url https://api.anthropic.com/v1/messages\S* → https://local.example/v1/messages", text
    )
    assert re.search(r"model claude-opus-\S+ → small-1", text)
    assert re.search(r"✓ path messages has /v1/messages.*✓ model opus has claude-opus", text)
    assert (ConfigRevision.current(), TransformRule.objects.count()) == before


def test_a_saved_rule_is_tried_as_it_is_edited(boss: Client):
    rule = make_rule(name="saved", match_model="opus", action="redirect", dest_host="local.example")
    assert (
        "Which recorded flows would saved change?"
        in boss.get(f"{ADDRESS}?id={rule.pk}").content.decode()
    )
    assert "None of " in tried(boss, f"?id={rule.pk}", name="saved", match_path=".*")
    text = tried(boss, f"?id={rule.pk}", name="saved", match_model="nothing")
    assert "url https://local.example/v1/messages" in text
    assert "✗ model nothing has claude-opus" in text
    off = tried(boss, f"?id={rule.pk}", name="saved", enabled="")
    assert "switched off" in off
    assert TransformRule.objects.get().match_model == "opus"


def test_only_as_many_flows_as_asked_for_are_tried(boss: Client):
    assert "None of 1 flow would" in tried(boss, match_model="nothing", last="1")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"match_model": "("}, "match_model: "),
        ({"action": "transform", "dest_host": ""}, ""),
        ({"last": "501"}, "last: Ensure this value is less than or equal to 500"),
        ({"last": "x"}, "last: Enter a whole number"),
        ({"dest_provider": "999999"}, "dest_provider: "),
        ({"position": "99999999999999999999"}, "position: "),
        ({"name": "a\0b"}, "name: Null characters"),
        ({"action": "explode"}, "action: "),
    ],
)
def test_what_is_no_rule_is_told(boss: Client, fields: dict[str, str], problem: str):
    answer = boss.post(ADDRESS, REDIRECT | {"dest_host": "local.example"} | fields)
    assert answer.status_code == 200
    text = re.sub(r"<[^>]+>", "", answer.content.decode())
    assert 'role="alert"' in answer.content.decode()
    assert problem in text
    assert "would go elsewhere" not in text


@pytest.mark.parametrize("wrong", ["x", "0", "99999999999999999999", "-1", "٣", "%00"])
def test_an_unknown_rule_is_a_404(boss: Client, wrong: str):
    assert boss.get(f"{ADDRESS}?id={wrong}").status_code == 404


def test_it_needs_both_rights(boss: Client, client: Client):
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    assert client.get(ADDRESS).status_code == 403
    for codename in ("view_flow", "view_transformrule"):
        clerk.user_permissions.add(Permission.objects.get(codename=codename))
    assert client.get(ADDRESS).status_code == 200
    client.force_login(User.objects.create_user("guest"))
    assert client.get(ADDRESS).status_code == 403


def test_the_ways_to_it(boss: Client):
    rule = make_rule(name="one", match_model="opus", action="redirect", dest_host="local.example")
    change = boss.get(f"/admin/providers/transformrule/{rule.pk}/change/").content.decode()
    assert f'formaction="/explain/rule/?id={rule.pk}"' in change
    assert (
        'formaction="/explain/rule/"'
        in boss.get("/admin/providers/transformrule/add/").content.decode()
    )
    assert (
        f'href="/explain/rule/?id={rule.pk}"'
        in boss.get(f"/explain/?flow={IDS['anthropic']}").content.decode()
    )


def test_hostile_names_and_deleted_providers_are_text(boss: Client):
    nasty = HOSTILE.replace("\0", "").replace("\udc80", "")
    rule = make_rule(
        name=nasty[:100], match_model=".", action="redirect", dest_host="local.example"
    )
    Provider.objects.all().delete()
    html = boss.post(
        f"{ADDRESS}?id={rule.pk}", REDIRECT | {"match_model": "x", "dest_host": "h.example"}
    )
    assert html.status_code == 200
    for content in (html, boss.get(f"{ADDRESS}?id={rule.pk}")):
        assert "<script>alert" not in content.content.decode()
        assert "<img src=x" not in content.content.decode()
