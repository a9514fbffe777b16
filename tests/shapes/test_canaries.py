"""Nothing of a user's prompt or secret is in a stored shape, an export, a page or a response."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from providers.models import AuditEntry
from shapes.files.directory import export_version
from shapes.models import Shape
from tests.parts import change_sides
from tests.shapes.captured import captured_flow, client_headers

pytestmark = pytest.mark.django_db
PROMPT = "canary-prompt-3141"
SECRET = "sk-canary-4711-do-not-show"
PERSON = "canarina"
MAIL = f"{PERSON}@canary.example.org"
ACCOUNT = "5f1c2b7a-93de-4c55-8a0e-2b7a93de4c55"
CANARIES = (PROMPT, SECRET, PERSON, ACCOUNT)


def client_request() -> tuple[dict[str, object], list[list[str]]]:
    """A request with canaries in every place that a client has for them."""
    note = f"{PROMPT} {SECRET} {MAIL} /home/{PERSON}/src {ACCOUNT}"
    body: dict[str, object] = {
        "model": "claude-haiku-4-5",
        "messages": [{"role": "user", "content": note}, {"role": "assistant", "content": note}],
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: by {MAIL}; cch=0;"},
            {"type": "text", "text": f"You run in /home/{PERSON}/src with {SECRET} as {ACCOUNT}."},
            {"type": "text", "text": note},
        ],
        "tools": [{"name": "t", "description": note, "input_schema": {"default": note}}],
        "metadata": {"user_id": json.dumps({"account_uuid": ACCOUNT, "note": note})},
        "future_field": {"text": note, "list": [note, {note: note}], f"of {PROMPT}": 1},
    }
    headers = [
        *client_headers(),
        ["x-api-key", SECRET],
        ["cookie", f"session={SECRET}"],
        ["x-workspace-path", f"/home/{PERSON}/src"],
        ["x-owner", MAIL],
        ["x-account-id", ACCOUNT],
        ["x-trace", f"token={SECRET}"],
    ]
    return body, headers


@pytest.fixture
def shape() -> Shape:
    """The shape of that request, stored by the command."""
    body, headers = client_request()
    url = f"https://api.anthropic.com/v1/messages?beta=true&key={SECRET}&user={MAIL}"
    flow = captured_flow(body=body, client_url=url, forwarded_url=url)
    change_sides(flow.flow.pk, "client", "forwarded", headers=headers)
    call_command("shapes", "save", "anthropic", "--yes", stdout=StringIO())
    return Shape.objects.get()


def test_the_row_the_audit_log_and_the_export_are_clean(shape: Shape, tmp_path: Path) -> None:
    rows = str([*Shape.objects.values(), *AuditEntry.objects.values()])
    files = b"".join(path.read_bytes() for path in export_version(shape, tmp_path)).decode()
    for text in (rows, files):
        assert [canary for canary in CANARIES if canary in text] == []
    # The shape is still one: headers, query and the prefix are there.
    assert shape.query == "beta=true&user=user%40example.invalid"
    assert "You run in /home/user/src with redacted as 00000000" in shape.body
    assert "anthropic-beta" in {name for name, _ in shape.headers}


def test_pages_rest_and_commands_are_clean(shape: Shape, admin: Client) -> None:
    for text in outputs(admin, shape):
        assert [canary for canary in CANARIES if canary in text] == []


def outputs(admin: Client, shape: Shape) -> Iterator[str]:
    for tab in ("request", "fields", "scrubbed", "tls", "patches"):
        yield admin.get(f"/shapes/anthropic/1/?tab={tab}").content.decode()
    yield admin.get("/shapes/").content.decode()
    yield admin.get("/shapes/anthropic/1/mflow").content.decode("utf-8", "replace")
    yield admin.get(f"/api/shapes/{shape.pk}/").content.decode()
    yield admin.get("/api/shapes/").content.decode()
    for action in ("show", "show --json", "list", "list --json"):
        name, *options = action.split()
        arguments = [name, *(["anthropic"] if name == "show" else []), *options]
        out = StringIO()
        call_command("shapes", *arguments, stdout=out)
        yield out.getvalue()
