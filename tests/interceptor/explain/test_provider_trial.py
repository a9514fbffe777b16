"""“Test” of a provider: one free question, with the credential, and a verdict in one sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.test import Client

from providers.models import AuditEntry, Provider
from tests.patience import PATIENCE_S
from tests.rows import make_provider


class Vendor(BaseHTTPRequestHandler):
    """Lists models to those who show the key."""

    seen: list[tuple[str, str]]
    status: int

    def do_GET(self) -> None:
        key = self.headers.get("x-api-key", "")
        type(self).seen.append((self.path, key))
        status = type(self).status if key == "the-right-key" else 401
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def vendor() -> Iterator[HTTPServer]:
    Vendor.seen, Vendor.status = [], 200
    with HTTPServer(("127.0.0.1", 0), Vendor) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE_S)


def provider_at(server: HTTPServer, **fields: Any) -> Provider:
    place = {"scheme": "http", "host": "127.0.0.1", "port": server.server_port}
    key = {"auth_type": "key", "auth_header": "x-api-key"}
    made: Provider = make_provider("vendor", **{**place, **key, **fields})
    return made


def said(client: Client, provider: Provider) -> str:
    return client.post(f"/providers/{provider.pk}/test/", follow=True).content.decode()


@pytest.mark.parametrize(
    "key, status, sentence",
    [
        ("the-right-key", 200, "took the credential. The question was its list of models"),
        ("another-key-123", 200, "refused the credential (status 401)"),
        ("the-right-key", 404, "answered 404, which says nothing about the credential"),
    ],
)
def test_the_vendor_is_asked_with_the_credential(
    admin: Client, vendor: HTTPServer, key: str, status: int, sentence: str
) -> None:
    Vendor.status = status
    page = said(admin, provider_at(vendor, secret=key))
    assert sentence in page
    assert key not in page
    assert Vendor.seen == [("/v1/models", key)]
    assert AuditEntry.objects.filter(action="test").exists()


def test_a_missing_key_is_a_state_and_nothing_is_sent(admin: Client, vendor: HTTPServer) -> None:
    provider = provider_at(vendor)
    assert "ccproxy setkey vendor" in said(admin, provider)
    assert Vendor.seen == []
    board = admin.get("/admin/providers/provider/auth-board/").content.decode()
    assert f'/admin/providers/provider/{provider.pk}/change/#id_new_secret"' in board


def test_a_vendor_that_is_away_is_named(admin: Client, vendor: HTTPServer) -> None:
    provider = provider_at(vendor, secret="the-right-key")
    vendor.shutdown()
    vendor.server_close()
    assert "vendor (127.0.0.1) cannot be reached" in said(admin, provider)


def test_a_disabled_provider_is_not_asked(admin: Client, vendor: HTTPServer) -> None:
    provider = provider_at(vendor, secret="the-right-key", enabled=False)
    assert "vendor is disabled" in said(admin, provider)
    assert Vendor.seen == []


def test_looking_at_the_address_asks_nobody(admin: Client, vendor: HTTPServer) -> None:
    provider = provider_at(vendor, secret="the-right-key")
    assert admin.get(f"/providers/{provider.pk}/test/").status_code == 405
    assert Vendor.seen == []
