"""Logins by OAuth: their kinds, files and settings, and what endpoints answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from providers.auth.base import OAuthAuth
from providers.auth.oauth import MAX_LIFETIME_S, Login
from providers.auth.oauth_kinds import BadOAuthConfig, oauth_auth
from tests.fakes.token_endpoint import TokenEndpoint, jwt
from tests.providers.auth.oauth_bench import NOW, Bench

pytestmark = pytest.mark.usefixtures("without_pauses")


async def test_it_works(bench: Bench) -> None:
    old = bench.login(expires_in_s=59, scopes=["a"], subscriptionType="max")
    bench.file.chmod(0o644)
    new = await bench.token()
    assert new != old
    assert bench.endpoint.is_good(new)
    assert bench.endpoint.requests == [
        {
            "grant_type": "refresh_token",
            "client_id": "client-1",
            "client_secret": "client-secret-1",
            "refresh_token": "refresh-0001-" + "r" * 24,
        }
    ]
    assert bench.endpoint.content_types == ["application/x-www-form-urlencoded"]
    assert bench.content == {
        "access_token": new,
        "refresh_token": "refresh-0002-" + "r" * 24,
        "expires_at": (NOW + 3600) * 1000,
        "scopes": ["a"],
        "subscriptionType": "max",
    }
    assert bench.file.stat().st_mode & 0o777 == 0o600
    assert {new, old, "refresh-0002-" + "r" * 24, "client-secret-1"} <= bench.secrets.values
    assert await bench.token() == new
    assert len(bench.endpoint.requests) == 1


async def test_a_good_token_is_used_as_it_is(bench: Bench) -> None:
    token = bench.login(expires_in_s=61)
    assert await asyncio.gather(*(bench.token() for _ in range(3))) == [token] * 3
    assert bench.endpoint.requests == []


async def test_the_vendors_own_paths_and_siblings(tmp_path: Path, endpoint: TokenEndpoint) -> None:
    paths = {
        "access_path": "claudeAiOauth.accessToken",
        "refresh_path": "claudeAiOauth.refreshToken",
        "expiry_path": "claudeAiOauth.expiresAt",
    }
    bench = Bench(tmp_path, endpoint, **paths, body_format="json")
    access, refresh = endpoint.issue()
    inner = {
        "accessToken": access,
        "refreshToken": refresh,
        "expiresAt": 5,
        "scopes": ["user:inference"],
    }
    bench.file.write_text(
        json.dumps({"claudeAiOauth": inner, "mcpOAuth": {"x": {"y": 1}}}, indent=2)
    )
    new = await bench.token()
    assert bench.content["claudeAiOauth"] == {
        "accessToken": new,
        "refreshToken": endpoint._refresh,
        "expiresAt": (NOW + 3600) * 1000,
        "scopes": ["user:inference"],
    }
    assert bench.content["mcpOAuth"] == {"x": {"y": 1}}
    assert endpoint.content_types == ["application/json"]
    assert bench.file.read_text().startswith("{\n  ")


async def test_google_keeps_a_refresh_token_that_the_answer_leaves_out(tmp_path: Path) -> None:
    with TokenEndpoint(rotate=False, expires_in=None) as endpoint:
        bench = Bench(tmp_path, endpoint, "google_oauth")
        access, refresh = endpoint.issue()
        bench.file.write_text(
            json.dumps({"access_token": access, "refresh_token": refresh, "expiry_date": 1})
        )
        new = await bench.token()
        assert new != access
        assert bench.content == {
            "access_token": new,
            "refresh_token": refresh,
            "expiry_date": (NOW + 3600) * 1000,
        }


async def test_google_says_that_its_client_secret_is_missing(
    tmp_path: Path, endpoint: TokenEndpoint
) -> None:
    bench = Bench(tmp_path, endpoint, "google_oauth")
    bench.login()
    bench.auth = bench.auth.model_copy(update={"client_secret": ""})
    assert "client secret" in await bench.failure()
    assert endpoint.requests == []


CLAIM = "https://api.openai.com/auth"


async def test_codex(tmp_path: Path) -> None:
    with TokenEndpoint(as_jwt=True) as endpoint:
        bench = Bench(tmp_path, endpoint, "codex_oauth")
        _, refresh = endpoint.issue()
        old_id = jwt(**{CLAIM: {"chatgpt_account_id": "acc-old"}})
        new_id = jwt(
            **{CLAIM: {"chatgpt_account_id": "acc-new", "chatgpt_account_is_fedramp": True}}
        )
        endpoint.extra = {"id_token": new_id}
        tokens = {
            "access_token": jwt(exp=NOW - 1),
            "refresh_token": refresh,
            "id_token": old_id,
            "account_id": "acc",
        }
        bench.file.write_text(
            json.dumps({"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "x"})
        )
        credential = await bench.resolver.resolve("claude", bench.auth)
        assert endpoint.content_types == ["application/json"]
        assert endpoint.is_good(credential.token)
        assert dict(credential.companions) == {
            "ChatGPT-Account-ID": "acc-new",
            "X-OpenAI-Fedramp": "true",
        }
        assert bench.content["tokens"]["id_token"] == new_id
        assert bench.content["tokens"]["account_id"] == "acc-new"
        assert bench.content["last_refresh"] == "2027-01-15T08:00:00.000000Z"
        assert "OPENAI_API_KEY" in bench.content


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"account_id": "a"}, "a"),
        ({"id_token": jwt(**{CLAIM: {"chatgpt_account_id": "b"}})}, "b"),
        (
            {
                "id_token": "no.jwt",
                "access_token": jwt(exp=9e9, **{CLAIM: {"chatgpt_account_id": "c"}}),
            },
            "c",
        ),
        ({"account_id": "evil\r\nx: y"}, None),
    ],
)
async def test_the_account_of_codex(
    tmp_path: Path, endpoint: TokenEndpoint, tokens: dict[str, str], expected: str | None
) -> None:
    bench = Bench(tmp_path, endpoint, "codex_oauth")
    bench.file.write_text(
        json.dumps({"tokens": {"access_token": jwt(exp=9e9), "refresh_token": "r", **tokens}})
    )
    companions = dict((await bench.resolver.resolve("claude", bench.auth)).companions)
    assert companions.get("ChatGPT-Account-ID") == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "log in first"),
        ("", "not JSON"),
        ("[]", "no JSON object"),
        ("{}", "log in first"),
        ("x" * 2**21, "1 MB"),
    ],
)
async def test_a_file_that_is_of_no_use_says_so(
    bench: Bench, content: str | None, says: str
) -> None:
    if content is not None:
        bench.file.write_text(content)
    assert says in await bench.failure()


async def test_a_link_to_the_file_stays_a_link(bench: Bench, tmp_path: Path) -> None:
    bench.login(expires_in_s=0)
    (tmp_path / "real").mkdir()
    bench.file.rename(tmp_path / "real" / "login.json")
    bench.file.symlink_to(tmp_path / "real" / "login.json")
    new = await bench.token()
    assert bench.file.is_symlink()
    assert bench.content["access_token"] == new
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == [
        ".login.json.ccproxy.lock",
        "login.json",
    ]


async def test_redirects_of_the_endpoint_are_not_followed(bench: Bench) -> None:
    bench.login(expires_in_s=-9999)
    bench.endpoint.status = 307
    assert "307" in await bench.failure()


@pytest.mark.parametrize(
    ("kind", "config", "says"),
    [
        ("google_oauth", {}, "client_id"),
        ("codex_oauth", {"client_secret": "x"}, "client_secret"),
        ("codex_oauth", {"endpoint": "http://auth.example/token"}, "https://"),
        ("codex_oauth", {"endpoint": "ftp://auth.example/token"}, "web address"),
        ("codex_oauth", {"authorize_url": "javascript:alert(1)"}, "web address"),
        ("codex_oauth", {"redirect_port": 99999}, "redirect_port"),
        ("codex_oauth", {"default_expires_in_seconds": 0}, "default_expires_in_seconds"),
        ("codex_oauth", {"file_path": ""}, "file_path"),
        ("codex_oauth", {"endpoint": "https://u:p@h/"}, "web address"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(
    kind: str, config: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadOAuthConfig, match=says):
        oauth_auth(kind, config)


def test_nothing_secret_is_printed(bench: Bench) -> None:
    login = Login("access-1234567890", "refresh-1234567890", 1.0, (("a", "companion-1234"),))
    assert "1234" not in repr(login)
    assert bench.auth.client_secret not in repr(bench.auth)
    assert isinstance(bench.auth, OAuthAuth)


@pytest.mark.parametrize(
    "lifetime",
    [float("inf"), float("-inf"), float("nan"), 10**400, 1e308, "9" * 5000, "9" * 12, "\u0663",
     -1, 0, [], {"a": 1}, True, None],
    ids=str,
)  # fmt: skip
async def test_no_lifetime_loses_a_token(bench: Bench, lifetime: Any) -> None:
    """The endpoint has exchanged the old token already: the new one must reach the file."""
    bench.login(expires_in_s=-10)
    bench.endpoint.expires_in = None
    bench.endpoint.extra = {"expires_in": lifetime}
    new = await bench.token()
    assert bench.endpoint.is_good(new)
    assert bench.content["access_token"] == new
    assert NOW * 1000 < bench.content["expires_at"] <= (NOW + MAX_LIFETIME_S) * 1000
    assert await bench.token() == new
    assert len(bench.endpoint.requests) == 1


@pytest.mark.parametrize("compress", [False, True])
async def test_an_endless_answer_is_not_read_to_its_end(bench: Bench, compress: bool) -> None:
    bench.login(expires_in_s=-9999)
    bench.endpoint.compress = compress
    bench.endpoint.extra = {"padding": "x" * (64 << 20)}
    assert "answered without an access token" in await bench.failure()


async def test_a_compressed_answer_is_read(bench: Bench) -> None:
    bench.login(expires_in_s=-10)
    bench.endpoint.compress = True
    assert bench.endpoint.is_good(await bench.token())
