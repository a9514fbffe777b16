"""Search text holds the last question and the answer of every vendor's format."""

from __future__ import annotations

import json

import pytest

from flows.models import Flow
from flows.queries.filters import FlowFilter
from flows.reading.search_text import MAX_BYTES, answer, question
from flows.redaction.redactor import Redactor, mark
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side

TOOL_RESULT = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "1", "content": "42"}],
}
NOTE = {"type": "text", "text": "<system-reminder>be nice</system-reminder>"}


@pytest.mark.parametrize(
    "request_body",
    [
        {"messages": [{"role": "user", "content": "why?"}]},
        {
            "messages": [
                {"role": "user", "content": [NOTE, {"type": "text", "text": "why?"}]},
                TOOL_RESULT,
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "old"},
                {"role": "user", "content": "why?"},
                {"role": "assistant"},
            ]
        },
        {"input": "why?"},
        {
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "why?"}]},
                {"type": "reasoning"},
            ]
        },
        {
            "contents": [
                {"role": "user", "parts": [{"text": "why?"}]},
                {"role": "model", "parts": [{"text": "so"}]},
            ]
        },
        {"contents": [{"parts": [{"text": "why?"}]}]},
        {"request": {"contents": [{"role": "user", "parts": [{"text": "why?"}]}]}},
    ],
)
def test_question(request_body: object) -> None:
    assert question(json.dumps(request_body).encode()) == "why?"


@pytest.mark.parametrize(
    "texts",
    [
        ["<session_context>\nToday is Monday.\n</session_context>", "why?"],
        ["The project has these files: " + "a.py " * 200, "why?"],
        ["why?", "\n--- Content from referenced files ---", "Content of a.py", "x = 1\n" * 100],
        ["why?", "<environment_details>\nno files are open\n</environment_details>"],
        ["<ide-context>a.py</ide-context>", "why?", "See a < b."],
    ],
)
def test_the_users_own_text_comes_before_what_the_client_adds(texts: list[str]) -> None:
    parts = [{"type": "text", "text": text} for text in texts]
    found = question(json.dumps({"messages": [{"role": "user", "content": parts}]}).encode())
    assert found.splitlines()[0] == "why?"
    # Nothing is left out, as far as there is room.
    assert all(text[:20] in found for text in texts)


def test_a_text_in_a_tag_is_shown_where_nothing_else_is() -> None:
    parts = [{"type": "text", "text": "<task>\nwhy?\n</task>"}, NOTE]
    assert "why?" in question(
        json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"messages": 5}', b'{"messages": [1, {"content": {}}]}']
)
def test_no_question(body: bytes) -> None:
    assert question(body) == ""


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": [{"type": "text", "text": "because"}]}',
        b'{"choices": [{"message": {"content": "because"}}]}',
        (
            b'{"output": [{"type": "message", "content": [{"type": "output_text", "text":'
            b' "because"}]}]}'
        ),
        b'{"candidates": [{"content": {"parts": [{"text": "because"}]}}]}',
        (
            b'data: {"choices": [{"delta": {"content": "be"}}]}\n\n'
            b'data: {"choices": [{"delta": {"content": "cause"}}]}\n\n'
        ),
        (
            b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text":'
            b' "because"}}\n\n'
        ),
        b'data: {"candidates": [{"content": {"parts": [{"text": "because"}]}}]}\n\n',
    ],
)
def test_answer(body: bytes) -> None:
    assert answer(body) == ("because", ())


def test_the_text_is_bounded_and_holds_no_secret_even_in_pieces() -> None:
    registry = SecretRegistry()
    key = "sk-proj-0123456789abcdefghij"
    registry.add(key)
    pieces = "".join(
        f"data: {json.dumps({'choices': [{'delta': {'content': part}}]})}\n\n" for part in key
    )
    sides = (
        side("client", json.dumps({"input": "é" * 9000}).encode()),
        side("delivered", pieces.encode()),
    )
    text = RowBuilder(Redactor(registry)).build(flow(sides=sides)).flow.search_text
    assert len(text.encode()) <= MAX_BYTES + len(mark(key).encode())
    assert "flow-1" in text
    assert mark(key) in text
    assert key not in text


@pytest.mark.django_db
@pytest.mark.parametrize("words", ["Zürich", "ZÜRICH", "zürich bahnhof", "HAUPT", "100%_"])
def test_a_search_folds_letters_of_any_script(words: str) -> None:
    said = json.dumps({"input": "Wie weit ist Zürich Hauptbahnhof, 100%_ genau?"}).encode()
    other = json.dumps({"input": "Zurich, 100 genau"}).encode()
    builder = RowBuilder(Redactor(SecretRegistry()))
    for name, body in (("a", said), ("b", other)):
        write_batch([builder.build(flow(name, sides=(side("client", body),)))])
    assert [found.pk for found in FlowFilter({"q": words}, queryset=Flow.objects.all()).qs] == ["a"]
