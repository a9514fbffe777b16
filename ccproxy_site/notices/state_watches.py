"""Watches over states: logins, providers in cooldown, the record itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ccproxy_site.notices.kept_notices import was_noticed
from ccproxy_site.notices.notice import Notice, notice
from ccproxy_site.notices.watch import StateWatch
from interceptor.instances.running_cooldowns import RunningCooldown
from providers.credentials.credential_states import BoardRow, board_rows

LOGINS_EVERY_S: Final = 60.0


class LoginWatch(StateWatch):
    """Logins that fail to be renewed, or expire and cannot be renewed.

    Args:
        console_url: base URL of the console.
        soon: an expiry within this time is worth a notice.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        console_url: str,
        soon: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = f"{console_url}/admin/providers/provider/auth-board/"
        self._soon, self._clock = soon, clock
        self._due_at = float("-inf")
        self._troubles: dict[str, str] = {}

    def look(self) -> Iterable[Notice]:
        """Return the logins that came into trouble since the last look."""
        if self._clock() < self._due_at:
            return []
        is_first = self._due_at == float("-inf")
        self._due_at = self._clock() + LOGINS_EVERY_S
        now = datetime.now(UTC)
        found: list[Notice] = []
        for row in board_rows(now):
            name = row.provider.name
            trouble = self._trouble(row, now) if row.provider.enabled else ""
            before, self._troubles[name] = self._troubles.get(name, ""), trouble
            if not trouble or trouble == before:
                continue
            made = self._notice(row, trouble)
            # After a restart the trouble may be an old one.
            day_ago = now - timedelta(days=1)
            if not (is_first and was_noticed("login", made.key, day_ago)):
                found.append(made)
        return found

    def _trouble(self, row: BoardRow, now: datetime) -> str:
        """Return half a sentence that stays the same while the trouble is the same."""
        if not row.can_renew:
            return ""
        if row.is_bad:
            return row.state
        expires_at = row.expires_at
        if row.is_renewable or expires_at is None or expires_at - now > self._soon:
            return ""
        if expires_at <= now:
            return "has expired and cannot be renewed"
        return f"expires at {expires_at:%Y-%m-%d %H:%M} UTC and cannot be renewed"

    def _notice(self, row: BoardRow, trouble: str) -> Notice:
        name = row.provider.name
        fix = row.fix or f"ccproxy loginprovider {name}"
        return notice(
            "login",
            f"the login of provider {name}: {trouble}; {fix}",
            key=f"{name} {trouble}",
            url=self._url,
            provider=name,
            state=trouble,
            expires_at=row.expires_at.isoformat() if row.expires_at else None,
        )


class CooldownWatch(StateWatch):
    """Providers that chains of fallbacks begin to skip.

    Args:
        console_url: base URL of the console.
        cooldowns: returns the rows of this machine's proxies: provider, model, until (Unix time),
            cause.
    """

    def __init__(
        self, console_url: str, cooldowns: Callable[[], Iterable[Mapping[str, Any]]]
    ) -> None:
        self._url = f"{console_url}/dashboard/"
        self._cooldowns = cooldowns
        self._known: set[tuple[str, str]] = set()

    def look(self) -> Iterable[Notice]:
        """Return the cooldowns that began since the last look."""
        now_s = time.time()
        running: dict[tuple[str, str], RunningCooldown] = {}
        for row in self._cooldowns():
            key = (row["provider"], row["model"])
            left_s = row["until"] - now_s
            if left_s > 0 and (key not in running or running[key].left_s < left_s):
                running[key] = RunningCooldown(*key, left_s, row["cause"])
        began = [each for key, each in running.items() if key not in self._known]
        self._known = set(running)
        return [*self._notices(began)]

    def _notices(self, began: Iterable[RunningCooldown]) -> Iterator[Notice]:
        for each in began:
            yield notice(
                "cooldown",
                each.sentence,
                url=self._url,
                provider=each.provider,
                model=each.model,
                cause=each.cause,
                left_s=round(each.left_s, 1),
            )


class RecordWatch(StateWatch):
    """Interruptions of the record.

    Args:
        console_url: base URL of the console.
        problem: returns why flows are not stored at the moment; "" while they are.
    """

    def __init__(self, console_url: str, problem: Callable[[], str]) -> None:
        self._url = f"{console_url}/admin/"
        self._problem = problem
        self._is_interrupted = False

    def look(self) -> Iterable[Notice]:
        """Return an interruption that began since the last look."""
        problem = self._problem()
        was_interrupted, self._is_interrupted = self._is_interrupted, bool(problem)
        if not problem or was_interrupted:
            return []
        return [notice("recording", f"flows are not recorded: {problem}", url=self._url)]
