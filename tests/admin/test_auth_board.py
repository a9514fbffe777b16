"""The auth board: what each provider's credential is up to."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from providers.auth.logins import login_key
from providers.auth.oauth_kinds import oauth_auth
from providers.auth.refresh_lock import login_digest
from providers.models import AuditEntry, CredentialState, Provider
from tests.fakes.token_endpoint import TokenEndpoint
from tests.rows import make_flow, make_provider

PAGE = "/admin/providers/provider/auth-board/"


@pytest.fixture
def provider(db: None, endpoint: TokenEndpoint, tmp_path: Path) -> Provider:
    config = {"file_path": str(tmp_path / "login.json"), "endpoint": endpoint.url}
    made: Provider = make_provider("claude", auth_type="anthropic_oauth", auth_config=config)
    return made


def login(provider: Provider, endpoint: TokenEndpoint, expires_in_s: float) -> str:
    access, refresh = endpoint.issue()
    expires_at = (timezone.now().timestamp() + expires_in_s) * 1000
    tokens = {"access_token": access, "refresh_token": refresh, "expires_at": expires_at}
    Path(provider.auth_config["file_path"]).write_text(json.dumps(tokens))
    return access


def text(browser: Client) -> str:
    response = browser.get(PAGE)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_it_works(browser: Client, provider: Provider, endpoint: TokenEndpoint) -> None:
    token = login(provider, endpoint, 3 * 3600 + 30)
    make_flow(provider="claude", status_code=401)
    make_provider("keyed", auth_type="key")
    make_provider("open")
    page = text(browser)
    assert "claude Anthropic login, renewed good in 3 hours – 1 last just now Test Read" in page
    assert "keyed API key, stored encrypted not set Set key – – 0 Test Read" in page
    assert "open No credential – – – 0 Test" in page
    assert token not in page


@pytest.mark.parametrize("page", ["/admin/", "/admin/providers/provider/", PAGE])
def test_a_variable_that_is_not_set_is_named(
    page: str, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_provider("own", auth_type="command", auth_config={"command": "printenv OWN_MODEL_KEY"})
    make_provider("shop", auth_type="command", auth_config={"command": "pass show shop"})
    monkeypatch.delenv("OWN_MODEL_KEY", raising=False)
    assert browser.get(page).content.decode().count("OWN_MODEL_KEY") == 1
    monkeypatch.setenv("OWN_MODEL_KEY", "k")
    assert "OWN_MODEL_KEY" not in browser.get(page).content.decode()


@pytest.mark.parametrize(
    ("expires_in_s", "says"),
    [(300, "expires soon in 4 minutes"), (-7200, "renewed at the next request 2 hours ago")],
)
def test_expiry(
    browser: Client, provider: Provider, endpoint: TokenEndpoint, expires_in_s: float, says: str
) -> None:
    login(provider, endpoint, expires_in_s)
    assert says in text(browser)


def test_a_failure_is_shown_with_its_reason(
    browser: Client, provider: Provider, endpoint: TokenEndpoint
) -> None:
    login(provider, endpoint, 3600)
    key = login_digest(login_key(oauth_auth("anthropic_oauth", provider.auth_config)))
    CredentialState.objects.create(
        pk=key,
        error="is over; <b>log in</b> again",
        tried_at=timezone.now() - timedelta(hours=2),
        machine="m-1",
    )
    assert "renewing fails" in text(browser)
    assert b"is over; &lt;b&gt;log in" in browser.get(PAGE).content


def test_no_login_and_a_broken_file(browser: Client, provider: Provider) -> None:
    assert "not logged in" in text(browser)
    Path(provider.auth_config["file_path"]).write_text("broken")
    assert "cannot be read" in text(browser)


@pytest.mark.django_db(transaction=True)
def test_the_test_button_resolves_and_shows_no_secret(
    provider: Provider, endpoint: TokenEndpoint
) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("boss"))
    old = login(provider, endpoint, -9999)
    answer = browser.post(f"/admin/providers/provider/auth-board/{provider.pk}/test/", follow=True)
    page = answer.content.decode()
    assert "claude (Anthropic login, renewed): a credential of" in page
    assert "good for 59" in page
    new = json.loads(Path(provider.auth_config["file_path"]).read_text())["access_token"]
    assert endpoint.is_good(new)
    assert old not in page
    assert new not in page
    endpoint.status = 500
    login(provider, endpoint, -9999)
    answer = browser.post(f"/admin/providers/provider/auth-board/{provider.pk}/test/", follow=True)
    assert "answered 500" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_good_login_is_renewed_on_demand_once(
    provider: Provider, endpoint: TokenEndpoint
) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("boss"))
    old = login(provider, endpoint, 9999)
    renew = f"/admin/providers/provider/auth-board/{provider.pk}/renew/"
    assert "renewed, good for 59" in browser.post(renew, follow=True).content.decode().replace(
        "\xa0", " "
    )
    new = json.loads(Path(provider.auth_config["file_path"]).read_text())["access_token"]
    assert new != old
    assert endpoint.is_good(new)
    assert len(endpoint.requests) == 1
    endpoint.status = 500
    assert "answered 500" in browser.post(renew, follow=True).content.decode(), (
        "a token that is still good is no success"
    )
    assert [
        (row.action, row.outcome)
        for row in AuditEntry.objects.exclude(action="config-change").order_by("id")
    ] == [
        ("renew", "done"),
        ("renew", "failed"),
    ]
    assert (
        "has no login"
        in browser.post(
            f"/admin/providers/provider/auth-board/{
                make_provider('keyed', auth_type='key').pk
            }/renew/",
            follow=True,
        ).content.decode()
    )


def test_rights(provider: Provider) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    client = Client()
    client.force_login(reader)
    test = f"/admin/providers/provider/auth-board/{provider.pk}/test/"
    assert client.get(PAGE).status_code == 403
    reader.user_permissions.add(Permission.objects.get(codename="view_provider"))
    assert client.get(PAGE).status_code == 200
    assert b"/test/" not in client.get(PAGE).content
    assert client.post(test).status_code == 403
    assert client.post(test.replace("/test/", "/renew/")).status_code == 403
    assert Client().get(PAGE).status_code == 302
    assert Client(enforce_csrf_checks=True).post(test).status_code in (302, 403)


def test_a_get_tests_nothing(browser: Client, provider: Provider) -> None:
    assert (
        browser.get(f"/admin/providers/provider/auth-board/{provider.pk}/test/").status_code == 405
    )
