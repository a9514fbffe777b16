"""While certificates are not verified, every page says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from interceptor.config.files.server import ServerSettings
from tests.rows import make_flow, make_provider

MARK = 'id="ssl-notice"'


@pytest.fixture
def pages(one_of_each: None) -> list[str]:
    flow, provider = make_flow(), make_provider("p2")
    return [
        "/flows/",
        f"/flows/{flow.pk}/",
        "/usage/",
        "/explain/",
        "/admin/",
        "/admin/providers/provider/",
        f"/admin/providers/provider/{provider.pk}/change/",
        "/admin/providers/provider/auth-board/",
        "/admin/auth/user/",
        "/admin/password_change/",
    ]


def test_it_is_on_every_page_while_the_setting_is_on(
    browser: Client, pages: list[str], settings: Any
) -> None:
    settings.CCPROXY = ServerSettings.model_validate(
        {"inspector": {"mitmproxy": {"ssl_insecure": True}}}
    )
    for page in pages:
        text = browser.get(page).content.decode()
        assert text.count(MARK) == 1, page
        assert "Certificates of providers are not verified" in text
    assert MARK not in Client().get("/admin/login/").content.decode(), "strangers are told nothing"


def test_it_is_on_no_page_otherwise(browser: Client, pages: list[str], settings: Any) -> None:
    settings.CCPROXY = ServerSettings()
    for page in pages:
        assert MARK not in browser.get(page).content.decode(), page
