"""What the list shows of a flow: what was asked, and what came back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.reading.preview import PREVIEW_CHARS, one_line, said_line, tool_result_in
from flows.redaction.redactor import Redactor, mark
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side

KEY = "sk-proj-0a1b2c3d4e5f6789abcd"
WORDS = st.sampled_from(
    ["role", "type", "content", "tool_result", "functionResponse", "response", "name", "tool", "id"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def built(asked: dict[str, Any], said: dict[str, Any], redactor: Redactor | None = None) -> Any:
    """The row of a flow with a request and a response."""
    sides = (
        side("client", json.dumps(asked).encode()),
        side("delivered", json.dumps(said).encode()),
    )
    return RowBuilder(redactor or Redactor(SecretRegistry())).build(flow(sides=sides)).flow


def anthropic(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(blocks)}


def asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_text_and_response_on_one_line() -> None:
    row = built(asked("Fix\n  the test"), anthropic({"type": "text", "text": "Done.\n\nBye"}))
    assert (row.asked, row.said) == ("Fix the test", "Done. Bye")


def test_a_response_without_text_shows_its_tools() -> None:
    calls = [
        {"type": "tool_use", "id": f"t{n}", "name": name, "input": {}}
        for n, name in enumerate(["Bash", "Read", "Bash", "Edit", "Glob"])
    ]
    assert built(asked("Go"), anthropic(*calls)).said == "⚙ Bash, Read, Edit and 1 more"
    text = {"type": "text", "text": "I look."}
    assert built(asked("Go"), anthropic(text, *calls)).said == "I look."


def test_a_secret_is_in_neither() -> None:
    registry = SecretRegistry()
    registry.add(KEY)
    row = built(
        asked(f"key {KEY}"), anthropic({"type": "text", "text": f"your {KEY}"}), Redactor(registry)
    )
    assert (row.asked, row.said) == (f"key {mark(KEY)}", f"your {mark(KEY)}")
    output = {"type": "function_call_output", "call_id": "c1", "output": f"KEY={KEY}"}
    row = built({"input": [output]}, anthropic(), Redactor(registry))
    assert row.tool_result == f"⚙ tool: KEY={mark(KEY)}"


@given(st.text(max_size=600), st.lists(st.text(max_size=200), max_size=6))
def test_a_preview_is_short_and_has_no_line_breaks(text: str, tools: list[str]) -> None:
    for line in (one_line(text), said_line(text, tools)):
        assert len(line) <= PREVIEW_CHARS
        assert len(line.splitlines()) <= 1


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_asked_shows_nothing(text: str) -> None:
    assert one_line(text) == ""


ANTHROPIC_RESULT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Fix the test"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "12 passed\nin 3 s"},
                {"type": "text", "text": "<system-reminder>A note</system-reminder>"},
            ],
        },
    ]
}
CHAT_RESULTS = {
    "messages": [
        {"role": "user", "content": "Fix the test"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "bash", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "def total(): ..."},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "1 failed"}]},
    ]
}
RESPONSES_RESULT = {
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Fix the test"}]},
        {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a.py b.py"},
    ]
}
GOOGLE_RESULT = {
    "contents": [
        {"role": "user", "parts": [{"text": "Fix the test"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "list_files", "args": {}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "list_files", "response": {"output": "a.py"}}}],
        },
    ]
}
UNNAMED = {"input": [{"type": "local_shell_call_output", "call_id": "c9", "output": {"exit": 1}}]}


@pytest.mark.parametrize(
    ("request_body", "line"),
    [
        (ANTHROPIC_RESULT, "⚙ Bash: 12 passed in 3 s"),
        (CHAT_RESULTS, "⚙ read, bash: 1 failed"),
        (RESPONSES_RESULT, "⚙ shell: a.py b.py"),
        (GOOGLE_RESULT, "⚙ list_files: a.py"),
        ({"request": GOOGLE_RESULT}, "⚙ list_files: a.py"),
        (UNNAMED, "⚙ tool: exit: 1"),
    ],
    ids=["anthropic", "chat", "responses", "google", "code-assist", "unnamed"],
)
def test_a_request_that_brings_tool_results_shows_them(
    request_body: dict[str, Any], line: str
) -> None:
    assert built(request_body, anthropic({"type": "text", "text": "Good."})).tool_result == line


def test_a_failed_tool_says_so_and_a_silent_one_has_its_name_alone() -> None:
    request_body = copy.deepcopy(ANTHROPIC_RESULT)
    result = request_body["messages"][-1]["content"][0]
    result |= {"content": "", "is_error": True}
    assert tool_result_in(request_body) == "⚙ Bash failed"


def test_results_before_a_text_of_the_user_are_not_news() -> None:
    request_body = copy.deepcopy(ANTHROPIC_RESULT)
    request_body["messages"][-1]["content"].append({"type": "text", "text": "Stop there."})
    row = built(request_body, anthropic())
    assert (row.asked, row.tool_result) == ("Stop there.", "")
    request_body["messages"][-1]["content"].pop()
    request_body["messages"].append({"role": "user", "content": "Now the docs"})
    row = built(request_body, anthropic())
    assert (row.asked, row.tool_result) == ("Now the docs", "")


@given(parts=st.lists(JSON, max_size=3), name=st.sampled_from(["messages", "input", "contents"]))
def test_no_request_breaks_it(parts: list[Any], name: str) -> None:
    assert isinstance(tool_result_in({name: parts}), str)
    blocks = {"role": "user", "content": parts, "parts": parts, "type": "function_call_output"}
    assert isinstance(tool_result_in({name: [*parts, blocks]}), str)


def test_a_large_result_costs_its_start_alone() -> None:
    big = {"type": "tool_result", "tool_use_id": "t", "content": [{"text": "x" * 10**7}] * 3}
    line = tool_result_in({"messages": [{"role": "user", "content": [big] * 30}]})
    assert len(line) == 2400
