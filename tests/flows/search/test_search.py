"""Search in the texts of flows: everything that they hold is found, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from typing import Any, Literal
from unicodedata import normalize
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.console.flow_list.filter_form import FlowListFilter
from flows.lineage.linker import Linker
from flows.models import (
    Flow,
    FlowBody,
    FlowParts,
    FlowText,
    SearchSegment,
    SearchShelf,
    WebSocketMessage,
)
from flows.queries.filters import FlowFilter, PagedFlowFilter
from flows.reading.body_view import BodyView, body_view
from flows.search import finder
from flows.search.body_parts import message_parts, request_parts, response_parts
from flows.search.candidates import ids_at
from flows.search.folding import folded, spellings
from flows.search.indexer import Indexer, waiting
from flows.search.segment_rows import build_segment, dissolve_segments
from flows.search.text_filter import page_hits, search_notes
from flows.services import clear_everything, clear_ids
from tests.flows.agent_session import made_up, record, session
from tests.flows.lineage.test_linker import record as store
from tests.flows.records import flow as flow_record
from tests.flows.records import side
from tests.flows.seed import seed_websocket
from tests.flows.seed import store as store_body

pytestmark = pytest.mark.django_db
SECRET = "Ünïque-Zeichenkette"
OTHER_TEXTS = "0000\n0001\n0010\n0011\n0020\n0021\npost\n/v1/messages\nmodel: m\nc: d\nmessage"
"""Texts that the flows of the property have besides."""


def index() -> None:
    """Do what the recorder's thread does with flows."""
    linker, indexer = Linker(), Indexer()
    while linker.link_pending():
        pass
    while indexer.index_pending(50):
        pass


def cleared() -> int:
    # PostgreSQL empties no table whose foreign keys a transaction has yet to check.
    connection.check_constraints()
    return clear_everything()


def search(text: str, **others: Any) -> list[str]:
    flows = FlowFilter({"q": text, **others}, queryset=Flow.objects.order_by("id")).qs
    return list(flows.values_list("pk", flat=True))


def conversation(turns: int, name: str = "a") -> list[str]:
    """Store a session and index it; the ids of its flows."""
    made = session(made_up(seed=ord(name)), turns, 3000)
    records = [
        replace(record(number, turn), id=f"{name}-{number:04d}", session_id=f"session-{name}")
        for number, turn in enumerate(made)
    ]
    store(records)
    index()
    return [each.id for each in records]


def message(text: str, flow_id: str, *, answer: str = "Yes.", **changes: Any) -> None:
    """Store a flow with one message, not indexed."""
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    response = {"type": "message", "content": [{"type": "text", "text": answer}]}
    sides = (
        side("client", json.dumps(request).encode()),
        side("upstream", json.dumps(response).encode(), status_code=200),
    )
    store([replace(flow_record(flow_id, sides=sides), **changes)])


def test_a_flow_is_found_by_what_it_adds_and_by_nothing_that_it_repeats() -> None:
    ids = conversation(6)
    texts = {row.pk: row for row in FlowText.objects.all()}
    assert sorted(texts) == sorted(ids)
    assert not waiting().exists()
    for earlier, flow_id in pairwise(ids):
        assert texts[flow_id].base == earlier
    assert search("Find the defect and mend it.") == [ids[0]]
    assert search('"find THE Defect and"') == [ids[0]]
    assert search('"defect Find"') == []
    # A row of the session without its own text: names are those of every flow.
    assert search("session-a") == ids


def test_a_deleted_flow_leaves_nothing_and_its_texts_go_to_the_next_one() -> None:
    ids = conversation(4)
    assert build_segment(4)
    word = "Find the defect"
    assert search(f'"{word}"') == [ids[0]]
    clear_ids([ids[0]])
    assert set(FlowText.objects.values_list("pk", flat=True)) == set(ids[1:])
    assert search(f'"{word}"') == []
    assert [flow.pk for flow in waiting()] == [ids[1]]
    index()
    assert search(f'"{word}"') == [ids[1]]
    # The trigrams of the deleted flow go with its segment.
    assert dissolve_segments() == 1
    assert not SearchShelf.objects.exists() and not SearchSegment.objects.exists()
    assert dissolve_segments() == 0
    assert search(f'"{word}"') == [ids[1]]


def test_clearing_everything_empties_the_index() -> None:
    conversation(3)
    assert build_segment(3)
    assert cleared() == 3
    assert not FlowText.objects.exists()
    assert not SearchShelf.objects.exists() and not SearchSegment.objects.exists()


def test_flows_that_wait_are_found_by_their_columns_and_counted() -> None:
    message(SECRET, "waiting-flow")
    assert search_notes("") == []
    assert search_notes("word")[0].startswith("Still indexing 1 flow;")
    assert search(SECRET.upper()) == ["waiting-flow"]
    assert search("nowhere-at-all") == []
    assert Flow.objects.get().search_text
    index()
    assert search_notes("word") == []
    assert search(SECRET.upper()) == ["waiting-flow"]
    # The index has it now.
    assert Flow.objects.get().search_text == ""


@pytest.mark.parametrize("stage", ["waiting", "indexed", "segment"])
def test_accents_are_found_however_they_are_written(stage: str) -> None:
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for form in forms:
        message(normalize(form, "open Résumé-Übersicht.pdf, Tiếng_Việt.txt"), form)
    message("open Resume-Ubersicht.pdf, Tieng_Viet.txt", "plain")
    if stage != "waiting":
        index()
    if stage == "segment":
        assert build_segment(3)
    for form in forms:
        for text in ("résumé-übersicht", "Tiếng_Việt résumé", '"Tiếng_Việt.txt"'):
            assert search(normalize(form, text)) == ["NFC", "NFD"]
        hits = page_hits(normalize(form, "résumé"), Flow.objects.all())
        if stage != "waiting":
            assert {name: normalize("NFC", hit.found) for name, hit in hits.items()} == {
                "NFC": "Résumé",
                "NFD": "Résumé",
            }
    assert search("resume-ubersicht") == ["plain"]


def test_short_words_are_found_and_said() -> None:
    message("ab: größer", "short", host="h.example")
    message("other", "other", host="xy.example")
    index()
    assert search("b:") == ["short"]
    assert search("xy") == ["other"]
    assert search("zq") == []
    assert "newest" in search_notes("zq")[0]
    assert search("größ b:") == ["short"]


def test_other_filters_and_pages_apply_to_what_is_found() -> None:
    for number in range(12):
        provider = "even" if number % 2 == 0 else "odd"
        message(f"common text {number:02}", f"f-{number:02}", provider=provider)
    index()
    assert build_segment(12)
    assert len(search("common")) == 12
    assert search("common", provider="odd") == [f"f-{n:02}" for n in range(1, 12, 2)]
    with (
        patch.object(finder, "AT_ONCE", 2),
        patch.object(finder, "_READ_FLOWS", 2),
        patch.object(PagedFlowFilter, "enough", 3),
    ):
        given_ = {"q": "common", "provider": "odd"}
        flows = PagedFlowFilter(given_, queryset=Flow.objects.order_by("-started_at", "-id")).qs
        found = [flow.pk for flow in flows]
        # The newest ones, at least as many as a page needs.
        assert found == sorted((f"f-{n:02}" for n in range(1, 12, 2)), reverse=True)[: len(found)]
        assert 3 <= len(found) < 6
        assert len(search("common")) == 12


def test_a_page_answers_in_time_and_goes_on(staff: Client) -> None:
    for number in range(12):
        # All have the trigrams of the word, and one has the word.
        message(f"abcab {number:02} {'abcabd' if number == 1 else 'cabd'}", f"f-{number:02}")
    index()
    assert build_segment(12)
    with (
        patch.object(finder, "_FEW_READ", 4),
        patch.object(finder, "_READ_FLOWS", 4),
        patch.object(FlowListFilter, "time_s", 0.0),
    ):
        pages = []
        address = "/flows/?q=abcabd"
        while address:
            html = staff.get(address).content.decode()
            rows = re.findall(r'<tr id="f-([^"]+)"', html)
            further = re.search(r'<a href="([^"]*)">Search further', html)
            # A page without rows goes on by itself.
            assert ('hx-trigger="load' in html) is (further is not None and not rows)
            assert ("No flow matches" in html) is (further is None and not rows)
            pages.append(rows)
            address = unescape(further[1]) if further else ""
        assert [row for rows in pages for row in rows] == ["f-01"]
        assert len(pages) > 2
        # Other callers wait for the whole answer.
        assert search("abcabd") == ["f-01"]


def test_flows_that_wait_for_the_index_come_in_their_turn(staff: Client) -> None:
    for number in range(8):
        message(f"common thing {number:02}", f"f-{number:02}")
    index()
    assert build_segment(8)
    Flow.objects.filter(pk="f-00").update(searched=None, search_text="common thing")
    FlowText.objects.filter(pk="f-00").delete()
    with (
        patch.object(finder, "_FEW_READ", 4),
        patch.object(FlowListFilter, "time_s", 0.0),
    ):
        html = staff.get("/flows/?q=common").content.decode()
        assert "f-00" not in re.findall(r'<tr id="f-([^"]+)"', html)
        [further] = re.findall(r'<a href="([^"]*)">Search further', html)
        html = staff.get(unescape(further)).content.decode()
        assert re.findall(r'<tr id="f-([^"]+)"', html)[-1] == "f-00"


def test_a_live_list_reads_its_own_rows_alone(staff: Client) -> None:
    for number in range(6):
        message(f"common thing {number:02}", f"f-{number:02}")
    index()
    with patch.object(finder, "_verified", wraps=finder._verified) as verified:
        html = staff.get("/flows/rows?q=common&ids=f-02,f-03&cursor=1_a").content.decode()
    assert re.findall(r'<tr id="f-([^"]+)"', html) == ["f-03", "f-02"]
    assert sum(len(call.args[0]) for call in verified.call_args_list) == 2


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_no_look_up_of_positions_reads_all_texts() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert ids_at({1: 0b101, 2: 0b1}) == []
    [query] = asked.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
        plan = [row[3] for row in cursor.fetchall()]
    assert [step for step in plan if "stored" in step or "flows_flowtext" in step] == [
        "SEARCH stored USING INDEX text_segment (segment=? AND position=?)"
    ]


def test_a_hit_says_where_it_stands() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": f"\n… {SECRET} …\n"}
    turns = [
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls -l"}}
            ],
        },
        {"role": "user", "content": [result]},
    ]
    body = json.dumps({"model": "m", "messages": turns}).encode()
    headers = (("x-request-id", "req_0815"), ("content-type", "application/json"))
    store([flow_record("f", sides=(side("client", body, headers),))])
    index()
    flows = list(Flow.objects.all())
    hit = page_hits(SECRET.lower(), flows)["f"]
    assert (hit.where, hit.before, hit.found) == ("tool result, turn 3", " ⏎ … ", SECRET)
    assert page_hits('"ls -l"', flows)["f"].where == "call of Bash, turn 2"
    assert page_hits('"command: ls"', flows)["f"].where == "call of Bash, turn 2"
    assert page_hits("REQ_0815", flows)["f"].where == "header"
    assert search("REQ_0815 x-request-id") == ["f"]
    # Nearly every flow has it alike; the filter by header finds it.
    assert search("application/json") == []
    assert page_hits("nowhere", flows) == {}


FORMATS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "system": [{"type": "text", "text": "sys-text"}],
        "tools": [{"name": "Read", "description": "tool-text", "input_schema": {}}],
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "think-text", "signature": "s" * 40},
                    {
                        "type": "tool_use",
                        "id": "id-text",
                        "name": "Read",
                        "input": {"a": "arg-text"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "id-text",
                        "content": [{"type": "text", "text": "result-text"}],
                    }
                ],
            },
        ],
    },
    "chat": {
        "messages": [
            {"role": "system", "content": "sys-text"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "think-text",
                "tool_calls": [
                    {
                        "id": "id-text",
                        "type": "function",
                        "function": {"name": "Read", "arguments": '{"a": "arg-text"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "id-text", "content": "result-text"},
        ],
        "tools": [{"type": "function", "function": {"name": "Read", "description": "tool-text"}}],
    },
    "responses": {
        "instructions": "sys-text",
        "input": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "think-text"}]},
            {
                "type": "function_call",
                "call_id": "id-text",
                "name": "Read",
                "arguments": '{"a": "arg-text"}',
            },
            {"type": "function_call_output", "call_id": "id-text", "output": "result-text"},
        ],
        "tools": [{"type": "function", "name": "Read", "description": "tool-text"}],
    },
    "google": {
        "systemInstruction": {"parts": [{"text": "sys-text"}]},
        "contents": [
            {
                "role": "model",
                "parts": [
                    {"text": "think-text", "thought": True},
                    {"functionCall": {"id": "id-text", "name": "Read", "args": {"a": "arg-text"}}},
                ],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "Read", "response": {"b": "result-text"}}}],
            },
        ],
        "tools": [{"functionDeclarations": [{"name": "Read", "description": "tool-text"}]}],
    },
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_part_of_a_request_has_its_name(name: str) -> None:
    found = list(request_parts(view(FORMATS[name])))
    where = {
        word: {part.where for part in found if f"{word}-text" in part.text}
        for word in ("sys", "tool", "think", "arg", "result")
    }
    turn = {"chat": 2}.get(name, 1)
    assert where["sys"] in ({"system prompt"}, {"system, turn 1"})
    assert where["tool"] == {"definition of a tool"}
    assert where["think"] == {f"thinking, turn {turn}"}
    call = 2 if name == "responses" else turn
    assert where["arg"] == {f"call of Read, turn {call}"}
    assert where["result"] == {f"tool result, turn {call + 1}"}
    assert not any("ssss" in part.text for part in found)


def view(body: Any) -> BodyView:
    return body_view("client", json.dumps(body).encode(), "application/json")


def test_a_response_and_the_request_that_repeats_it_have_the_same_texts() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm, Ärger", "signature": "abc"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_0123456789", "name": "Bash", "input": {"command": "ls"}},
    ]
    said = {part.text for part in response_parts(view({"type": "message", "content": content}))}
    turn = {"messages": [{"role": "assistant", "content": content}]}
    repeated = {part.text for part in request_parts(view(turn))}
    assert repeated <= said, repeated - said


def test_messages_of_a_websocket_and_opaque_data() -> None:
    data = json.dumps({"type": "response.create", "input": [{"role": "user", "content": "Hallo"}]})
    [hallo] = [p for p in message_parts(data.encode(), "message 1") if p.text == "Hallo"]
    assert hallo.where == "user, turn 1 (message 1)"
    image = {
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"data": "iVBO" * 300}}]}
        ]
    }
    assert not any("iVBO" in part.text for part in request_parts(view(image)))
    # Chinese has no spaces either.
    chinese = "编译失败了" * 200
    [part] = request_parts(view({"messages": [{"role": "user", "content": chinese}]}))
    assert part.text == chinese


def test_a_hit_in_a_websocket_names_the_number_that_its_page_shows(staff: Client) -> None:
    socket = seed_websocket()
    sent = json.dumps({"type": "response.create", "input": "Zygomorphe Blumen"}).encode()
    WebSocketMessage.objects.filter(flow=socket, seq=0).update(body_digest=store_body(sent))
    index()
    (hit,) = page_hits("zygomorphe", [socket]).values()
    (number,) = re.findall(r"message (\d+)", hit.where)
    page = staff.get(f"/flows/{socket.pk}/?tab=messages").content.decode()
    (row,) = [row for row in page.split("<tr>") if "Zygomorphe" in row]
    assert f'<td class="num muted">{number}</td>' in row


# --- any text

words = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"\r'),
    min_size=3,
    max_size=30,
).filter(lambda text: text.strip() == text and len(text.split()) == 1)


def turns(number: int, asked: str, said: str, result: str) -> None:
    """Store a session of two flows: a question with its response, and a tool's result to it."""
    name = f"{number:03}"
    call = {"type": "tool_use", "id": f"{name}0", "name": "B", "input": {"c": "d"}}
    content = [{"type": "text", "text": said}, call]
    first = [{"role": "user", "content": asked}]
    back = {"type": "tool_result", "tool_use_id": f"{name}0", "content": result}
    more = [{"role": "assistant", "content": content}, {"role": "user", "content": [back]}]
    records = []
    for index_, messages in enumerate((first, [*first, *more])):
        request = json.dumps({"model": "m", "messages": messages}).encode()
        answer = json.dumps({"type": "message", "content": content if index_ == 0 else []})
        sides = (side("client", request), side("upstream", answer.encode(), status_code=200))
        made = flow_record(f"{name}{index_}", sides=sides)
        started = made.started_at + 10 * number + index_
        records.append(
            replace(made, session_id=name, host="", path="/v1/messages", started_at=started)
        )
    store(records)


@settings(max_examples=12, deadline=None)
@given(texts=st.lists(st.tuples(words, words, words), min_size=1, max_size=3), data=st.data())
def test_any_part_of_a_conversation_is_found_and_only_where_it_is_new(
    texts: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    cleared()
    holders: list[tuple[str, str]] = []
    for number, (asked, said, result) in enumerate(texts):
        turns(number, asked, said, result)
        holders += [(f"{number:03}0", asked), (f"{number:03}0", said)]
        if result not in (asked, said):
            holders.append((f"{number:03}1", result))
    index()
    # Some of them stay without a segment.
    build_segment(2 * len(texts) - 1)
    _, text = data.draw(st.sampled_from(holders))
    start = data.draw(st.integers(0, len(text) - 3))
    part = text[start : data.draw(st.integers(start + 3, len(text)))]
    wanted = data.draw(st.sampled_from([part.upper(), part.lower(), part]))
    # Some letters fold to none, or are spaces in upper case.
    if len(wanted.split()) != 1 or wanted.strip() != wanted:
        return
    spelled = [folded(each) for each in spellings(wanted)]
    holding = {name for name, each in holders if any(one in folded(each) for one in spelled)}
    found = set(search(wanted))
    assert holding <= found
    if folded(wanted) not in OTHER_TEXTS:
        assert found == holding


@pytest.mark.parametrize("damage", ["body", "sides"])
def test_a_damaged_flow_keeps_no_other_from_the_index(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    message("The first of them.", "one")
    message("It will be damaged.", "two")
    message("The last of them.", "three")
    parts = FlowParts.objects.get(pk="two")
    if damage == "sides":
        parts.sides = "not JSON"
        parts.save()
    else:
        digest = parts.by_side()["client"].body_digest
        FlowBody.objects.filter(pk=digest).update(blob=b"not packed", encoding="zstd")
    index()
    assert "Flow two could not be indexed" in caplog.messages
    assert (search("first of them"), search("last of them")) == (["one"], ["three"])
    assert not Flow.objects.filter(searched=None).exists()
