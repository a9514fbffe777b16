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
    """Lists models to those who show the key, or to anyone."""

    seen: list[tuple[str, str]]
    status: int
    body: bytes
    is_open: bool

    def do_GET(self) -> None:
        key = self.headers.get("x-api-key", "")
        type(self).seen.append((self.path, key))
        may_see = type(self).is_open or key == "the-right-key"
        body = type(self).body if may_see else b""
        self.send_response(type(self).status if may_see else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def vendor() -> Iterator[HTTPServer]:
    Vendor.seen, Vendor.status, Vendor.is_open = [], 200, False
    Vendor.body = b'{"data": [{"id": "m"}]}'
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
    assert Vendor.seen[0] == ("/v1/models", key)
    assert set(Vendor.seen[1:]) <= {("/v1/models", "")}
    assert AuditEntry.objects.filter(action="test").exists()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "no"}', b'{"data": {}}', b"[" * 9])
def test_a_page_that_is_no_list_proves_nothing(
    admin: Client, vendor: HTTPServer, body: bytes
) -> None:
    Vendor.body = body
    page = said(admin, provider_at(vendor, secret="the-right-key"))
    assert "answered with something else" in page
    assert "took the credential" not in page


@pytest.mark.parametrize("body", [b'{"data": []}', b'\xef\xbb\xbf{"models": []}', b'["m"]'])
def test_every_vendors_list_is_one(admin: Client, vendor: HTTPServer, body: bytes) -> None:
    Vendor.body = body
    assert "took the credential" in said(admin, provider_at(vendor, secret="the-right-key"))


def test_a_list_for_anyone_says_nothing_about_a_key(admin: Client, vendor: HTTPServer) -> None:
    Vendor.is_open = True
    page = said(admin, provider_at(vendor, secret="a-wrong-key-123"))
    assert "lists its models without any credential" in page
    assert "took the credential" not in page
    assert Vendor.seen == [("/v1/models", "a-wrong-key-123"), ("/v1/models", "")]


def test_a_provider_without_a_credential_answers(admin: Client, vendor: HTTPServer) -> None:
    Vendor.is_open = True
    page = said(admin, provider_at(vendor, auth_type="none"))
    assert "asks for no credential" in page


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
