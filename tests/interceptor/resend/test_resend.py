"""What is sent when a recorded request is sent again: exactly the record, an edited one, or a
refusal with a reason.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.models import Resend
from interceptor.config.snapshot.load import load_snapshot
from interceptor.instances.processes import own_instance
from interceptor.models import HookSetting
from interceptor.resend.draft import Draft, ResendError, draft_of, recorded_side
from interceptor.resend.grant_store import LIFETIME, issue, redeem
from interceptor.resend.outgoing import Outgoing, difference, outgoing
from interceptor.resend.sender import proxy_address
from tests.flows.seed import IDS, add_flow, add_side, seed_all
from tests.parts import change_sides
from tests.rows import make_provider, make_status

pytestmark = pytest.mark.django_db
BODY = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Grüß dich\nzweite Zeile"}],
}
MARK = "‹redacted 3f9a21›"


@pytest.fixture(autouse=True)
def provider(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k-0123456789")
    make_provider(
        "anthropic", host="api.anthropic.com", auth_type="file", auth_config={"file": str(key)}
    )
    HookSetting.objects.create(name="inject_auth", stage="inbound")


def record(
    name: str = "f", *, body: bytes | None = None, url: str = "", extra: Any = (), **side: Any
) -> CompleteFlow:
    """A flow of a sentinel's client, with a forwarded side whose credential was cut out."""
    data = json.dumps(BODY, ensure_ascii=False).encode() if body is None else body
    flow = add_flow(
        name,
        1,
        path="/v1/messages",
        provider="anthropic",
        session_id="s-1",
        credential_injected=True,
    )
    common = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    client = {"Host": "127.0.0.1:4000", "X-Api-Key": "sk-ccproxy-anthropic"} | common | dict(extra)
    there = {"Host": "api.anthropic.com", "X-Api-Key": MARK} | common | dict(extra)
    target = url or "/v1/messages?beta=true"
    add_side(
        flow, "client", client, data, method="POST", url=f"http://127.0.0.1:4000{target}", **side
    )
    add_side(
        flow,
        "forwarded",
        there,
        data,
        method="POST",
        url=f"https://api.anthropic.com{target}",
        **side,
    )
    found = load_flow(name)
    assert found is not None
    return found


def ask(flow: CompleteFlow, *, as_forwarded: bool = False, **edits: str) -> Outgoing:
    edited = replace(draft(flow, as_forwarded=as_forwarded), **edits) if edits else None
    return outgoing(flow, load_snapshot(), as_forwarded=as_forwarded, draft=edited)


def draft(flow: CompleteFlow, *, as_forwarded: bool = False) -> Draft:
    return draft_of(flow, recorded_side(flow, as_forwarded=as_forwarded))


def refused(flow: CompleteFlow, *, as_forwarded: bool = False, **edits: str) -> str:
    with pytest.raises(ResendError) as caught:
        ask(flow, as_forwarded=as_forwarded, **edits)
    return str(caught.value)


def test_it_works() -> None:
    found = ask(record())
    assert (found.method, found.target, found.edited, found.notes) == (
        "POST",
        "/v1/messages?beta=true",
        False,
        [],
    )
    assert ("X-Api-Key", "sk-ccproxy-anthropic") in found.headers
    assert json.loads(found.body) == BODY
    assert found.found is not None and found.found.decision is not None
    assert difference(found).nothing


def test_an_untouched_editor_changes_no_byte() -> None:
    data = gzip.compress(json.dumps(BODY, indent=1).encode())
    flow = record(body=data, extra={"Content-Encoding": "gzip"})
    known = draft(flow)
    typed = replace(
        known, body=known.body.replace("\n", "\r\n"), headers=known.headers.replace("\n", "\r\n")
    )
    found = outgoing(flow, load_snapshot(), as_forwarded=False, draft=typed)
    assert (found.body, found.edited) == (data, False)
    assert ("Content-Encoding", "gzip") in found.headers


def test_an_edited_body_goes_plain_and_shows_one_change() -> None:
    flow = record(body=gzip.compress(json.dumps(BODY).encode()), extra={"Content-Encoding": "gzip"})
    found = ask(flow, body=draft(flow).body.replace('"m"', '"n"'))
    assert found.edited and json.loads(found.body) == BODY | {"model": "n"}
    assert "content-encoding" not in [name.lower() for name, _ in found.headers]
    assert [item.change.path for item in difference(found).body] == ["model"]


def test_as_forwarded_keeps_the_credentials_place_and_no_secret() -> None:
    found = ask(record(), as_forwarded=True)
    assert (found.provider, found.origin) == ("anthropic", "https://api.anthropic.com:443")
    assert found.headers[1] == ("X-Api-Key", "sk-ccproxy-anthropic")
    assert difference(found).nothing


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"body_truncated": True}, "Not all"),
        (
            {"body": b'{"key": "' + MARK.encode() + b'"}', "body_redacted": True},
            "A secret was cut out of the body",
        ),
        ({"url": f"/v1/messages?key={MARK}"}, "characters as %XX"),
    ],
)
@pytest.mark.parametrize("as_forwarded", [False, True])
def test_what_was_not_kept_is_not_sent(
    fields: dict[str, Any], why: str, as_forwarded: bool
) -> None:
    assert why in refused(record(**fields), as_forwarded=as_forwarded)


def test_a_dropped_body_is_not_sent() -> None:
    flow = record()
    change_sides(flow.flow.pk, body_digest="")
    again = load_flow(flow.flow.pk)
    assert again is not None
    assert "Not all" in refused(again)


def test_a_cut_out_secret_can_be_typed_in_again() -> None:
    flow = record(body=b'{"key": "' + MARK.encode() + b'"}', body_redacted=True)
    assert ask(flow, body='{"key": "new"}').body == b'{"key": "new"}'
    assert "Write it again" in refused(flow, body=draft(flow).body + " ")


def test_a_clients_own_key_is_asked_for() -> None:
    flow = record(extra={"X-Api-Key": MARK})
    assert "a key of its own in X-Api-Key" in refused(flow)
    headers = draft(flow).headers.replace(MARK, "sk-ccproxy-anthropic")
    assert ask(flow, headers=headers).edited


def test_other_cut_out_headers_are_left_out_and_told() -> None:
    for as_forwarded in (False, True):
        found = ask(
            record(f"f{as_forwarded}", extra={"Cookie": f"a={MARK}"}), as_forwarded=as_forwarded
        )
        assert found.notes == ["Cookie is left out: its value is not kept."]
        assert "Cookie" not in dict(found.headers)


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ({"method": "PO ST"}, "name of an HTTP method"),
        ({"target": "v1"}, "begin with /"),
        ({"target": "/a b"}, "begin with /"),
        ({"target": "/a\r\nX: y"}, "begin with /"),
        ({"headers": "no colon"}, "is no header"),
        ({"headers": "X: a\0b"}, "characters that no header may have"),
        ({"headers": "X y: b"}, "is no header"),
        ({"headers": "X: \ud800"}, "characters that no header may have"),
        ({"headers": "Ü: b"}, "is no header"),
    ],
)
def test_what_is_no_http_is_refused(edits: dict[str, str], why: str) -> None:
    assert why in refused(record(), as_forwarded=False, **edits)


def test_headers_of_the_sender_itself_cannot_be_typed_in() -> None:
    flow = record()
    found = ask(
        flow, headers=draft(flow).headers + "\nx-ccproxy-resend: forged\nTransfer-Encoding: chunked"
    )
    assert not found.edited


def test_a_body_that_is_no_json_is_told() -> None:
    flow = record()
    assert "line 1, column 2" in ask(flow, body="{,}").problem
    assert not ask(flow, body="").problem


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"\xff\x00" * 99, "is no text"), (b"x" * 3_000_000, "too large"), (b"caf\xe9", "not UTF-8")],
)
def test_bodies_that_no_editor_can_hold_go_as_they_are(body: bytes, why: str) -> None:
    flow = record(body=body)
    assert why in draft(flow).locked
    found = ask(flow, target="/v1/other")
    assert (found.body, found.edited) == (body, True)


def test_a_websocket_is_refused() -> None:
    seed_all()
    flow = load_flow(IDS["websocket"])
    assert flow is not None
    assert "websocket cannot be sent again" in refused(flow)


def test_the_provider_must_still_be_there() -> None:
    flow = record()
    flow.flow.provider = "gone"
    assert "gone or switched off" in refused(flow, as_forwarded=True)
    flow.flow.provider = ""
    assert "of no provider" in refused(flow, as_forwarded=True)


# --- grants


def granted(**fields: Any) -> tuple[Resend, str]:
    row = Resend(flow_id="f", **fields)
    return row, issue(row)


def test_a_grant_is_good_for_one_flow() -> None:
    row, token = granted(
        as_forwarded=True, provider="anthropic", origin="https://a:443", session_id="s"
    )
    assert token not in str(row.__dict__)
    grant = redeem(token, "new")
    assert grant is not None
    assert (grant.ticket, grant.as_forwarded, grant.provider, grant.session_id) == (
        row.ticket,
        True,
        "anthropic",
        "s",
    )
    assert redeem(token, "newer") is None
    # Its proxy may have lost the first answer.
    assert redeem(token, "new") == grant
    row.refresh_from_db()
    assert row.new_flow_id == "new"


def test_old_and_unknown_grants_are_none() -> None:
    row, token = granted()
    Resend.objects.filter(pk=row.ticket).update(
        expires_at=timezone.now() - timedelta(milliseconds=1)
    )
    assert redeem(token, "new") is None
    assert redeem(token, "") is None
    assert redeem("ccr-" + "a" * 43, "new") is None
    assert timedelta(0) < LIFETIME <= timedelta(minutes=1)


def test_grants_that_came_to_nothing_are_forgotten() -> None:
    long_ago = timezone.now() - timedelta(days=2)
    add_flow("kept", 1)
    for new in ("", "kept", "gone"):
        row, _ = granted()
        Resend.objects.filter(pk=row.ticket).update(created_at=long_ago, new_flow_id=new)
    granted()
    assert set(Resend.objects.values_list("new_flow_id", flat=True)) == {"", "kept"}
    assert Resend.objects.count() == 2


# --- pages and REST without a proxy


def user(client: Client, *rights: str, staff: bool = True) -> Client:
    who = User.objects.create_user("ada", is_staff=staff)
    who.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(who)
    return client


def test_the_page(client: Client) -> None:
    record()
    client.force_login(User.objects.create_superuser("ada"))
    for manner in ("client", "forwarded"):
        html = client.get(f"/flows/f/resend/?as={manner}").content.decode()
        assert "Nothing edited" in html and "k-0123456789" not in html


def test_only_who_may_send_sends(client: Client) -> None:
    record()
    staff = user(client, "view_flow")
    assert "ask an administrator" in staff.get("/flows/f/resend/").content.decode()
    assert staff.post("/flows/f/resend/", {"as": "client"}).status_code == 403
    assert (
        staff.post("/api/flows/f/resend/", {}, content_type="application/json").status_code == 403
    )
    assert Resend.objects.count() == 0
    assert Client(enforce_csrf_checks=True).post("/flows/f/resend/").status_code == 403


def test_sending_needs_a_csrf_token(client: Client) -> None:
    record()
    strict = Client(enforce_csrf_checks=True)
    user(strict, "add_resend", "view_flow")
    assert strict.post("/flows/f/resend/", {"as": "client"}).status_code == 403
    assert (
        strict.post("/api/flows/f/resend/", {}, content_type="application/json").status_code == 403
    )
    assert Resend.objects.count() == 0


def test_without_a_proxy_it_says_so(client: Client) -> None:
    record()
    staff = user(client, "add_resend", "view_flow")
    answer = staff.post("/flows/f/resend/", {"as": "client"})
    assert (answer.status_code, "No proxy is running" in answer.content.decode()) == (409, True)
    answer = staff.post("/api/flows/f/resend/", {}, content_type="application/json")
    assert (answer.status_code, "No proxy is running" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], 400),
        ({"as": "x"}, 400),
        ({"nonsense": 1}, 400),
        ({"body": 5}, 400),
        ({"body": "{"}, 400),
        ({"path": "x"}, 409),
        ({"headers": "X: \ud800"}, 400),
        ({"body": "\ud800"}, 400),
    ],
)
def test_rest_refuses_nonsense(client: Client, sent: Any, status: int) -> None:
    record()
    staff = user(client, "add_resend", "view_flow")
    assert (
        staff.post(
            "/api/flows/f/resend/", json.dumps(sent), content_type="application/json"
        ).status_code
        == status
    )
    for name in ("none", "a%00b", "x" * 300):
        assert (
            staff.post(
                f"/api/flows/{name}/resend/", "{}", content_type="application/json"
            ).status_code
            == 404
        )
        assert staff.get(f"/flows/{name}/resend/").status_code == 404
        assert staff.get(f"/flows/resend/{name}/").status_code == 404
        assert staff.get(f"/flows/diff/{name}/f/").status_code == 404


def test_a_proxy_that_cannot_be_reached_is_told_on_the_tickets_page(client: Client) -> None:
    row, _ = granted()
    Resend.objects.filter(pk=row.ticket).update(
        problem="The proxy at 192.0.2.1:1 could not be asked: refused."
    )
    html = user(client, "view_flow").get(f"/flows/resend/{row.ticket}/").content.decode()
    assert "could not be asked" in html and "/flows/f/resend/" in html


def test_the_proxy_of_another_machine_is_not_this_machine() -> None:
    make_status(instance="elsewhere:1", endpoints={"proxy_url": "http://127.0.0.1:4000"})
    assert proxy_address() == ("elsewhere", 4000, "127.0.0.1:4000")
    make_status(instance=own_instance(), endpoints={"proxy_url": "http://127.0.0.1:4001"})
    assert proxy_address() == ("127.0.0.1", 4001, "127.0.0.1:4001")
