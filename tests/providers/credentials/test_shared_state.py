from __future__ import annotations

import asyncio

import pytest
from django.db import connection

from providers.auth.refresh_lock import LoginState, login_digest
from providers.credentials.shared_state import DatabaseLogins
from providers.models import CredentialState
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)

STATE = LoginState(
    tokens='{"access_token": "canary-0123456789"}',
    current="c",
    ancestors=("a", "b"),
    machine="m",
    refreshed_at=1_800_000_000.25,
    expires_at=1_800_003_600.0,
    failures=2,
    not_before=1_800_000_030.0,
    refused="r",
    error="because",
    tried_at=1_800_000_001.0,
)


async def test_it_works() -> None:
    async with DatabaseLogins().hold("k") as held:
        assert held.state == LoginState()
        await held.save(STATE)
    async with DatabaseLogins().hold("k") as held:
        assert held.state == STATE
    async with DatabaseLogins().hold("another") as held:
        assert held.state == LoginState()


async def test_tokens_are_encrypted_at_rest() -> None:
    async with DatabaseLogins().hold("k") as held:
        await held.save(STATE)
    stored = await asyncio.to_thread(_raw)
    assert stored
    assert "canary" not in stored


def _raw() -> str:
    with connection.cursor() as cursor:
        cursor.execute("select tokens from providers_credentialstate")
        return str(cursor.fetchone()[0])


async def test_one_at_a_time() -> None:
    order: list[str] = []

    async def use(name: str) -> None:
        async with DatabaseLogins().hold("k") as held:
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            await held.save(LoginState(failures=held.state.failures + 1))
            order.append(f"{name} out")

    await asyncio.gather(*(use(str(n)) for n in range(5)))
    assert [entry.split()[1] for entry in order] == ["in", "out"] * 5
    async with DatabaseLogins().hold("k") as held:
        assert held.state.failures == 5


async def test_different_logins_do_not_wait_for_each_other() -> None:
    one, two = DatabaseLogins().hold("one"), DatabaseLogins().hold("two")
    async with one, asyncio.timeout(PATIENCE_S), two:
        pass


async def test_a_database_that_is_busy_costs_the_memory_alone() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite's one writer")
    await asyncio.to_thread(_save_while_blocked)


def _save_while_blocked() -> None:
    async def save() -> None:
        async with DatabaseLogins().hold("k") as held:
            await held.save(STATE)
            assert held.state == STATE

    with connection.cursor() as cursor:
        cursor.execute("begin immediate")
        try:
            asyncio.run(save())
        finally:
            cursor.execute("rollback")
    connection.close()


async def test_tokens_under_a_lost_key_are_no_tokens() -> None:
    def spoil() -> None:
        CredentialState.objects.create(pk=login_digest("k"), tokens="x", current="c")
        with connection.cursor() as cursor:
            cursor.execute("update providers_credentialstate set tokens = 'no ciphertext'")
        connection.close()

    await asyncio.to_thread(spoil)
    async with DatabaseLogins().hold("k") as held:
        assert (held.state.tokens, held.state.current) == ("", "c")
