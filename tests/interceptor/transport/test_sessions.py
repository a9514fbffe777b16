"""Sessions are closed after their last use, never before."""

from __future__ import annotations

from contextlib import AsyncExitStack

from interceptor.transport.detour import Destination
from interceptor.transport.sessions import IDLE_S, MAX_SESSIONS, Sessions
from interceptor.transport.transfer import Route


def _route(number: int, profile: str = "chrome131") -> Route:
    return Route(Destination("https", f"h{number}.test", 443), profile)


async def test_equal_routes_share_a_session_and_others_do_not() -> None:
    sessions = Sessions()
    async with (
        sessions.lease(_route(1)) as first,
        sessions.lease(_route(1)) as again,
        sessions.lease(_route(1, "firefox135")) as other,
    ):
        assert first is again
        assert first is not other
        assert sessions.open_count == 2
    await sessions.close()
    assert sessions.open_count == 0


async def test_idle_sessions_are_bounded_and_used_ones_stay() -> None:
    sessions = Sessions()
    async with AsyncExitStack() as stack:
        used = [
            await stack.enter_async_context(sessions.lease(_route(number)))
            for number in range(MAX_SESSIONS + 4)
        ]
        assert sessions.open_count == MAX_SESSIONS + 4
        assert all(multi._curlm for multi in used)
    assert sessions.open_count == MAX_SESSIONS
    await sessions.close()


async def test_a_session_is_closed_when_it_was_idle_for_long() -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    async with sessions.lease(_route(1)):
        now = 10 * IDLE_S
        sessions.sweep()
        assert sessions.open_count == 1
    sessions.sweep()
    assert sessions.open_count == 1
    now += IDLE_S
    sessions.sweep()
    assert sessions.open_count == 0
    await sessions.close()
