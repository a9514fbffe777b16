"""A session's conversation as Markdown: each message once, with its request's figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from flows.display.safe_text import printable
from flows.display.units import count, duration, percent, plural, usd
from flows.queries.sessions import Row, Session
from flows.reading.transcript import block_lines
from flows.sessions.session_overview import overview
from flows.sessions.session_story import Branch, Entry, story
from providers.wire.core.ir import ToolResult

CONTENT_TYPE: Final = "text/markdown; charset=utf-8"
_ROLES: Final = {"user": "User", "assistant": "Assistant", "system": "System"}
_MARKS: Final = {
    "no response": "No response.",
    "not read": "This request is no conversation, or its body is not stored.",
    "replaced": "The client changed earlier messages here.",
    "new history": "The client began a new history here, as after a summary.",
}


def session_markdown(session: Session) -> str:
    """Write the conversation; side conversations follow the response during which they began."""
    told = story(session, lambda flow_id, number, media: "")
    lines = list(_head(session))
    for branch in told.before:
        lines += _branch(branch)
    for entry in told.entries:
        lines += _entry(entry, "##")
        for branch in entry.branches:
            lines += _branch(branch)
    text = "\n".join(lines)
    return f"{printable(text)}\n"


def _head(session: Session) -> Iterator[str]:
    shown = overview(session)
    totals = session.totals
    title = " ".join(shown.title.split())
    yield f"# {title or f'Session {session.id}'}"
    yield ""
    facts = [
        f"session {session.id}",
        shown.client,
        f"{totals['began']:%Y-%m-%d %H:%M:%S} UTC",
        plural(totals["requests"], "request"),
        f"{count(totals['input'])} tokens in",
        f"{count(totals['output'])} out",
        f"{percent(session.cache_share)} from the cache",
        usd(totals["cost"]),
    ]
    yield f"_{' · '.join(fact for fact in facts if fact)}_"


def _branch(branch: Branch) -> Iterator[str]:
    yield ""
    title = branch.title or "a question beside the conversation"
    yield f"## {branch.thread.letter}: {title}"
    for entry in branch.entries:
        yield from _entry(entry, "###")
    yield ""
    yield f"_End of {branch.thread.letter}._"


def _entry(entry: Entry, heading: str) -> Iterator[str]:
    yield ""
    if entry.mark:
        yield f"_{_MARKS[entry.mark]}{_failure(entry)}_"
        return
    if entry.turn is None:
        return
    yield f"{heading} {_ROLES[entry.turn.role]}"
    yield ""
    if entry.is_response and entry.row is not None:
        yield f"_{_facts(entry.row)}_"
        yield ""
    for block in entry.turn.blocks:
        if not isinstance(block, ToolResult):
            yield from block_lines(block)
    yield from _results(entry.results)


def _results(results: Sequence[ToolResult]) -> Iterator[str]:
    for result in results:
        yield from block_lines(result)


def _failure(entry: Entry) -> str:
    error = entry.row.flow.error if entry.row else ""
    return f" {error}" if error else ""


def _facts(row: Row) -> str:
    flow = row.flow
    facts = [
        f"flow {flow.pk}",
        flow.sent_model or flow.requested_model,
        f"{count(flow.input_tokens)} in, {count(flow.output_tokens)} out",
        f"{percent(row.cache_share)} cached",
        usd(flow.cost_usd),
        duration(flow.duration_ms),
    ]
    if row.cache_lost:
        facts.append("cache lost")
    return " · ".join(fact for fact in facts if fact)
