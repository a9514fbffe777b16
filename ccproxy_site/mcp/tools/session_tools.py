"""Tools about many requests together: sessions, conversations, usage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ccproxy_site.mcp.bounded_json import bounded, bounded_list
from ccproxy_site.mcp.tools.flow_tools import flow_row
from flows.figures.usage_summary import usage_summary
from flows.models import Flow
from flows.queries.flow_set import FlowSetError
from flows.queries.sessions import MAX_ROWS, Session, session

MAX_GROUPED: Final = 2_000
"""Newest flows that are grouped into conversations."""
DEFAULT_REQUESTS: Final = 30


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """The requests of one conversation, the newest first."""

    conversation_id: str
    session_id: str
    requests: int
    newest_at: str
    flow_ids: list[str]
    """At most 50."""


@dataclass(frozen=True, slots=True)
class ConversationList:
    """Conversations, the one with the newest request first."""

    conversations: list[Any]
    note: str


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One session: sums over all its requests, its conversations, its newest requests."""

    session_id: str
    totals: dict[str, Any]
    cache_share: float | None
    conversations: list[Any]
    requests: list[Any]
    left_out: int
    """Older requests that are not listed."""
    note: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens and costs of a period (UTC). null is unknown, never 0."""

    days: int
    first: str
    last: str
    totals: dict[str, Any]
    models: list[Any]
    sessions: list[Any]
    by_day: list[Any]
    note: str


def list_conversations(
    session_id: Annotated[str, Field(description="Only of this session.")] = "",
) -> ConversationList:
    """List conversations with the ids of their flows, grouped by what their requests continue."""
    flows = Flow.objects.exclude(conversation_id="").order_by("-started_at", "-id")
    if session_id:
        flows = flows.filter(session_id=session_id.replace("\0", ""))
    groups: dict[str, list[tuple[str, str, str]]] = {}
    columns = flows.values_list("conversation_id", "session_id", "pk", "started_at")
    for key, of_session, flow_id, started_at in columns[:MAX_GROUPED]:
        groups.setdefault(key, []).append((flow_id, of_session, started_at.isoformat()))
    rows = [_conversation(key, found) for key, found in groups.items()]
    return ConversationList(*bounded_list(rows, len(rows)))


def _conversation(key: str, found: list[tuple[str, str, str]]) -> ConversationRow:
    _, session_id, newest_at = found[0]
    ids = [flow_id for flow_id, _, _ in found]
    return ConversationRow(key, session_id, len(ids), newest_at, ids[:50])


def session_summary(
    session_id: Annotated[str, Field(description="As list_flows shows it.")],
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS)] = DEFAULT_REQUESTS,
) -> SessionReport:
    """Summarise a session: tokens, cost, cache hits, failures, conversations, newest requests."""
    found = None if "\0" in session_id else session(session_id)
    if found is None:
        raise FlowSetError("No request of this session is stored.")
    threads = [
        {
            "letter": thread.letter,
            "main": thread.main,
            "requests": thread.requests,
            "models": thread.models,
            "largest_tokens": thread.largest_tokens,
            "cost_usd": _plain(thread.cost_usd),
        }
        for thread in found.threads
    ]
    requests = _requests(found, limit)
    kept = bounded_list(requests, len(requests))
    return SessionReport(
        session_id=found.id,
        totals={name: _plain(value) for name, value in found.totals.items()},
        cache_share=found.cache_share,
        conversations=bounded(threads).value,
        requests=kept.values,
        left_out=found.totals["requests"] - len(kept.values),
        note=kept.note,
    )


def _requests(found: Session, limit: int) -> list[dict[str, Any]]:
    chosen = found.rows[-limit:]
    complete = Flow.objects.defer("search_text").in_bulk([row.flow.pk for row in chosen])
    rows = []
    for row in chosen:
        if row.flow.pk not in complete:
            continue
        facts = flow_row(complete[row.flow.pk])
        rows.append(
            {
                "flow_id": facts.id,
                "conversation": row.thread.letter,
                "since_ms": row.since_ms,
                "status_code": facts.status_code,
                "model": facts.sent_model or facts.requested_model,
                "input_tokens": facts.input_tokens,
                "output_tokens": facts.output_tokens,
                "cache_share": row.cache_share,
                "cache_lost": row.cache_lost,
                "cost_usd": facts.cost_usd,
                "duration_ms": facts.duration_ms,
                "error": facts.error,
            }
        )
    return rows


def usage(
    days: Annotated[Literal[7, 30, 90, 365], Field(description="Days that end today.")] = 30,
) -> UsageReport:
    """Sum tokens and costs: in all, by model, by session, by day."""
    found = usage_summary(days, "cost")
    lists = {
        name: bounded_list([_row(row) for row in rows], len(rows))
        for name, rows in (
            ("models", found.models),
            ("sessions", found.sessions),
            ("by_day", found.by_day),
        )
    }
    return UsageReport(
        days=found.days,
        first=found.first.isoformat(),
        last=found.last.isoformat(),
        totals=_row(found.totals),
        models=lists["models"].values,
        sessions=lists["sessions"].values,
        by_day=lists["by_day"].values,
        note=" ".join(each.note for each in lists.values() if each.note),
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: decimals become numbers, times become texts."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return float(value)
