"""Costs of the day and of sessions, against the limits of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from django.db.models import Sum

from ccproxy_site.notices.flow_notice import FlowNotices
from ccproxy_site.notices.kept_notices import was_noticed
from ccproxy_site.notices.notice import Notice, notice
from flows.display.units import usd
from flows.models import Flow, UsageDaily

MAX_SESSIONS: Final = 50
"""Sessions whose sums are read at one look."""
LOOKS: Final = 3
"""Looks after a flow: its row is written, and counted, a moment after its end."""
MAX_REMEMBERED: Final = 1000


def _now() -> datetime:
    return datetime.now(UTC)


class SpendWatch:
    """Sums what flows cost, in the database, where every proxy's flows count.

    Args:
        flows: makes links.
        day_usd: limit of a day in UTC; None: none.
        session_usd: limit of a session; None: none.
        now: the time.
    """

    def __init__(
        self,
        flows: FlowNotices,
        day_usd: float | None,
        session_usd: float | None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._flows, self._now = flows, now
        self._day_usd, self._session_usd = day_usd, session_usd
        self._looks_left = LOOKS
        self._touched: dict[str, int] = {}
        """Sessions that cost something, with the looks that are left."""
        self._noticed: dict[str, None] = {}

    def note(self, flow: Flow) -> None:
        """Remember that a flow cost something."""
        if flow.cost_usd:
            self._looks_left = LOOKS
            if flow.session_id and self._session_usd is not None:
                self._touched[flow.session_id] = LOOKS

    def look(self) -> Iterable[Notice]:
        """Return the limits that were passed since the last look."""
        found = [*self._sessions()]
        if self._looks_left:
            self._looks_left -= 1
            found += self._day()
        return found

    def _day(self) -> Iterator[Notice]:
        day = self._now().date()
        key = f"day {day.isoformat()}"
        if self._day_usd is None or key in self._noticed:
            return
        spent = UsageDaily.objects.filter(day=day).aggregate(cost=Sum("cost_usd"))["cost"]
        if spent is None or float(spent) <= self._day_usd:
            return
        if self._is_first(key):
            text = f"{usd(spent)} were spent today, more than {usd(self._day_usd)}"
            yield notice(
                "spend",
                text,
                key=key,
                url=self._flows.usage_url(),
                spent_usd=float(spent),
                limit_usd=self._day_usd,
                day=day.isoformat(),
            )

    def _sessions(self) -> Iterator[Notice]:
        wanted = list(self._touched)[:MAX_SESSIONS]
        if self._session_usd is None or not wanted:
            return
        for session in wanted:
            # Those that are looked at again go behind the others.
            looks_left = self._touched.pop(session) - 1
            if looks_left:
                self._touched[session] = looks_left
        sums = (
            Flow.objects.filter(session_id__in=wanted)
            .order_by()
            .values_list("session_id")
            .annotate(cost=Sum("cost_usd"))
        )
        for session, spent in sums:
            key = f"session {session}"
            is_above = spent is not None and float(spent) > self._session_usd
            if is_above and key not in self._noticed and self._is_first(key):
                yield self._session_notice(session, key, float(spent), self._session_usd)

    def _session_notice(self, session: str, key: str, spent: float, limit: float) -> Notice:
        return notice(
            "spend",
            f"a session has cost {usd(spent)}, more than {usd(limit)}",
            key=key,
            url=self._flows.session_url(session),
            spent_usd=spent,
            limit_usd=limit,
            session=session,
        )

    def _is_first(self, key: str) -> bool:
        """Return whether an event had no notice yet, and remember it."""
        self._noticed[key] = None
        while len(self._noticed) > MAX_REMEMBERED:
            self._noticed.pop(next(iter(self._noticed)))
        return not was_noticed("spend", key[:250])
