"""What changes a credential, takes flows out or deletes them leaves a row, by whichever way it is
done.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from interceptor.models import ClientToken
from providers.models import AuditEntry, Provider
from tests.rows import make_flow, make_provider
from tests.streamed import whole_body

pytestmark = pytest.mark.django_db
SECRET = "sk-canary-4711-audited"


def rows() -> list[tuple[str, str, str, str]]:
    found = AuditEntry.objects.exclude(action="config-change").order_by("id")
    assert SECRET not in str(list(found.values()))
    return [(row.action, row.target, row.source, row.outcome) for row in found]


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    return client


def test_credentials_over_rest(api: APIClient) -> None:
    new = {
        "name": "p",
        "type": "anthropic",
        "host": "x.test",
        "path": "/",
        "auth_type": "key",
        "secret": SECRET,
    }
    assert api.post("/api/providers/", new, format="json").status_code == 201
    assert api.patch("/api/providers/p/", {"enabled": False}, format="json").status_code == 200
    assert rows() == [("credential-change", "provider p", "api", "done")]
    assert (
        api.patch("/api/providers/p/", {"secret": SECRET + "2"}, format="json").status_code == 200
    )
    assert api.patch("/api/providers/p/", {"auth_type": "none"}, format="json").status_code == 200
    assert rows()[1:] == [("credential-change", "provider p", "api", "done")] * 2
    assert (
        AuditEntry.objects.exclude(action="config-change").order_by("-id")[0].detail == "key → none"
    )


def test_a_command_over_rest_and_from_a_file(api: APIClient, settings: Any, tmp_path: Path) -> None:
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    make_provider("p")
    change = {"auth_type": "command", "auth_config": {"command": f"echo {SECRET}"}}
    assert api.patch("/api/providers/p/", change, format="json").status_code == 200
    assert rows() == [("command-change", "provider p", "api", "done")]
    file = tmp_path / "some.yaml"
    file.write_text(
        "providers:\n  q: {type: anthropic, host: x.test, path: /, auth: {type: command, command:"
        " 'cat ~/key'}}\n"
    )
    file.chmod(0o600)
    for _ in range(2):
        call_command("importconfig", str(file), stdout=io.StringIO())
    assert rows()[1:] == [("command-change", "provider q", "command", "done")], (
        "the second time nothing changes"
    )


def test_a_refused_write_leaves_no_row(api: APIClient) -> None:
    make_provider("p")
    assert (
        api.patch(
            "/api/providers/p/", {"auth_type": "key", "scheme": "http"}, format="json"
        ).status_code
        == 400
    )
    assert rows() == []


def test_setkey(monkeypatch: pytest.MonkeyPatch, filled_database: None) -> None:
    make_provider("p")
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
    call_command("setkey", "p", stdout=io.StringIO())
    assert rows() == [("credential-change", "provider p", "command", "done")]


def test_the_admins_form(browser: Client) -> None:
    make_provider("p")
    page = f"/admin/providers/provider/{Provider.objects.get().pk}/change/"
    form = {
        "name": "p",
        "type": "anthropic",
        "scheme": "https",
        "host": "x.test",
        "path": "/",
        "verify_tls": "on",
    }
    assert browser.post(page, {**form, "auth_type": "key", "new_secret": SECRET}).status_code == 302
    assert rows() == [("credential-change", "provider p", "console", "done")]


def test_client_tokens(api: APIClient, browser: Client) -> None:
    made = api.post("/api/client-tokens/", {"name": "a"}, format="json").json()
    api.delete(f"/api/client-tokens/{made['id']}/")
    call_command("clienttoken", "add", "b", stdout=io.StringIO(), stderr=io.StringIO())
    call_command("clienttoken", "remove", "b", stderr=io.StringIO())
    browser.post("/admin/interceptor/clienttoken/add/", {"name": "c"})
    browser.post(
        f"/admin/interceptor/clienttoken/{ClientToken.objects.get().pk}/delete/", {"post": "yes"}
    )
    expected = [
        (f"client-token-{act}", f"token {name}", source, "done")
        for name, source in (("a", "api"), ("b", "command"), ("c", "console"))
        for act in ("add", "remove")
    ]
    assert rows() == expected


def test_exports_and_clearing(
    api: APIClient, browser: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_flow(body=b"{}"), make_flow()
    answer: Any = api.get("/api/flows/har/")
    assert rows() == [("export", "2 flows", "api", "begun")], "before the first byte"
    assert whole_body(answer).startswith(b"{")
    assert rows() == [("export", "2 flows", "api", "done")], "after the last"
    call_command("flows", "dump")
    assert capsys.readouterr().out.startswith("{")
    browser.get(f"/flows/{first.pk}/har")
    api.delete(f"/api/flows/{first.pk}/")
    call_command("flows", "clear", "--all")
    assert rows()[1:] == [
        ("export", "2 flows", "command", "done"),
        ("export", "1 flow", "console", "begun"),
        ("clear", f"flow {first.pk}", "api", "done"),
        ("clear", "1 flow", "command", "done"),
    ]
    assert second.pk not in str(rows())
