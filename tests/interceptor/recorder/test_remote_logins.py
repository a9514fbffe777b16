"""Logins of proxies without a database: their memory crosses, and one process at a time renews."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from interceptor.access.grant import NoGrants
from interceptor.recorder.asking import RecorderQuestions
from interceptor.recorder.database_answers import database_answers
from interceptor.recorder.remote_logins import Patience, RemoteLogins
from providers.auth.base import OAuthAuth
from providers.auth.logins import OAuthLogins
from providers.auth.oauth_kinds import oauth_auth
from providers.auth.refresh_lock import LockFailed, LoginState
from providers.auth.registry import SecretRegistry
from providers.auth.sources import SourceFailed
from providers.credentials.lent_logins import LentLogins
from providers.credentials.shared_state import DatabaseLogins, lock_directory
from tests.fakes.token_endpoint import TokenEndpoint
from tests.interceptor.recorder.conversation import LockedRows, ProxyEnd

STATE = LoginState(
    tokens='{"access_token": "canary-0123456789"}',
    current="c",
    ancestors=("a", "b"),
    machine="m",
    refreshed_at=1_800_000_000.25,
    failures=2,
    error="because",
)
NEWER = LoginState(tokens='{"access_token": "other"}', current="d", ancestors=("a", "b", "c"))


@asynccontextmanager
async def proxy_of(
    lender: Callable[[], LentLogins], *, patience_s: float = 60.0
) -> AsyncIterator[ProxyEnd]:
    made = ProxyEnd(lambda say: database_answers(say, lender(), NoGrants()), patience_s=patience_s)
    await made.connect()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def rows() -> LockedRows:
    return LockedRows()


@pytest.fixture
async def proxy(rows: LockedRows) -> AsyncIterator[ProxyEnd]:
    """A proxy whose recorder locks rows."""
    async with proxy_of(lambda: LentLogins(rows.hold)) as made:
        yield made


# With the database of the tests


@pytest.mark.django_db(transaction=True)
async def test_the_state_crosses_and_is_stored() -> None:
    async with proxy_of(LentLogins) as proxy:
        logins = RemoteLogins(proxy.questions, lock_directory())
        async with logins.hold("k") as held:
            assert held.state == LoginState()
            await held.save(STATE)
            assert held.state == STATE
        async with logins.hold("k") as held:
            assert held.state == STATE
        async with logins.hold("another") as held:
            assert held.state == LoginState()
    async with DatabaseLogins().hold("k") as held:
        assert held.state == STATE


@pytest.mark.django_db(transaction=True)
async def test_proxies_and_processes_with_the_database_take_turns(tmp_path: Path) -> None:
    order: list[str] = []
    # SQLite in memory has no directory; its processes would meet beside the file.
    directory = lock_directory()

    async def use(logins: RemoteLogins | DatabaseLogins, name: str) -> None:
        async with logins.hold("k") as held:
            order.append(f"{name} in")
            await asyncio.sleep(0.02)
            await held.save(LoginState(failures=held.state.failures + 1))
            order.append(f"{name} out")

    async with proxy_of(LentLogins) as one, proxy_of(LentLogins) as two:
        users: list[RemoteLogins | DatabaseLogins] = [
            RemoteLogins(one.questions, directory),
            RemoteLogins(two.questions, directory),
            DatabaseLogins(),
        ]
        await asyncio.gather(*(use(users[n % 3], str(n)) for n in range(9)))
    assert [entry.split()[1] for entry in order] == ["in", "out"] * 9
    async with DatabaseLogins().hold("k") as held:
        assert held.state.failures == 9


@pytest.mark.django_db(transaction=True)
async def test_a_row_is_free_when_its_proxy_is_gone() -> None:
    async with proxy_of(LentLogins) as proxy:
        logins = RemoteLogins(proxy.questions, None)
        holding = logins.hold("k")
        held = await holding.__aenter__()
        await held.save(STATE)
        await proxy.leave()
        async with DatabaseLogins().hold("k") as other:
            assert other.state == STATE
        await holding.__aexit__(None, None, None)


# Rows that are locked while they are held


async def test_different_logins_do_not_wait_for_each_other(proxy: ProxyEnd) -> None:
    logins = RemoteLogins(proxy.questions, None)
    async with logins.hold("one"), logins.hold("two"):
        pass


async def test_a_hold_that_was_given_up_keeps_no_row(proxy: ProxyEnd, rows: LockedRows) -> None:
    logins = RemoteLogins(proxy.questions, None)
    await rows.locks["k"].acquire()
    waiting = asyncio.create_task(_hold_once(logins))
    await rows.waited_for("k")
    waiting.cancel()
    await asyncio.wait({waiting})
    rows.locks["k"].release()
    await _hold_once(logins)


async def test_a_recorder_that_does_not_answer_is_not_waited_for_endlessly(
    proxy: ProxyEnd, rows: LockedRows
) -> None:
    await rows.locks["k"].acquire()
    logins = RemoteLogins(proxy.questions, None, Patience(hold_s=0.05, save_s=0.05))
    with pytest.raises(LockFailed, match="cannot be renewed: the recorder does not answer"):
        await _hold_once(logins)


async def test_without_a_recorder_a_login_with_row_locks_is_not_renewed() -> None:
    logins = RemoteLogins(RecorderQuestions(patience_s=0.01), None)
    with pytest.raises(LockFailed, match="cannot be renewed: the recorder is away"):
        await _hold_once(logins)


async def test_a_recorder_that_comes_back_saves_what_the_one_before_lent(
    proxy: ProxyEnd, rows: LockedRows
) -> None:
    rows.states["k"] = STATE
    async with RemoteLogins(proxy.questions, None).hold("k") as held:
        await proxy.end_recorder()
        assert not rows.locks["k"].locked()
        await proxy.connect()
        await held.save(NEWER)
        assert rows.locks["k"].locked()
    assert rows.states["k"] == NEWER
    assert not rows.locks["k"].locked()


async def test_what_another_machine_renewed_meanwhile_stays(
    proxy: ProxyEnd, rows: LockedRows, caplog: pytest.LogCaptureFixture
) -> None:
    async with RemoteLogins(proxy.questions, None).hold("k") as held:
        await proxy.end_recorder()
        rows.states["k"] = STATE
        await proxy.connect()
        await held.save(NEWER)
        assert held.state == NEWER
    assert rows.states["k"] == STATE
    assert "another machine has renewed it at the same time" in caplog.text


async def test_a_save_whose_reply_was_lost_counts(proxy: ProxyEnd, rows: LockedRows) -> None:
    async with RemoteLogins(proxy.questions, None).hold("k") as held:
        proxy.takes_replies = False
        saving = asyncio.create_task(held.save(STATE))
        await proxy.lost_reply.wait()
        await proxy.end_recorder()
        proxy.takes_replies = True
        await proxy.connect()
        await saving
        await held.save(NEWER)
    assert rows.states["k"] == NEWER
    assert not rows.locks["k"].locked()


async def test_a_recorder_that_ends_while_it_is_asked_for_a_row(
    proxy: ProxyEnd, rows: LockedRows
) -> None:
    await rows.locks["k"].acquire()
    holding = asyncio.create_task(_hold_once(RemoteLogins(proxy.questions, None)))
    await rows.waited_for("k")
    await proxy.end_recorder()
    await proxy.connect()
    rows.locks["k"].release()
    await holding


# Renewals


@pytest.mark.parametrize("has_lock_files", [True, False])
async def test_two_proxies_renew_once_although_the_recorder_ends_in_the_middle(
    rows: LockedRows, endpoint: TokenEndpoint, tmp_path: Path, has_lock_files: bool
) -> None:
    auth = await asyncio.to_thread(_stale_login, endpoint, tmp_path)
    lock_directory = tmp_path if has_lock_files else None
    loop = asyncio.get_running_loop()
    async with (
        proxy_of(lambda: LentLogins(rows.hold), patience_s=0.01) as one,
        proxy_of(lambda: LentLogins(rows.hold), patience_s=0.01) as two,
    ):

        def end_recorder(_: object) -> None:
            for proxy in (one, two):
                asyncio.run_coroutine_threadsafe(proxy.end_recorder(), loop).result()

        endpoint.before = end_recorder
        found = await asyncio.gather(
            *(_logins_of(proxy, lock_directory).access(auth) for proxy in (one, two, one, two))
        )
    assert len(endpoint.requests) == 1
    assert endpoint.refused == []
    assert {endpoint.is_good(login.access) for login in found} == {True}


async def test_a_login_is_not_renewed_without_its_row(
    rows: LockedRows, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    auth = await asyncio.to_thread(_stale_login, endpoint, tmp_path)
    async with proxy_of(lambda: LentLogins(rows.hold), patience_s=0.01) as proxy:
        await proxy.end_recorder()
        with pytest.raises(SourceFailed, match="the recorder is away"):
            await _logins_of(proxy, None).renew(auth)
        assert endpoint.requests == []
        await proxy.connect()
        await _logins_of(proxy, None).renew(auth)
    assert len(endpoint.requests) == 1
    assert [state.error for state in rows.states.values()] == [""]


def _stale_login(endpoint: TokenEndpoint, folder: Path) -> OAuthAuth:
    access, refresh = endpoint.issue()
    file = folder / "login.json"
    tokens = {"access_token": access, "refresh_token": refresh, "expires_at": 1000}
    file.write_text(json.dumps(tokens))
    settings = {"file_path": str(file), "endpoint": endpoint.url, "client_id": "client-1"}
    return oauth_auth("anthropic_oauth", settings)


def _logins_of(proxy: ProxyEnd, lock_directory: Path | None) -> OAuthLogins:
    return OAuthLogins(
        secrets=SecretRegistry(),
        decrypt=lambda text: text,
        shared=RemoteLogins(proxy.questions, lock_directory),
    )


# Lock files, which the proxy holds itself


async def test_without_a_recorder_the_lock_file_keeps_others_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = RecorderQuestions(patience_s=0.01)
    entered = asyncio.Event()

    async def second() -> None:
        async with RemoteLogins(RecorderQuestions(patience_s=0.01), tmp_path).hold("k"):
            entered.set()

    async with RemoteLogins(away, tmp_path).hold("k") as held:
        other = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        assert not entered.is_set()
        await held.save(STATE)
        assert held.state == STATE
    await other
    assert "what is known of a login cannot be read: the recorder is away" in caplog.text
    assert "other machines cannot learn of it: the recorder is away" in caplog.text


async def test_a_recorder_that_ends_in_the_middle_frees_no_lock_file(
    proxy: ProxyEnd, rows: LockedRows, tmp_path: Path
) -> None:
    entered = asyncio.Event()

    async def second() -> None:
        async with (
            proxy_of(lambda: LentLogins(rows.hold)) as two,
            RemoteLogins(two.questions, tmp_path).hold("k") as held,
        ):
            entered.set()
            assert held.state == STATE

    async with RemoteLogins(proxy.questions, tmp_path).hold("k") as held:
        await proxy.end_recorder()
        other = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        assert not entered.is_set()
        await proxy.connect()
        await held.save(STATE)
    await other


async def test_the_lock_file_is_that_of_processes_with_the_database(tmp_path: Path) -> None:
    async with RemoteLogins(RecorderQuestions(patience_s=0.01), tmp_path).hold("k"):
        names = await asyncio.to_thread(os.listdir, tmp_path)
    # A digest of the key; earlier releases, which may run beside this one, lock the same name.
    assert names == [".login-8254c329a92850f6.ccproxy.lock"]


async def test_tokens_are_in_no_log(
    proxy: ProxyEnd, rows: LockedRows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with RemoteLogins(proxy.questions, None).hold("k") as held:
        await held.save(STATE)
        await proxy.end_recorder()
        rows.states["k"] = NEWER
        await proxy.connect()
        await held.save(STATE)
    assert "another machine" in caplog.text
    assert "canary" not in caplog.text


async def _hold_once(logins: RemoteLogins) -> None:
    async with logins.hold("k"):
        pass
