"""The list of sessions, the one with the newest request first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import starmap
from typing import Any, Final

from django.db.models import Count, F, Max, Min, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from flows.display.session_names import Opening, client_name, title_of
from flows.flow_link import is_guessed
from flows.models import FAILED, Flow
from flows.queries.cursor import Cursor, make_position, parse_cursor
from flows.queries.sessions import cache_share, sums_of_tokens
from flows.sessions.guessed_sessions import Dated, newest_guessed

PAGE_SESSIONS: Final = 40
_OPENINGS: Final = 12
"""First requests of a session that may hold its title."""
_OPENING_FIELDS: Final = ("conversation_id", "asked", "input_tokens")


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
    def is_guessed(self) -> bool:
        """True if the client sends no session id, and the recorder found what belongs together."""
        return is_guessed(self.id)

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
    """Return a page of sessions; text that is not a cursor means the first page.

    Four queries; three more with sessions of clients that send no id.
    """
    position = parse_cursor(cursor)
    guessed = newest_guessed(position)
    found = sorted([*_newest_named(position, rows + 1), *guessed.sessions], reverse=True)
    is_cut = False
    if guessed.reached is not None:
        # Behind the window may be more of them, between the others. They have pages of their own.
        seen = [each for each in found if each.newest >= guessed.reached]
        is_cut = 0 < len(seen) < len(found)
        found = seen or found
    shown = found[:rows]
    older = ""
    if is_cut or len(found) > rows:
        older = make_position(*shown[-1])
    return SessionPage(_rows([each.id for each in shown]), older)


def _newest_named(position: Cursor | None, most: int) -> list[Dated]:
    """Return the newest sessions with an id of their client."""
    named = Flow.objects.exclude(session_id="").values("session_id")
    # The index on session and time answers this without a look at the rows.
    newest = named.annotate(newest=Max("started_at")).order_by("-newest", "-session_id")
    if position is not None:
        at, session_id = position
        newest = newest.filter(Q(newest__lt=at) | Q(newest=at, session_id__lt=session_id))
    # One session more than is shown tells if there is another page.
    return list(starmap(Dated, newest.values_list("newest", "session_id")[:most]))


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
    totals: dict[str, dict[str, Any]] = {}
    for column, of_column in _by_column(ids):
        totals |= _totals_by(column, of_column)
    return totals


def _by_column(ids: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns that have the ids of sessions, with those ids."""
    named = [session_id for session_id in ids if not is_guessed(session_id)]
    guessed = [session_id for session_id in ids if is_guessed(session_id)]
    if named:
        yield "session_id", named
    if guessed:
        yield "link__session", guessed


def _totals_by(column: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    of_page = Flow.objects.filter(**{f"{column}__in": ids}).values(session=F(column))
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
    return {values["session"]: dict(values) for values in totals}


def titles_of(ids: Sequence[str]) -> dict[str, str]:
    """Return the titles of sessions by id, "" where none is known. One query; none without ids.

    One more if some are guessed.
    """
    if not ids:
        return {}
    return {session_id: title_of(openings) for session_id, openings in _openings(ids).items()}


def add_titles(rows: Sequence[dict[str, Any]]) -> None:
    """Add the `title` of its session to each row, "" where none is known. One query."""
    titles = titles_of([row["session_id"] for row in rows])
    for row in rows:
        row["title"] = titles.get(row["session_id"], "")


def _openings(ids: Sequence[str]) -> dict[str, list[Opening]]:
    found: dict[str, list[Opening]] = {}
    for column, of_column in _by_column(ids):
        number = Window(RowNumber(), partition_by=F(column), order_by=F("started_at").asc())
        asked = Flow.objects.filter(**{f"{column}__in": of_column}).exclude(asked="")
        first = asked.annotate(number=number).filter(number__lte=_OPENINGS).order_by("started_at")
        for session_id, thread, text, tokens in first.values_list(column, *_OPENING_FIELDS):
            found.setdefault(session_id, []).append(Opening(thread, text, tokens))
    return found


def _row(totals: dict[str, Any], openings: Sequence[Opening]) -> SessionRow:
    ended = totals["newest"]
    if totals["finished"] is not None:
        ended = max(ended, totals["finished"])
    return SessionRow(
        id=totals["session"],
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
