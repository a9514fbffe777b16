"""Sessions in Google's format, without ids of sessions or calls: every known break and none else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from flows.record import FlowRecord
from tests.flows.lineage import synthetic
from tests.flows.lineage.synthetic import Agent, Expected
from tests.flows.lineage.test_linker import linked, told

pytestmark = pytest.mark.django_db

_OF_ANTHROPIC = ("settings_changed", "settings_written_out", "deferred_tool_added")
"""They change fields that Google's format does not have."""
SCRIPTS = [each for each in synthetic.SCRIPTS if each.__name__ not in _OF_ANTHROPIC]


def part(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block as Google writes it; calls and results have no ids."""
    if block["type"] == "text":
        return {"text": block["text"]}
    if block["type"] == "tool_use":
        return {"functionCall": {"name": block["name"], "args": block["input"]}}
    return {"functionResponse": {"name": "Read", "response": {"output": block["content"]}}}


def request(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request of Anthropic's format in Google's."""
    roles = {"user": "user", "assistant": "model"}
    declarations = []
    for tool in body["tools"]:
        declared = {"name": tool["name"], "description": tool["description"]}
        declarations.append({**declared, "parametersJsonSchema": tool["input_schema"]})
    return {
        "systemInstruction": {"parts": [part(block) for block in body["system"]]},
        "tools": [{"functionDeclarations": declarations}],
        "contents": [
            {"role": roles[each["role"]], "parts": [part(block) for block in each["content"]]}
            for each in body["messages"]
        ],
    }


def response(stream: bytes) -> bytes:
    """Return a stream of Anthropic's events as one of Google's."""
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: ")]
    if not events:
        return stream
    parts: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            parts.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            if "text" in delta:
                parts[-1]["text"] = delta["text"]
            else:
                parts[-1]["input"] = json.loads(delta["partial_json"])
    found: list[dict[str, Any]] = []
    for each in parts:
        candidate = {"content": {"role": "model", "parts": [part(each)]}}
        found.append({"candidates": [candidate]})
    if events[-1]["type"] == "message_stop":
        read = events[0]["message"]["usage"]["cache_read_input_tokens"]
        counts = {"promptTokenCount": read + 4000, "cachedContentTokenCount": read}
        last = {"content": {"role": "model", "parts": []}, "finishReason": "STOP"}
        found.append({"candidates": [last], "usageMetadata": counts})
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in found)


def changed[T](value: T, **fields: Any) -> T:
    """Return a record with other fields."""
    names: Iterable[str] = getattr(type(value), "__slots__", ())
    return type(value)(**{name: getattr(value, name) for name in names} | fields)


def as_google(sent: FlowRecord) -> FlowRecord:
    """Return a record of Anthropic's format as Google's client and provider would make it."""
    path = f"/v1beta/models/{sent.requested_model}:streamGenerateContent?alt=sse"
    sides = []
    for side in sent.sides:
        is_request = side.side in ("client", "forwarded")
        body = json.dumps(request(json.loads(side.body or b"{}"))).encode() if is_request else b""
        sides.append(changed(side, body=body or response(side.body or b"")))
    hooks = []
    for hook in sent.hooks:
        before, after = (
            json.dumps(request(json.loads(body or b"{}"))).encode()
            for body in (hook.body_before, hook.body_after)
        )
        hooks.append(changed(hook, body_before=before, body_after=after))
    return changed(
        sent,
        host="generativelanguage.googleapis.com",
        path=path,
        client_url=f"http://127.0.0.1:4000{path}",
        forwarded_url=f"https://generativelanguage.googleapis.com{path}",
        client_format="google_generate",
        provider_format="google_generate",
        provider_type="gemini",
        sides=tuple(sides),
        hooks=tuple(hooks),
    )


def google_path(path: str) -> str:
    """Return an address in Google's words."""
    path = re.sub(r"^messages(\[\d+\])\.content", r"contents\1.parts", path)
    return path.replace("messages[", "contents[").replace("system[", "systemInstruction[")


ALONE = ("retried_at_once", "parallel_sub_agents")
"""A first request that failed may be sent again by any client that says the same. Sub-agents make
the newest calls too many.
"""


@pytest.mark.parametrize("gap_s", [0, 1, 3, 100])
@pytest.mark.parametrize("is_google", [False, True], ids=["anthropic", "google"])
def test_clients_with_the_same_first_words_are_told_apart(gap_s: int, is_google: bool) -> None:
    agents = []
    for number, script in enumerate(each for each in SCRIPTS if each.__name__ not in ALONE):
        agent = script(f"s{number}", session="", client="GeminiCLI/0.9")
        later = number * gap_s
        agent.sent = [
            (
                changed(
                    as_google(sent) if is_google else sent,
                    started_at=sent.started_at + later,
                    finished_at=(sent.finished_at or 0) + later,
                ),
                expected,
            )
            for sent, expected in agent.sent
        ]
        agents.append(agent)
    owners: dict[str, set[str]] = defaultdict(set)
    for flow_id, link, expected in linked(agents):
        path = google_path(expected.path) if is_google else expected.path
        plain = Expected(expected.relation, path, expected.kind, expected.author)
        assert told(link) == plain, flow_id
        owners[link.session].add(flow_id.partition("-")[0])
    assert all(len(names) == 1 for names in owners.values()), owners


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_each_break_is_found_without_any_id(script: Callable[..., Agent]) -> None:
    agent = script("s", session="", client="GeminiCLI/0.9 (linux; x64)")
    agent.sent = [(as_google(sent), expected) for sent, expected in agent.sent]
    found = linked([agent])
    lanes: dict[str, set[str]] = defaultdict(set)
    for flow_id, link, expected in found:
        plain = Expected(
            expected.relation, google_path(expected.path), expected.kind, expected.author
        )
        assert told(link) == plain, flow_id
        lanes[expected.lane].add(link.thread)
    assert all(len(threads) == 1 for threads in lanes.values()), lanes
