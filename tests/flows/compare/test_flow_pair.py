"""Two flows compared, as a page and over REST; what hooks changed, counted in lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flows.compare.compared_request import ComparedRequest
from flows.compare.line_counts import changed_lines
from flows.models import Resend
from flows.reading.body_view import body_view
from tests.flows.seed import IDS, add_flow, add_side, seed_all, sse

pytestmark = pytest.mark.django_db
JSON = {"content-type": "application/json"}


def flow(
    name: str,
    asked: Any,
    answer: bytes = b"",
    answer_type: str = "application/json",
    **headers: str,
) -> None:
    row = add_flow(name, 1, path="/v1/messages", status_code=200)
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    for side in ("client", "forwarded"):
        add_side(
            row, side, JSON | headers, body, method="POST", url="http://127.0.0.1:4000/v1/messages"
        )
    add_side(
        row,
        "upstream",
        {"content-type": answer_type, "x-ccproxy-flow": name},
        answer,
        status_code=200,
        reason="OK",
    )


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def test_it_works(admin: Client) -> None:
    flow("a", {"model": "m-1", "messages": ["one", "two"]}, b'{"text": "yes"}', x_kept="1")
    flow("b", {"model": "m-2", "messages": ["one", "new", "two"]}, b'{"text": "no"}', x_kept="2")
    html = page(admin, "/flows/diff/a/b/")
    assert "different in 1 header, 2 places of the body" in html
    assert "messages[1]" in html and "m-2" in html
    answers = page(admin, "/flows/diff/a/b/?of=answer")
    assert "different in 1 place of the body" in answers  # the proxy's own header does not count
    found = admin.get("/api/flows/a/diff/b/").json()
    assert found["parts"]["client"]["body"] == [
        {"kind": "changed", "path": "model", "before": "m-1", "after": "m-2"},
        {"kind": "added", "path": "messages[1]", "before": None, "after": "new"},
    ]
    assert found["parts"]["answer"]["body"][0]["after"] == "no"


def test_a_flow_is_the_same_as_itself(admin: Client) -> None:
    seed_all()
    name = IDS["anthropic"]
    assert "the same" in page(admin, f"/flows/diff/{name}/{name}/")
    assert (
        admin.get(f"/api/flows/{name}/diff/{name}/").json()["parts"]["answer"]["identical"] is True
    )


def test_streams_are_compared_by_what_they_say(admin: Client) -> None:
    def told(*words: str) -> bytes:
        deltas = (
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": word}}
            for word in words
        )
        return b"".join(sse(*deltas))

    flow("a", {}, told("Hello ", "there"), "text/event-stream")
    flow("b", {}, told("He", "llo there"), "text/event-stream")
    flow("c", {}, told("Hello you"), "text/event-stream")
    assert "the same" in page(admin, "/flows/diff/a/b/?of=answer")
    html = page(admin, "/flows/diff/a/c/?of=answer")
    assert (
        "Hello there" in html and "Hello you" in html and "different in 2 lines of the body" in html
    )


def test_reordering_can_be_hidden(admin: Client) -> None:
    flow("a", {"tools": [{"name": "x"}, {"name": "y"}]}, x_one="1", x_two="2")
    flow("b", {"tools": [{"name": "y"}, {"name": "x"}]}, x_two="2", x_one="1")
    shown = page(admin, "/flows/diff/a/b/")
    assert "only moved" in shown and "Hide reordering" in shown
    hidden = page(admin, "/flows/diff/a/b/?order=hide")
    assert "only moved" not in hidden and "Show reordering" in hidden


@pytest.mark.parametrize(
    "address", ["/flows/diff/a/nothing/", "/flows/diff/nothing/a/", "/api/flows/a/diff/nothing/"]
)
def test_what_is_not_there(admin: Client, address: str) -> None:
    flow("a", {})
    assert admin.get(address).status_code == 404


@pytest.mark.parametrize("of", ["client", "forwarded", "answer", "nonsense"])
def test_hostile_and_deep_bodies_render(admin: Client, of: str) -> None:
    seed_all()
    flow("deep", b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", b"\xff\x00\xfe" * 50, "image/png")
    flow("none", {})
    for left, right in (
        ("deep", "none"),
        ("none", "deep"),
        (IDS["hostile"], "deep"),
        (IDS["failed"], IDS["live"]),
    ):
        assert "<script>alert" not in page(admin, f"/flows/diff/{left}/{right}/?of={of}")
        assert admin.get(f"/api/flows/{left}/diff/{right}/").status_code in (200, 409)


def test_rights(client: Client) -> None:
    flow("a", {})
    client.force_login(User.objects.create_user("eve", is_staff=True))
    assert client.get("/api/flows/a/diff/a/").status_code == 403
    client.force_login(User.objects.create_user("guest"))
    assert client.get("/flows/diff/a/a/").status_code == 403


def test_flows_name_what_they_were_sent_again_as(admin: Client) -> None:
    for name in ("a", "b"):
        flow(name, {})
    now = "2026-11-20T09:00:00Z"
    for number, (old, new) in enumerate((("a", "b"), ("a", "gone"), ("gone-too", "a"), ("a", ""))):
        Resend.objects.create(
            ticket=f"t{number}",
            token_sha256=str(number),
            flow_id=old,
            new_flow_id=new,
            created_at=now,
            expires_at=now,
        )
    html = page(admin, "/flows/a/")
    assert "Sent again from a flow that is no longer stored" in html
    assert (
        html.count("as the client sent it") >= 1
        and "/flows/diff/a/b/" in html
        and "/flows/gone/" not in html
    )
    assert 'href="/flows/a/"' in page(admin, "/flows/b/")


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"a": 1}, {"a": 2}, (1, 1)),
        ({"a": 1}, {"a": 1, "b": {"c": 1}}, (3, 0)),
        ({"a": "x\ny\nz"}, {"a": "x\nY\nz"}, (1, 1)),
        ({"a": [1, 2, 3]}, {"a": [1, 3]}, (0, 1)),
        ({"a": {"b": []}}, {}, (0, 3)),
    ],
)
def test_lines_of_a_change(before: Any, after: Any, lines: tuple[int, int]) -> None:
    old = ComparedRequest("u", [["a", "1"]], body_view("", json.dumps(before).encode()))
    new = ComparedRequest("u", [["a", "2"]], body_view("", json.dumps(after).encode()))
    counted = changed_lines(old, new)
    assert counted == (lines[0] + 1, lines[1] + 1)
