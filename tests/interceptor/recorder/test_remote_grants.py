"""Grants that a proxy without a database has the recorder redeem."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flows.models import Resend
from interceptor.access.grant import Grant
from interceptor.recorder.asking import RecorderAway, RecorderQuestions, RecorderRefused
from interceptor.recorder.database_answers import database_answers
from interceptor.recorder.remote_grants import RemoteGrants
from interceptor.resend.grant_store import DatabaseGrants, issue
from providers.credentials.lent_logins import LentLogins
from tests.interceptor.recorder.conversation import ProxyEnd

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = "ccr-" + "a" * 43


@pytest.fixture
async def proxy() -> AsyncIterator[ProxyEnd]:
    grants = DatabaseGrants()
    made = ProxyEnd(lambda say: database_answers(say, LentLogins(), grants))
    await made.connect()
    yield made
    await made.close()


async def granted(**fields: Any) -> tuple[str, str]:
    row = Resend(flow_id="f", **fields)
    token = await asyncio.to_thread(issue, row)
    return row.ticket, token


async def test_it_works(proxy: ProxyEnd) -> None:
    ticket, token = await granted(
        as_forwarded=True, provider="anthropic", origin="https://a:443", session_id="s"
    )
    grants = RemoteGrants(proxy.questions)
    assert await grants.redeem(token, "new") == Grant(
        ticket, True, "anthropic", "https://a:443", "s"
    )
    assert await grants.redeem(token, "newer") is None
    assert await grants.redeem(UNKNOWN, "newer") is None


async def test_what_is_no_token_is_not_asked_for() -> None:
    assert await RemoteGrants(RecorderQuestions(patience_s=0)).redeem("no token", "new") is None


async def test_a_grant_whose_reply_was_lost_is_redeemed_again(proxy: ProxyEnd) -> None:
    ticket, token = await granted()
    proxy.takes_replies = False
    asking = asyncio.create_task(RemoteGrants(proxy.questions).redeem(token, "new"))
    await proxy.lost_reply.wait()
    await proxy.end_recorder()
    proxy.takes_replies = True
    await proxy.connect()
    assert await asking == Grant(ticket)


async def test_a_recorder_that_is_away_or_does_not_answer(proxy: ProxyEnd) -> None:
    with pytest.raises(RecorderAway):
        await RemoteGrants(RecorderQuestions(patience_s=0.01)).redeem(UNKNOWN, "new")
    proxy.takes_replies = False
    with pytest.raises(RecorderAway, match="does not answer"):
        await RemoteGrants(proxy.questions, timeout_s=0.05).redeem(UNKNOWN, "new")


async def test_a_database_that_fails_is_a_refusal(
    proxy: ProxyEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interceptor.resend import grant_store

    def fail(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr(grant_store, "redeem", fail)
    with pytest.raises(RecorderRefused, match="OSError"):
        await RemoteGrants(proxy.questions).redeem(UNKNOWN, "new")
