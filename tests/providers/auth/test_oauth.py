from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from providers.auth import renewal, resolve
from providers.auth.base import OAuthAuth
from providers.auth.oauth import MAX_LIFETIME_S, Login, fingerprint
from providers.auth.oauth_kinds import BadOAuthConfig, oauth_auth
from providers.auth.refresh_lock import InMemoryLogins, LoginState
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.base.errors import AuthConfigError
from providers.base.keyring import Keyring
from tests.environment import ROOT
from tests.fakes.token_endpoint import TokenEndpoint, jwt
from tests.patience import PATIENCE_S

NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "SETTLE_S", 0.15)
    monkeypatch.setattr(renewal, "SETTLE_POLL_S", 0.01)
    monkeypatch.setattr(resolve, "FAILURE_TTL_S", 0.0)


class Bench:
    """A login file, its endpoint, and as many processes' resolvers as a test wants."""

    def __init__(
        self, folder: Path, endpoint: TokenEndpoint, kind: str = "anthropic_oauth", **config: Any
    ) -> None:
        self.file, self.endpoint = folder / "login.json", endpoint
        self.keyring = Keyring.open(folder / "secret.key")
        self.shared, self.clock, self.secrets = InMemoryLogins(), Clock(), SecretRegistry()
        settings = {
            "file_path": str(self.file),
            "endpoint": endpoint.url,
            "client_id": "client-1",
            **config,
        }
        self.auth = oauth_auth(
            kind, settings, client_secret=self.keyring.encrypt("client-secret-1")
        )
        self.resolver = self.another()

    def another(self) -> CredentialResolver:
        made = CredentialResolver(
            open_keyring=lambda: self.keyring,
            secrets=self.secrets,
            shared=self.shared,
            cache_ttl_s=0,
        )
        made.logins._files.now = self.clock
        return made

    def login(self, expires_in_s: float = 3600, **more: Any) -> str:
        access, refresh = self.endpoint.issue()
        tokens = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (self.clock.now + expires_in_s) * 1000,
        }
        self.file.write_text(json.dumps({**tokens, **more}))
        return access

    @property
    def content(self) -> Any:
        return json.loads(self.file.read_text())

    async def token(self) -> str:
        return (await self.resolver.resolve("claude", self.auth)).token

    async def refresh(self, rejected: str) -> str | None:
        found = await self.resolver.refresh("claude", self.auth, rejected)
        return found.token if found else None

    async def failure(self, rejected: str = "") -> str:
        with pytest.raises(AuthConfigError) as caught:
            await (self.refresh(rejected) if rejected else self.token())
        assert "claude" in str(caught.value)
        return str(caught.value)


@pytest.fixture
def bench(tmp_path: Path, endpoint: TokenEndpoint) -> Bench:
    return Bench(tmp_path, endpoint)


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


async def test_a_hundred_who_ask_at_once_renew_once(bench: Bench) -> None:
    rejected = bench.login()
    processes = [bench.another() for _ in range(4)]
    ask = [processes[n % 4].refresh("claude", bench.auth, rejected) for n in range(100)]
    found = await asyncio.gather(*ask)
    assert len({c.token for c in found if c}) == 1
    assert None not in found
    assert len(bench.endpoint.requests) == 1
    assert bench.endpoint.refused == []


async def test_a_renewal_by_somebody_else_is_seen_instead_of_made(bench: Bench) -> None:
    rejected = bench.login()
    theirs = bench.login()
    assert await bench.refresh(rejected) == theirs
    assert bench.endpoint.requests == []


async def test_who_renews_right_now_is_waited_for(bench: Bench) -> None:
    """The refused token's successor is on its way into the file; using the old refresh token would
    end the login.
    """
    rejected = bench.login()
    before = bench.file.read_text()
    theirs = bench.login()
    after = bench.file.read_text()
    bench.file.write_text(before)
    asking = asyncio.create_task(bench.refresh(rejected))
    await asyncio.sleep(0.05)
    bench.file.write_text(after)
    assert await asking == theirs
    assert bench.endpoint.requests == []


async def test_who_won_a_race_for_the_same_token_is_followed(bench: Bench) -> None:
    rejected = bench.login()
    # a kind server: the loser is refused, the winner's pair stays good
    bench.endpoint._used.clear()

    def theirs_first(_: object) -> None:
        bench.endpoint._used.clear()
        access, refresh = bench.endpoint.issue()
        bench.endpoint._used.clear()
        document = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_at": (NOW + 999) * 1000,
        }
        bench.file.write_text(json.dumps(document))

    bench.endpoint.before = theirs_first
    found = await bench.refresh(rejected)
    assert bench.endpoint.refused == ["invalid_grant"]
    assert bench.endpoint.is_good(found)


async def test_a_login_that_is_over_says_so_and_asks_no_more(bench: Bench) -> None:
    rejected = bench.login()
    bench.endpoint._refresh = "another"
    assert "log in again" in await bench.failure(rejected)
    assert "log in again" in await bench.failure(rejected)
    assert len(bench.endpoint.requests) == 1
    rejected = bench.login()
    assert bench.endpoint.is_good(await bench.refresh(rejected))
    assert bench.content["access_token"] != rejected


async def test_a_failing_endpoint_is_left_alone_for_a_while(bench: Bench) -> None:
    bench.login(expires_in_s=-4000)
    bench.endpoint.status = 503
    assert "503" in await bench.failure()
    for _ in range(5):
        assert "next try in 30 s" in await bench.failure()
    assert len(bench.endpoint.requests) == 1
    bench.clock.now += 31
    await bench.failure()
    assert "next try in 60 s" in await bench.failure()
    assert len(bench.endpoint.requests) == 2
    bench.endpoint.status = None
    bench.clock.now += 61
    assert bench.endpoint.is_good(await bench.token())


async def test_while_renewing_fails_a_token_that_may_be_good_is_used(bench: Bench) -> None:
    token = bench.login(expires_in_s=-200)
    bench.endpoint.status = 500
    assert await bench.token() == token


async def test_a_new_token_that_is_refused_too_is_not_renewed_again(bench: Bench) -> None:
    new = await bench.refresh(bench.login())
    assert new is not None
    assert "moment ago" in await bench.failure(new)
    bench.clock.now += 31
    newer = await bench.refresh(new)
    assert newer not in (None, new)
    assert len(bench.endpoint.requests) == 2
    bench.resolver.logins.accept(newer or "")
    assert bench.endpoint.is_good(await bench.refresh(newer or ""))


async def test_a_wrong_clock_does_not_make_new_tokens_old(tmp_path: Path) -> None:
    with TokenEndpoint(as_jwt=True) as endpoint:
        bench = Bench(tmp_path, endpoint, "codex_oauth")
        access, refresh = endpoint.issue()
        bench.clock.now = 4_000_000_000.0
        bench.file.write_text(
            json.dumps({"tokens": {"access_token": access, "refresh_token": refresh}})
        )
        tokens = [await bench.token() for _ in range(3)]
        assert len(set(tokens)) == 1
        assert len(endpoint.requests) == 1


async def test_another_machine_takes_the_newer_pair_over(bench: Bench, tmp_path: Path) -> None:
    rejected = bench.login(note="of machine 1")
    behind = bench.content
    new = await bench.refresh(rejected)
    bench.clock.now += 100
    newer = await bench.refresh(new or "")
    bench.file.write_text(json.dumps({**behind, "note": "of machine 2"}))
    bench.resolver = bench.another()
    assert await bench.refresh(rejected) == newer
    assert bench.content["access_token"] == newer
    assert bench.content["note"] == "of machine 2"
    assert len(bench.endpoint.requests) == 2


async def test_another_account_on_another_machine_is_left_alone(bench: Bench) -> None:
    bench.shared.states[f"anthropic_oauth:{bench.file}"] = LoginState(
        tokens=json.dumps(
            {
                "access_token": "theirs-0123456789",
                "refresh_token": "their-refresh",
                "expires_at": 9e15,
            }
        ),
        current=fingerprint("their-refresh"),
        ancestors=(fingerprint("their-older"),),
        machine="elsewhere",
    )
    rejected = bench.login()
    found = await bench.refresh(rejected)
    assert bench.endpoint.is_good(found)
    bench.file.unlink()
    bench.shared.states.clear()
    assert "log in first" in await bench.failure()


async def test_a_machine_without_a_login_takes_over_another_ones(bench: Bench) -> None:
    tokens = {
        "access_token": "theirs-0123456789",
        "refresh_token": "their-refresh",
        "expires_at": 9e15,
    }
    bench.shared.states[f"anthropic_oauth:{bench.file}"] = LoginState(
        tokens=json.dumps(tokens), machine="elsewhere"
    )
    assert await bench.token() == "theirs-0123456789"
    assert bench.content == tokens


async def test_a_folder_that_cannot_be_written_is_noticed_before_the_token_is_spent(
    bench: Bench,
) -> None:
    if os.geteuid() == 0:
        bench.file.parent.joinpath("f").touch()
        bench.auth = bench.auth.model_copy(
            update={"file_path": str(bench.file.parent / "f" / "login.json")}
        )
        with pytest.raises(AuthConfigError):
            await bench.token()
    else:
        rejected = bench.login()
        bench.file.parent.chmod(0o500)
        try:
            assert "cannot be written" in await bench.failure(rejected)
        finally:
            bench.file.parent.chmod(0o700)
    assert bench.endpoint.requests == []


async def test_tokens_that_a_full_disk_does_not_take_are_kept_and_written_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected = bench.login()
    sync = os.fsync

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    new = await bench.refresh(rejected)
    assert bench.endpoint.is_good(new)
    assert bench.content["access_token"] == rejected
    assert await bench.token() == new
    monkeypatch.setattr(os, "fsync", sync)
    bench.clock.now += 3590
    newest = await bench.token()
    assert bench.content["access_token"] == newest != new
    assert bench.endpoint.refused == []


async def test_who_asked_may_leave_without_cutting_the_renewal_off(bench: Bench) -> None:
    rejected = bench.login()
    asked, gate = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        asked.set()
        gate.wait(PATIENCE_S)

    bench.endpoint.after = hold
    asking = asyncio.create_task(bench.refresh(rejected))
    assert await asyncio.to_thread(asked.wait, 5)
    asking.cancel()
    gate.set()
    await bench.resolver.logins.drain(5)
    assert bench.endpoint.is_good(bench.content["access_token"])


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


@pytest.mark.parametrize("step", ["before send", "after answer", "before write", "after write"])
async def test_a_refresher_that_is_killed_leaves_something_usable(bench: Bench, step: str) -> None:
    rejected = bench.login(expires_in_s=10**9)
    settings = {
        "file_path": str(bench.file),
        "endpoint": bench.endpoint.url,
        "client_id": "client-1",
    }
    program = [sys.executable, "-m", "tests.providers.auth.killed_refresh"]
    process = subprocess.Popen(  # noqa: ASYNC220 - it only starts here; waiting for it is done on a thread
        [*program, json.dumps(settings), step, rejected],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    if step == "before send":
        bench.endpoint.before = lambda _: process.kill()
        bench.endpoint.drop_answer = True
        exchange = bench.endpoint._exchange
        bench.endpoint._exchange = lambda fields: (0, {})  # type: ignore[method-assign]
    elif step == "after answer":
        bench.endpoint.after = lambda _: process.kill()
    assert await asyncio.to_thread(process.wait, PATIENCE_S) in (9, -9)
    bench.endpoint.before = bench.endpoint.after = lambda _: None
    bench.endpoint.drop_answer = False
    if step == "before send":
        bench.endpoint._exchange = exchange  # type: ignore[method-assign]
    assert bench.content["access_token"]
    if step in ("after answer", "before write"):
        assert "log in again" in await bench.failure(rejected)
    else:
        assert bench.endpoint.is_good(await bench.refresh(rejected))
    leftovers = [p.name for p in bench.file.parent.iterdir() if p.name.endswith(".tmp")]
    assert leftovers == []
    await bench.refresh(bench.login())


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
