"""Top of a session's page: title, client, end, state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from flows.display.session_names import Opening, client_name, title_of
from flows.models import Flow
from flows.queries.sessions import Session


@dataclass(frozen=True, slots=True)
class Overview:
    """Names and times of a session. `live`: a request still runs."""

    title: str
    client: str
    run: str
    ended: datetime
    duration_ms: float
    live: bool


def overview(session: Session, title: str = "") -> Overview:
    """Return the overview of a session from its newest requests.

    Args:
        title: of a session whose first requests are not among them.
    """
    flows = [row.flow for row in session.rows]
    openings = []
    for row in session.rows:
        openings.append(Opening(row.thread.key, row.flow.asked, row.flow.input_tokens))
    ends = [flow.finished_at for flow in flows if flow.finished_at is not None]
    ended = max([session.totals["ended"], *ends])
    is_live = any(flow.state == Flow.State.LIVE for flow in flows)
    lasted = (timezone.now() if is_live else ended) - session.totals["began"]
    main = [row.flow for row in session.rows if row.thread.main]
    return Overview(
        title=title or title_of(openings),
        client=client_name(main[0].user_agent),
        run=main[0].run_label,
        ended=ended,
        duration_ms=lasted.total_seconds() * 1000,
        live=is_live,
    )
