"""A scripted token endpoint on loopback: rotating refresh tokens, and the whole family is void when
one is used twice.

It also says whether an access token is good, so a scripted provider can refuse the others.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from tests.patience import PATIENCE_S


def jwt(**payload: Any) -> str:
    """An unsigned token with this payload."""
    parts = [{"alg": "none"}, payload]
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts
        )
        + ".c2ln"
    )


class TokenEndpoint:
    """The server. Use it as a context manager.

    `before(fields)` and `after(fields)` run around the exchange of the token, before the answer is
    sent.
    """

    def __init__(
        self, *, expires_in: int | None = 3600, rotate: bool = True, as_jwt: bool = False
    ) -> None:
        self.expires_in, self.rotate, self.as_jwt = expires_in, rotate, as_jwt
        self.requests: list[dict[str, Any]] = []
        self.content_types: list[str] = []
        self.refused: list[str] = []
        """Errors it answered."""
        self.status: int | None = None
        """Answer everything with this status."""
        self.before: Callable[[dict[str, Any]], None] = lambda fields: None
        self.after: Callable[[dict[str, Any]], None] = lambda fields: None
        self.drop_answer = False
        """Exchange the token, then close the connection without an answer."""
        self.extra: dict[str, Any] = {}
        """Added to answers."""
        self.compress = False
        """Send answers in gzip, although nobody asked for that."""
        self.echo = False
        """Repeat everything that was sent in errors, as careless servers do."""
        self.spell: Callable[[str, int], str] = lambda kind, number: (
            f"{kind}-{number:04d}-{kind[0] * 24}"
        )
        """How the `number`-th token of a kind (access, refresh) reads."""
        self.code = ""
        """An authorization code that may be exchanged, with `challenge`, its PKCE code
        challenge.
        """
        self.challenge = ""
        self._guard = threading.Lock()
        self._number = 0
        self._refresh = ""
        self._used: set[str] = set()
        self._good: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def issue(self) -> tuple[str, str]:
        """A new pair (access, refresh) that is the family's only good one, as after a login."""
        with self._guard:
            return self._pair()

    def is_good(self, header: str | None) -> bool:
        """True for the header value of an access token that may be used."""
        return (header or "").removeprefix("Bearer ") in self._good

    def revoke_access(self) -> None:
        """Refuse every access token from now on; the refresh token stays good."""
        with self._guard:
            self._good.clear()

    def _pair(self) -> tuple[str, str]:
        self._number += 1
        payload = {
            "n": self._number,
            "iat": int(time.time()),
            "exp": int(time.time()) + (self.expires_in or 3600),
        }
        access = jwt(**payload) if self.as_jwt else self.spell("access", self._number)
        if self.rotate or not self._refresh:
            self._used.add(self._refresh)
            self._refresh = self.spell("refresh", self._number)
        self._good = {access}
        return access, self._refresh

    def _exchange(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self._guard:
            self.requests.append(fields)
            if self.status is not None:
                return self.status, {"error": "temporarily_unavailable"}
            if fields.get("grant_type") == "authorization_code":
                return self._login(fields)
            if fields.get("refresh_token") != self._refresh or not self._refresh:
                if fields.get("refresh_token") in self._used:
                    self._good, self._refresh = set(), ""
                self.refused.append("invalid_grant")
                return 400, {"error": "invalid_grant"}
            return 200, self._answer()

    def _login(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        from hashlib import sha256

        digest = sha256(fields.get("code_verifier", "").encode()).digest()
        if (
            fields.get("code") != self.code
            or base64.urlsafe_b64encode(digest).decode().rstrip("=") != self.challenge
        ):
            self.refused.append("invalid_grant")
            return 400, {"error": "invalid_grant"}
        return 200, {**self._answer(), "refresh_token": self._refresh}

    def _answer(self) -> dict[str, Any]:
        access, refresh = self._pair()
        answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer", **self.extra}
        if self.rotate:
            answer["refresh_token"] = refresh
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                content_type = self.headers.get("content-type") or ""
                endpoint.content_types.append(content_type)
                fields = (
                    json.loads(body) if "json" in content_type else dict(parse_qsl(body.decode()))
                )
                endpoint.before(fields)
                status, answer = endpoint._exchange(fields)
                if endpoint.echo and status >= 400:
                    answer["error_description"] = f"cannot take {json.dumps(fields)}"
                endpoint.after(fields)
                if endpoint.drop_answer:
                    self.close_connection = True
                    return
                payload = json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    if endpoint.compress:
                        payload = gzip.compress(payload)
                        self.send_header("content-encoding", "gzip")
                    self.send_header("content-length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload)
                except OSError:
                    pass  # the one who asked was killed

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
