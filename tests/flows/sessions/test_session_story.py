"""A session as one conversation: from recorded bodies to the page."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from flows.console import session_views
from flows.queries.sessions import session
from flows.sessions.session_story import Entry, Story, all_entries, story
from tests.flows.seed import CLIENT_HEADERS, add_flow, add_side
from tests.flows.seed_session import SESSION, TURN_IDS, seed_session

URL = "http://127.0.0.1:4000/v1/messages"
KNOWN = {
    "session_id": "agent",
    "path": "/v1/messages",
    "client_url": URL,
    "client_format": "anthropic_messages",
    "status_code": 200,
    "sent_model": "opus",
    "input_tokens": 100,
}


def exchange(
    name: str, minutes: float, messages: list[Any], answer: list[Any] | None, **fields: Any
) -> None:
    """A recorded request and its buffered response; none when `answer` is None."""
    flow = add_flow(name, minutes, **(KNOWN | fields))
    body = {"model": "opus", "max_tokens": 9, "messages": messages}
    add_side(flow, "client", CLIENT_HEADERS, json.dumps(body).encode(), method="POST", url=URL)
    if answer is None:
        return
    reply = {"type": "message", "role": "assistant", "content": answer, "stop_reason": "end_turn"}
    add_side(flow, "delivered", {}, json.dumps(reply).encode(), status_code=200)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def read(session_id: str) -> Story:
    found = session(session_id)
    assert found is not None
    return story(found, lambda flow, number, media: f"{flow}#{number}")


def words(entry: Entry) -> str:
    return entry.view.items[0].html if entry.view else entry.mark


@pytest.fixture
def agent(db: None) -> None:
    """Three turns with a sub-agent beside the first, a failure, and a summed-up history."""
    ask = {"role": "user", "content": "Mend the lexer"}
    call = {"type": "tool_use", "id": "t1", "name": "Task", "input": {"prompt": "Search"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "found it"}
    history = [ask, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    main = {"conversation_id": "main", "asked": "Mend the lexer"}
    exchange("m1", 60, [ask], [call], **main)
    search = [{"role": "user", "content": "Search"}]
    exchange(
        "s1", 59, search, [text("lexer.py")], conversation_id="sub", asked="Search", input_tokens=9
    )
    failed = {"state": "error", "status_code": 529, "error": "overloaded"}
    exchange("m2", 58, history, None, **(main | failed))
    exchange("m3", 57, history, [text("Mended.")], **main)
    summed = [{"role": "user", "content": "Summary"}]
    exchange("m4", 56, summed, [text("Go on.")], **main)


def test_messages_stand_once_with_their_requests(agent: None) -> None:
    told = read("agent")
    assert [(entry.row.flow.pk, entry.mark) for entry in told.entries if entry.row] == [
        ("m1", ""),
        ("m1", ""),
        ("m2", "no response"),
        ("m3", ""),
        ("m4", ""),
        ("m4", ""),
    ]
    call = told.entries[1].view
    assert call is not None
    assert [part.kind for part in call.items] == ["call"]
    assert "found it" in call.items[0].results[0].results[0].html


def test_a_side_conversation_stands_where_it_began(agent: None) -> None:
    told = read("agent")
    [branch] = told.entries[1].branches
    assert (branch.thread.letter, branch.title) == ("B", "Search")
    assert [entry.is_response for entry in branch.entries] == [False, True]
    assert told.before == []
    assert len(list(all_entries(told))) == 8


def test_the_page_shows_the_conversation(agent: None, staff: Client) -> None:
    html = staff.get("/flows/session/agent/").content.decode()
    assert html.count("Mend the lexer") == 2 + 1  # the title of page and tab, and the message
    assert html.count("Mended.") == 1
    assert 'id="m-m3"' in html
    assert 'href="/flows/m3/"' in html
    assert "overloaded" in html


def test_a_long_history_is_read_with_few_queries(db: None, django_assert_num_queries: Any) -> None:
    messages: list[Any] = []
    for number in range(30):
        messages.append({"role": "user", "content": f"question {number}"})
        answer = [text(f"answer {number}")]
        exchange(f"q{number}", 60 - number, messages, answer, conversation_id="c")
        messages.append({"role": "assistant", "content": answer})
    found = session("agent")
    assert found is not None
    with django_assert_num_queries(3):
        told = story(found, lambda flow, number, media: "")
    assert len(told.entries) == 60
    assert [entry.row.flow.pk for entry in told.entries[1::2] if entry.row] == [
        f"q{number}" for number in range(30)
    ]


def test_a_long_session_shows_its_newest_messages_until_all_are_asked_for(
    db: None, staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_views, "_NEWEST_REQUESTS", {"conversation": 2, "timeline": 3})
    monkeypatch.setattr(session_views, "_SHOWN_ENTRIES", 5)
    messages: list[dict[str, Any]] = []
    for number in range(5):
        call = {"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {}}
        messages.append({"role": "user", "content": [text(f"Question {number}")]})
        if number:
            result = {"type": "tool_result", "tool_use_id": f"t{number - 1}", "content": "Content"}
            messages.insert(-1, {"role": "user", "content": [result]})
        said = [text(f"Answer {number}"), call]
        asked = {"conversation_id": "c", "asked": f"Question {number}"}
        exchange(f"f{number}", 60 - number, list(messages), said, **asked)
        messages.append({"role": "assistant", "content": said})
    address = "/flows/session/agent/"
    short, every = (staff.get(address + query).content.decode() for query in ("", "?all=1"))
    assert "<h1" in short and "Question 0" in re.findall(r"<h1.*?</h1>", short, re.DOTALL)[0]
    shown = [number for number in range(5) if f">Answer {number}<" in unescape(short)]
    assert shown == [3, 4]
    assert "3 earlier ones are" in short and "Show 6 earlier messages" in short
    assert [number for number in range(5) if f">Answer {number}<" in unescape(every)] == [*range(5)]
    assert "earlier" not in every.partition("<main")[2]
    timeline = staff.get(f"{address}?tab=timeline").content.decode()
    assert re.findall(r"/flows/(f\d)/", timeline.partition("session-rows")[2]) == ["f2", "f3", "f4"]
    assert "?tab=timeline&amp;all=1" in timeline


def test_images_keep_the_address_of_their_request(db: None) -> None:
    seed_session()
    told = read(SESSION)
    sources = []
    for entry in told.entries:
        for item in entry.view.items if entry.view else []:
            for result in item.results:
                sources += [part.source for part in result.results if part.kind == "image"]
    assert sources == [f"{TURN_IDS[2]}#0"]


def test_a_session_without_conversations_says_so(db: None, staff: Client) -> None:
    add_flow("count", 1, session_id="counted", path="/v1/messages/count_tokens", status_code=200)
    html = staff.get("/flows/session/counted/").content.decode()
    assert "is no conversation with a model" in html
