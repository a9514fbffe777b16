"""Logging in with a browser: authorization code with PKCE and a callback on this machine (RFC 6749,
7636, 8252).
"""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from providers.auth.base import OAuthAuth

_PAGE = "<!doctype html><meta charset=utf-8><title>ccproxy</title><p>{}</p>"


class LoginFailed(Exception):
    """The login did not come to its end; one sentence."""


@dataclass(frozen=True)
class LoginAttempt:
    """The secrets that identify one login."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def challenge(self) -> str:
        """The S256 code challenge (RFC 7636, 4.2)."""
        return str(create_s256_code_challenge(self.verifier))

    def url(self, auth: OAuthAuth, redirect_uri: str) -> str:
        """Return the address for the browser. A query in the configured address stays."""
        query = {
            "response_type": "code",
            "client_id": auth.client_id,
            "redirect_uri": redirect_uri,
            **({"scope": auth.scopes} if auth.scopes else {}),
            "state": self.state,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        parts = urlsplit(auth.authorize_url)
        kept = [
            pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in query
        ]
        return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()])))

    def fields(self, auth: OAuthAuth, code: str, redirect_uri: str) -> dict[str, str]:
        """Return the fields of the request to the token endpoint."""
        return {
            "grant_type": "authorization_code",
            "client_id": auth.client_id,
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": self.verifier,
        }


class CallbackServer:
    """Waits on loopback for the browser to come back. Use it as a context manager.

    It listens on IPv4 and, where there is one, IPv6: browsers differ in what `localhost` is to
    them.
    """

    def __init__(self, auth: OAuthAuth, attempt: LoginAttempt) -> None:
        self._path, self._state = auth.redirect_path, attempt.state
        self._done = threading.Event()
        self._code, self._error = "", ""
        handler = self._handler()
        try:
            first = HTTPServer(("127.0.0.1", auth.redirect_port), handler)
        except OSError as exc:
            raise LoginFailed(
                f"port {auth.redirect_port} cannot be used ({exc.strerror}); is a login running?"
            ) from None
        self.port = first.server_address[1]
        self._servers = [first]
        if socket.has_ipv6:
            # Without IPv6, or with the port taken there, the browser falls back to IPv4.
            with suppress(OSError):
                self._servers.append(_Server6(("::1", self.port), handler))

    @property
    def redirect_uri(self) -> str:
        """The address to which the vendor sends the browser back."""
        return f"http://localhost:{self.port}{self._path}"

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
            ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def wait(self, timeout_s: float) -> str:
        """Wait for the browser and return the authorization code.

        Raises:
            LoginFailed: it was refused, or did not come in time.
        """
        if not self._done.wait(timeout_s):
            raise LoginFailed(f"no login came within {timeout_s:g} s; start again")
        if self._error:
            raise LoginFailed(f"the login was refused: {self._error}")
        return self._code

    def _receive(self, target: str) -> tuple[int, str]:
        """Take a callback; one that does not belong to this login changes nothing."""
        parts = urlsplit(target)
        values = {name: found[0] for name, found in parse_qs(parts.query).items()}
        if parts.path != self._path:
            return 404, "There is nothing here."
        if self._done.is_set() or not hmac.compare_digest(
            values.get("state", "").encode(), self._state.encode()
        ):
            return 400, "This does not belong to the login that is under way."
        self._code = values.get("code", "")
        if not self._code:
            text = values.get("error_description") or values.get("error") or "no code came"
            self._error = "".join(c for c in text if c.isprintable())[:200]
        self._done.set()
        if self._error:
            return 200, "The login was refused. The terminal says more."
        return 200, "You are logged in. You can close this window."

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                status, text = receive(self.path)
                page = _PAGE.format(text).encode()
                self.send_response(status)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(page)))
                self.send_header("content-security-policy", "default-src 'none'")
                self.send_header("referrer-policy", "no-referrer")
                self.send_header("cache-control", "no-store")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: Any) -> None:
                """Requests hold the code: nothing is printed."""

        return Handler


class _Server6(HTTPServer):
    address_family = socket.AF_INET6
