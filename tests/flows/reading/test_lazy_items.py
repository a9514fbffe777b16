"""Items of a conversation are written when a page shows them, and once."""

from __future__ import annotations

import pytest

from flows.reading.conversation import item_reader, item_text
from flows.reading.conversation.conversation_view import conversation
from flows.reading.decoded import read_request
from providers.wire.core.jsonio import dumps

BODY = {
    "model": "claude-sonnet-4-5",
    "system": "Be short.",
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": "**Hello**"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "A thought.", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
                {"type": "tool_use", "id": "t2", "name": "Odd", "input": {"x": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "a.py"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "b.py"},
                {"type": "text", "text": "<system-reminder>Note</system-reminder>"},
            ],
        },
    ],
}


def test_nothing_is_written_before_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    writers = {
        "visible": item_text,
        "plain": item_reader,
        "rendered": item_reader,
        "tool_view": item_reader,
    }
    for name, module in writers.items():
        original = getattr(module, name)

        def note(*values: str, original: object = original, name: str = name) -> object:
            written.append(name)
            return original(*values)  # type: ignore[operator]

        monkeypatch.setattr(module, name, note)
    request, problem = read_request("anthropic_messages", "/v1/messages", dumps(BODY))
    assert request is not None and not problem
    chat = conversation(request, None, lambda number: "")
    assert chat.system is not None and chat.system.size_bytes == 9
    assert written == []
    user, model, _ = chat.turns
    assert "<strong>Hello</strong>" in user.items[0].html
    known, unknown = model.items[1:]
    assert known.formed and "ls" in known.html and known.subject == ""
    assert not unknown.formed and "x" in unknown.html
    assert written == ["rendered", "tool_view", "tool_view", "visible"]
