"""`ccproxy loginprovider`, with the test as the browser."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from providers.models import CredentialState
from tests.fakes.token_endpoint import TokenEndpoint
from tests.patience import PATIENCE_S
from tests.rows import make_provider

pytestmark = pytest.mark.django_db(transaction=True)


class Login:
    """The command on a thread, as far as the address it prints."""

    def __init__(self, *arguments: str) -> None:
        self.out, self.error = io.StringIO(), ""
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()
        while "http" not in self.out.getvalue():
            assert self._thread.is_alive(), self.error
            self._thread.join(0.02)
        self.url = re.findall(r"^  (http\S+)$", self.out.getvalue(), re.M)[0]
        self.query = {
            name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()
        }

    def _run(self, *arguments: str) -> None:
        try:
            call_command(
                "loginprovider", *arguments, "--no-browser", "--timeout", "10", stdout=self.out
            )
        except CommandError as exc:
            self.error = str(exc)
        finally:
            connection.close()

    def come_back(self, **query: str) -> httpx.Response:
        return httpx.get(
            self.query["redirect_uri"].replace("localhost", "127.0.0.1"),
            params=query,
            trust_env=False,
        )

    def end(self) -> str:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


@pytest.fixture
def begin(endpoint: TokenEndpoint, tmp_path: Path) -> Callable[[], Login]:
    config = {
        "file_path": str(tmp_path / "logins" / "a.json"),
        "endpoint": endpoint.url,
        "client_id": "client-1",
        "authorize_url": "https://auth.example/authorize?access_type=offline",
        "scopes": "one two",
        "redirect_path": "/auth/callback",
    }
    make_provider("a", auth_type="anthropic_oauth", auth_config=config)
    return lambda: Login("a")


def test_it_works(begin: Callable[[], Login], endpoint: TokenEndpoint, tmp_path: Path) -> None:
    login = begin()
    assert login.url.startswith("https://auth.example/authorize?access_type=offline&")
    assert login.query["redirect_uri"].startswith("http://localhost:")
    assert login.query["redirect_uri"].endswith("/auth/callback")
    assert (login.query["client_id"], login.query["scope"]) == ("client-1", "one two")
    assert (login.query["response_type"], login.query["code_challenge_method"]) == ("code", "S256")
    endpoint.code, endpoint.challenge = "code-1", login.query["code_challenge"]
    assert login.come_back(code="code-1", state="wrong").status_code == 400
    assert login.come_back(code="code-1", state=login.query["state"]).status_code == 200
    assert login.end() == ""
    assert "Logged in" in login.out.getvalue()
    sent = endpoint.requests[0]
    assert (sent["grant_type"], sent["redirect_uri"]) == (
        "authorization_code",
        login.query["redirect_uri"],
    )
    file = tmp_path / "logins" / "a.json"
    document = json.loads(file.read_text())
    assert endpoint.is_good(document["access_token"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert CredentialState.objects.get().expires_at is not None
    assert document["access_token"] not in login.out.getvalue()


def test_a_refusal_is_told(begin: Callable[[], Login], endpoint: TokenEndpoint) -> None:
    login = begin()
    login.come_back(
        error="access_denied", error_description="no, thanks\x1b[2J", state=login.query["state"]
    )
    assert login.end() == "the login was refused: no, thanks[2J"
    assert endpoint.requests == []


def test_a_code_that_the_endpoint_refuses_is_told(
    begin: Callable[[], Login], tmp_path: Path
) -> None:
    login = begin()
    login.come_back(code="guessed", state=login.query["state"])
    assert "invalid_grant" in login.end()
    assert not (tmp_path / "logins" / "a.json").exists()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"auth_type": "none"}, "has no login"),
        ({"auth_type": "codex_oauth"}, "has no authorize_url"),
        (
            {
                "auth_type": "google_oauth",
                "auth_config": {
                    "client_id": "c",
                    "authorize_url": "https://auth.example/authorize",
                },
            },
            "needs its client secret",
        ),
    ],
)
def test_what_cannot_log_in_says_why(fields: dict[str, object], says: str) -> None:
    make_provider("b", **fields)
    with pytest.raises(CommandError, match=says):
        call_command("loginprovider", "b")


def test_an_unknown_provider_names_the_known_ones() -> None:
    make_provider("b")
    with pytest.raises(CommandError, match="there are: b"):
        call_command("loginprovider", "c")
