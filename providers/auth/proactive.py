"""Renews logins before they expire, so that no request waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from providers.auth.base import AuthConf, OAuthAuth
from providers.auth.logins import OAuthLogins
from providers.auth.sources import SourceFailed

logger = logging.getLogger(__name__)

INTERVAL_S = 30.0
LONGEST_HEADROOM_S = 1200.0
"""Vendors' own programs renew about five minutes ahead; an earlier renewal does not collide."""


def headroom_s(auth: OAuthAuth) -> float:
    """Return how many seconds before its expiry a token is renewed.

    A quarter of its usual life, at most twenty minutes.
    """
    return min(LONGEST_HEADROOM_S, auth.default_expires_in_seconds / 4)


async def renew_due(logins: OAuthLogins, sources: Iterable[AuthConf | None]) -> int:
    """Renew what expires soon; returns how many logins are good.

    What fails is logged and tried again later.
    """
    good = 0
    for auth in dict.fromkeys(auth for auth in sources if isinstance(auth, OAuthAuth)):
        try:
            # A request must not find a token that is due: look at least as far ahead as it does.
            await logins.access(auth, max(headroom_s(auth), logins.limits.headroom_s))
            good += 1
        except SourceFailed as exc:
            logger.info("the login in %s %s", auth.file_path, exc)
    return good


class ProactiveRenewal:
    """Looks at the logins in use every half minute, in a task of the proxy's own loop."""

    def __init__(
        self,
        logins: OAuthLogins,
        sources: Callable[[], Iterable[AuthConf | None]],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._logins, self._sources = logins, sources
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="proactive renewal")

    async def stop(self) -> None:
        """End; a renewal that is under way goes on, see `OAuthLogins.drain`."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await renew_due(self._logins, self._sources())
            except Exception:
                logger.exception("looking after the logins failed")
            await asyncio.sleep(self._interval_s)
