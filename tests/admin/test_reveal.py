"""Showing a stored secret: a right of its own, the password again, a row before it, and only
once.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from providers.fields import Ciphertext
from providers.models import AuditEntry, Provider
from providers.web.throttle import MAX_FAILURES
from tests.rows import make_provider

pytestmark = pytest.mark.django_db
SECRET = "sk-canary-4711-revealed"
PASSWORD = "boss-password-1"


@pytest.fixture
def provider() -> Provider:
    return make_provider(auth_type="key", secret=SECRET)


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss", password=PASSWORD))
    return client


def address(provider: Provider) -> str:
    return f"/admin/providers/provider/{provider.pk}/reveal/"


def ask(client: Client, provider: Provider, password: str) -> Any:
    """Open the form and send it, as a browser does."""
    page = client.get(address(provider)).content.decode()
    once = re.search(r'name="once" value="([^"]+)"', page)
    return client.post(address(provider), {"password": password, "once": once[1] if once else ""})


def rows() -> list[tuple[str, str, str, str]]:
    return [
        (row.action, row.target, row.actor, row.outcome)
        for row in AuditEntry.objects.exclude(action="config-change").order_by("id")
    ]


def test_it_works(browser: Client, provider: Provider) -> None:
    assert SECRET not in browser.get(address(provider)).content.decode()
    answer = ask(browser, provider, PASSWORD)
    assert answer.status_code == 200
    assert f">{SECRET}<" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert rows() == [("reveal", "provider anthropic", "boss", "done")]
    for page in (
        "/admin/providers/provider/auth-board/",
        f"/admin/providers/provider/{provider.pk}/change/",
    ):
        assert address(provider) in browser.get(page).content.decode()


def test_the_row_stands_before_the_secret_is_read(
    browser: Client, provider: Provider, monkeypatch: Any
) -> None:
    seen: list[Any] = []

    def decrypt(_: Ciphertext) -> str:
        seen.append(rows())
        return "x"

    monkeypatch.setattr(Ciphertext, "decrypt", decrypt)
    ask(browser, provider, PASSWORD)
    assert seen == [[("reveal", "provider anthropic", "boss", "begun")]]


def test_sending_the_form_again_shows_nothing(browser: Client, provider: Provider) -> None:
    page = browser.get(address(provider)).content.decode()
    once = re.findall(r'name="once" value="([^"]+)"', page)[0]
    form = {"password": PASSWORD, "once": once}
    assert SECRET in browser.post(address(provider), form).content.decode()
    again = browser.post(address(provider), form)
    assert (again.status_code, SECRET in again.content.decode()) == (403, False)
    assert SECRET not in browser.post(address(provider), {"password": PASSWORD}).content.decode()


def test_guessing_is_recorded_and_braked(browser: Client, provider: Provider) -> None:
    for _ in range(MAX_FAILURES):
        answer = ask(browser, provider, "wrong")
        assert (answer.status_code, "not your password" in answer.content.decode()) == (403, True)
    assert rows() == [("reveal", "provider anthropic", "boss", "refused")] * MAX_FAILURES
    assert SECRET not in ask(browser, provider, PASSWORD).content.decode(), (
        "the right one is refused too, for a minute"
    )
    assert "wrong" not in str(list(AuditEntry.objects.values()))


def test_it_is_a_right_of_its_own(provider: Provider) -> None:
    clerk = User.objects.create_user("clerk", password=PASSWORD, is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="providers")
    clerk.user_permissions.set(rights.exclude(codename="reveal_secret"))
    client = Client()
    client.force_login(clerk)
    assert client.get(address(provider)).status_code == 403
    assert client.post(address(provider), {"password": PASSWORD}).status_code == 403
    page = f"/admin/providers/provider/{provider.pk}/change/"
    assert address(provider) not in client.get(page).content.decode()
    clerk.user_permissions.set(rights)
    assert SECRET in ask(client, provider, PASSWORD).content.decode()
    assert Client().get(address(provider)).status_code == 302


def test_an_account_without_a_password_is_told_what_to_do(provider: Provider) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("linked"))
    answer = ask(client, provider, "")
    assert answer.status_code == 403
    assert "ccproxy changepassword linked" in answer.content.decode()


def test_nothing_stored_and_csrf(browser: Client) -> None:
    empty = make_provider("empty", auth_type="key")
    assert "Nothing is stored" in browser.get(address(empty)).content.decode()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert strict.post(address(empty), {"password": PASSWORD}).status_code == 403
