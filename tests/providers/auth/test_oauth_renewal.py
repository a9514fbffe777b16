"""Renewals by OAuth: once for all who ask, over failures, machines and killed processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from providers.auth.oauth import fingerprint
from providers.auth.refresh_lock import LoginState
from providers.base.errors import AuthConfigError
from tests.environment import ROOT
from tests.fakes.token_endpoint import TokenEndpoint
from tests.patience import PATIENCE_S
from tests.providers.auth.oauth_bench import NOW, Bench

pytestmark = pytest.mark.usefixtures("without_pauses")


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
