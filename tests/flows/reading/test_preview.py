"""What the list shows of a flow: what was asked, and what came back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.reading.preview import PREVIEW_CHARS, one_line, said_line
from flows.redaction.redactor import Redactor, mark
from flows.writer.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side

KEY = "sk-proj-0a1b2c3d4e5f6789abcd"


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


@given(st.text(max_size=600), st.lists(st.text(max_size=200), max_size=6))
def test_a_preview_is_short_and_has_no_line_breaks(text: str, tools: list[str]) -> None:
    for line in (one_line(text), said_line(text, tools)):
        assert len(line) <= PREVIEW_CHARS
        assert len(line.splitlines()) <= 1


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_asked_shows_nothing(text: str) -> None:
    assert one_line(text) == ""
