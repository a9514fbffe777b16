"""The list of sessions, the one with the newest request first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, F, Max, Min, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from flows.display.session_names import Opening, client_name, title_of
from flows.models import FAILED, Flow
from flows.queries.cursor import make_position, parse_cursor
from flows.queries.sessions import cache_share, sums_of_tokens

PAGE_SESSIONS: Final = 40
_OPENINGS: Final = 12
"""First requests of a session that may hold its title."""
_OPENING_FIELDS: Final = ("session_id", "conversation_id", "asked", "input_tokens")


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session of the list. Times are those of its first and last request."""

    id: str
    title: str
    client: str
    run: str
    requests: int
    failed: int
    live: int
    began: datetime
    ended: datetime
    models: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    cache_share: float | None

    @property
    def duration_ms(self) -> float:
        """Milliseconds from the first request to the last one's end, or to now if one runs."""
        ended = timezone.now() if self.live else self.ended
        return (ended - self.began).total_seconds() * 1000


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of the list. `older` is the cursor of the next page, "" on the last one."""

    sessions: list[SessionRow]
    older: str


def session_page(cursor: str = "", rows: int = PAGE_SESSIONS) -> SessionPage:
    """Return a page of sessions; text that is not a cursor means the first page. Three queries."""
    named = Flow.objects.exclude(session_id="").values("session_id")
    # The index on session and time answers this without a look at the rows.
    newest = named.annotate(newest=Max("started_at")).order_by("-newest", "-session_id")
    position = parse_cursor(cursor)
    if position is not None:
        at, session_id = position
        newest = newest.filter(Q(newest__lt=at) | Q(newest=at, session_id__lt=session_id))
    # One session more than is shown tells if there is another page.
    found = list(newest.values_list("session_id", "newest")[: rows + 1])
    shown = found[:rows]
    ids = [session_id for session_id, _ in shown]
    older = ""
    if len(found) > rows:
        last_id, last_time = shown[-1]
        older = make_position(last_time, last_id)
    return SessionPage(_rows(ids), older)


def _rows(ids: Sequence[str]) -> list[SessionRow]:
    if not ids:
        return []
    totals = _totals(ids)
    openings = _openings(ids)
    rows = []
    for session_id in ids:
        # A session that was deleted meanwhile has no totals any more.
        if session_id in totals:
            rows.append(_row(totals[session_id], openings.get(session_id, [])))
    return rows


def _totals(ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    of_page = Flow.objects.filter(session_id__in=ids).values("session_id")
    # The model's own order would divide the groups.
    totals = of_page.order_by().annotate(
        requests=Count("pk"),
        failed=Count("pk", filter=FAILED),
        live=Count("pk", filter=Q(state=Flow.State.LIVE)),
        models=Count("sent_model", distinct=True, filter=~Q(sent_model="")),
        began=Min("started_at"),
        newest=Max("started_at"),
        finished=Max("finished_at"),
        agent=Max("user_agent"),
        run=Max("run_label"),
        **sums_of_tokens(),
    )
    return {values["session_id"]: dict(values) for values in totals}


def titles_of(ids: Sequence[str]) -> dict[str, str]:
    """Return the titles of sessions by id, "" where none is known. One query; none without ids."""
    if not ids:
        return {}
    return {session_id: title_of(openings) for session_id, openings in _openings(ids).items()}


def add_titles(rows: Sequence[dict[str, Any]]) -> None:
    """Add the `title` of its session to each row, "" where none is known. One query."""
    titles = titles_of([row["session_id"] for row in rows])
    for row in rows:
        row["title"] = titles.get(row["session_id"], "")


def _openings(ids: Sequence[str]) -> dict[str, list[Opening]]:
    number = Window(RowNumber(), partition_by=F("session_id"), order_by=F("started_at").asc())
    asked = Flow.objects.filter(session_id__in=ids).exclude(asked="")
    first = asked.annotate(number=number).filter(number__lte=_OPENINGS).order_by("started_at")
    found: dict[str, list[Opening]] = {}
    for session_id, thread, text, tokens in first.values_list(*_OPENING_FIELDS):
        found.setdefault(session_id, []).append(Opening(thread, text, tokens))
    return found


def _row(totals: dict[str, Any], openings: Sequence[Opening]) -> SessionRow:
    ended = totals["newest"]
    if totals["finished"] is not None:
        ended = max(ended, totals["finished"])
    return SessionRow(
        id=totals["session_id"],
        title=title_of(openings),
        client=client_name(totals["agent"]),
        run=totals["run"],
        requests=totals["requests"],
        failed=totals["failed"],
        live=totals["live"],
        began=totals["began"],
        ended=ended,
        models=totals["models"],
        input_tokens=totals["input"],
        output_tokens=totals["output"],
        cost_usd=totals["cost"],
        cache_share=cache_share(totals["cache_read"], totals["cacheable"]),
    )
