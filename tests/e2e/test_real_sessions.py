"""The official agents finish a task with a tool at another vendor, with their default settings.

    CCPROXY_TEST_REAL_CLIENTS=1 pytest tests/e2e/test_real_sessions.py

See `real_clients.py`. The vendor is scripted: it refuses with 400 what its documentation says it
refuses, asks for one command, and ends when it has the result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.base.names import WireFormatName
from tests.e2e.real_clients import MARKS, codex_settings, run_program
from tests.fakes.upstream import Script, Seen, Upstream
from tests.fakes.vendor_rules import refusals
from tests.interceptor.proxied import provider, rule, running_proxy, snapshot
from tests.providers.wire.asking import A, C, G, R

pytestmark = MARKS

MARK = "result-of-the-tool-4711"
SHELL = re.compile(r"bash|shell|exec|command", re.IGNORECASE)
MODELS: dict[WireFormatName, str] = {
    A: "claude-opus-5-5",
    C: "gpt-5.2",
    R: "gpt-5.6-sol",
    G: "gemini-3.8-flash",
}
TYPES = {A: "anthropic", C: "openai", R: "openai_responses", G: "google"}
PATHS = {
    A: "/v1/messages",
    C: "/v1/chat/completions",
    R: "/v1/responses",
    G: "/v1beta/models/{model}:{action}",
}
PAIRS = [
    ("codex", A),
    ("codex", G),
    ("claude", R),
    ("claude", C),
    ("claude", G),
    ("gemini", A),
    ("gemini", R),
]


def declared(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions of a request, each with its name and schema."""
    found: list[dict[str, Any]] = []
    for tool in body.get("tools") or []:
        inner = tool.get("functionDeclarations") or [tool.get("function") or tool]
        for one in inner:
            schema = (
                one.get("input_schema") or one.get("parameters") or one.get("parametersJsonSchema")
            )
            found.append({"name": one.get("name", ""), "schema": schema or {}})
    return found


def command_call(body: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The name and the arguments of a call that prints the mark; None without a shell tool."""
    for tool in declared(body):
        properties = tool["schema"].get("properties") or {}
        field = next((name for name in ("command", "cmd") if name in properties), None)
        if field is None or not SHELL.search(tool["name"]):
            continue
        # The mark is in the result alone. Gemini CLI runs no command with a substitution.
        text = "printf result-of-the-tool-%s 4711"
        kinds = str(properties[field].get("type")) + str(properties[field].get("anyOf"))
        value: Any = ["bash", "-lc", text] if "array" in kinds else text
        arguments = dict.fromkeys(tool["schema"].get("required") or [], "x")
        return tool["name"], arguments | {field: value}
    return None


def answer(fmt: WireFormatName, text: str, call: tuple[str, dict[str, Any]] | None) -> Any:
    """A complete response of the vendor: a text, or one call."""
    name, arguments = call or ("", {})
    written = json.dumps(arguments)
    if fmt == A:
        block = (
            {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}
            if call
            else {"type": "text", "text": text}
        )
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": MODELS[A],
            "content": [block],
            "stop_reason": "tool_use" if call else "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    if fmt == C:
        message: dict[str, Any] = {"role": "assistant", "content": None if call else text}
        if call:
            function = {"name": name, "arguments": written}
            message["tool_calls"] = [{"id": "c1", "type": "function", "function": function}]
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if call else "stop",
        }
        return {"id": "c", "object": "chat.completion", "model": MODELS[C], "choices": [choice]}
    if fmt == R:
        item: dict[str, Any] = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
        if call:
            item = {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c1",
                "name": name,
                "arguments": written,
            }
        return {
            "id": "resp_1",
            "object": "response",
            "model": MODELS[R],
            "status": "completed",
            "output": [item],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        }
    part = {"functionCall": {"name": name, "args": arguments}} if call else {"text": text}
    return {
        "candidates": [
            {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
        ],
        "modelVersion": MODELS[G],
    }


class ToolVendor:
    """A vendor that asks for one command, and keeps what it had to refuse."""

    def __init__(self, fmt: WireFormatName) -> None:
        self.format = fmt
        self.refused: list[str] = []
        self.results = 0

    def choose(self, seen: Seen) -> Script:
        body = seen.json
        if problems := refusals(self.format, MODELS[self.format], body):
            self.refused += problems
            error = {"error": {"message": str(problems), "type": "invalid_request_error"}}
            return Script(status=400, pieces=(json.dumps(error).encode(),))
        has_result = MARK in json.dumps(body)
        self.results += has_result
        call = None if has_result else command_call(body)
        made = answer(self.format, "ALL-DONE", call)
        return Script(pieces=(json.dumps(made).encode(),))


@pytest.fixture
def vendors() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def run(name: str, folder: Path, home: Path, url: str) -> str:
    """Give a program one task; all that it prints."""
    task = "Run the command that you are asked for, then say what it printed."
    words = {
        "claude": ["-p", task, "--model", "haiku", "--allowedTools", "Bash"],
        "codex": [
            *("exec", "--skip-git-repo-check", "-m", "gpt-5.2"),
            "--dangerously-bypass-approvals-and-sandbox",
        ],
        "gemini": ["-p", task, "-m", "gemini-2.5-flash", "--approval-mode", "yolo"],
    }[name]
    if name == "codex":
        words += [*codex_settings(url), task]
    done = run_program(folder / name, words, home, url, "sk-ccproxy-vendor")
    return done.stdout + done.stderr


@pytest.mark.parametrize(("name", "fmt"), PAIRS)
def test_a_task_with_a_tool_is_finished(
    programs: Path, vendors: Upstream, tmp_path: Path, name: str, fmt: WireFormatName
) -> None:
    vendor = ToolVendor(fmt)
    model = MODELS[fmt]
    paths = [PATHS[fmt]]
    if fmt == G:
        actions = ("generateContent", "streamGenerateContent")
        paths = [PATHS[G].format(model=model, action=action) for action in actions]
    vendors.scripts = dict.fromkeys(paths, vendor.choose)
    served = provider("vendor", vendors.port, type=TYPES[fmt], path=PATHS[fmt])
    to_model = rule("transform", name="all", dest_provider="vendor", dest_model=model)
    with running_proxy(snapshot(served, rules=(to_model,))) as running:
        said = run(name, programs, tmp_path / "home", running.url)
    assert vendor.refused == []
    assert vendor.results, said[-2000:]
    assert "ALL-DONE" in said, said[-2000:]
