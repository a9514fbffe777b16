"""The hook alone: whom it concerns, and what becomes of events that find no place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interceptor.exchanges import exchange, run_hook
from tests.interceptor.notes.scripted_book import Book

HOOK = "inject_mcp_notifications"


def asked(book: Book | None, session: str = "s", path: str = "/v1/messages", **body: Any) -> Any:
    values = {"messages": [{"role": "user", "content": "Hello"}], "tools": [{"name": "x"}], **body}
    ex = exchange(values, path=path)
    ex.notes = book
    ex.metadata["session_id"] = session
    return ex


@pytest.mark.parametrize(
    ("session", "path"),
    [("other", "/v1/messages"), ("", "/v1/messages"), ("s", "/v1/messages/count_tokens")],
)
def test_other_requests_cost_a_look_and_leave_no_step(session: str, path: str) -> None:
    book = Book('{"summary": "x"}')
    ex = asked(book, session, path)
    before = ex.body.data
    assert run_hook(HOOK, ex) == []
    assert (book.calls, ex.body.data) == ([], before)
    assert run_hook(HOOK, asked(None)) == []


def test_events_are_inserted_and_stay_with_the_flow() -> None:
    book = Book('{"summary": "x"}')
    ex = asked(book)
    (step,) = run_hook(HOOK, ex)
    assert (step.outcome, step.reason) == ("ran", "events of 1 tasks")
    assert len(ex.json["messages"]) == 3
    # They are settled when the response has ended.
    assert book.calls == [("take", "s", "f")]


def test_events_without_a_place_are_given_back() -> None:
    book = Book('{"summary": "x"}')
    ex = asked(book, tools=[], messages=[{"role": "assistant", "content": "{"}])
    before = ex.body.data
    (step,) = run_hook(HOOK, ex)
    assert "no place" in step.reason
    assert book.calls[-1] == ("settle", "f", False)
    assert ex.body.data == before


def test_a_recorder_that_is_away_stops_no_request() -> None:
    ex = asked(Book(is_away=True))
    (step,) = run_hook(HOOK, ex)
    assert step.outcome == "error"
    assert len(ex.json["messages"]) == 1
