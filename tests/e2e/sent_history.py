"""What a provider finds in a request: its calls with the results that belong to them, joined the
way its API joins.
"""

from __future__ import annotations

import json
from typing import Any

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, WireFormatName

Answered = list[tuple[str, Any, str]]
"""(tool's name, arguments, the result's text), in the order of the calls."""


def answered_calls(wire_format: WireFormatName, body: dict[str, Any]) -> Answered:
    """The calls of the history; fails where the vendor would refuse the request for a call without
    its result.
    """
    if wire_format == ANTHROPIC_MESSAGES:
        return _anthropic(body["messages"])
    if wire_format == OPENAI_CHAT:
        return _chat(body["messages"])
    return (
        _google(body["contents"]) if wire_format == GOOGLE_GENERATE else _responses(body["input"])
    )


def _anthropic(messages: list[Any]) -> Answered:
    found: Answered = []
    for turn, following in zip(messages, [*messages[1:], None], strict=True):
        blocks = turn["content"] if isinstance(turn["content"], list) else []
        if calls := [block for block in blocks if block["type"] == "tool_use"]:
            assert turn["role"] == "assistant"
            assert following["role"] == "user"
            results = following["content"][: len(calls)]
            by_id = {block["tool_use_id"]: block["content"] for block in results}
            assert list(by_id) == [call["id"] for call in calls], (
                "the results do not follow their calls"
            )
            found += [
                (call["name"], call["input"], json.dumps(by_id[call["id"]], ensure_ascii=False))
                for call in calls
            ]
    return found


def _chat(messages: list[Any]) -> Answered:
    found: Answered = []
    for number, turn in enumerate(messages):
        calls = turn.get("tool_calls") or []
        results = messages[number + 1 : number + 1 + len(calls)]
        assert [result.get("tool_call_id") for result in results] == [call["id"] for call in calls]
        for call, result in zip(calls, results, strict=True):
            assert result["role"] == "tool"
            function = call["function"]
            text = json.dumps(result["content"], ensure_ascii=False)
            found.append((function["name"], json.loads(function["arguments"]), text))
    return found


def _responses(items: list[Any]) -> Answered:
    calls = [item for item in items if item.get("type") == "function_call"]
    results = [item for item in items if item.get("type") == "function_call_output"]
    assert [item["call_id"] for item in calls] == [item["call_id"] for item in results]
    texts = [json.dumps(item["output"], ensure_ascii=False) for item in results]
    return [
        (call["name"], json.loads(call["arguments"]), text)
        for call, text in zip(calls, texts, strict=True)
    ]


def _google(contents: list[Any]) -> Answered:
    """Google pairs by place and name; ids, where both have one, must agree."""
    found: Answered = []
    for turn, following in zip(contents, [*contents[1:], None], strict=True):
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        if not calls:
            continue
        assert following["role"] == "user"
        results = [
            part["functionResponse"] for part in following["parts"] if "functionResponse" in part
        ]
        assert [result["name"] for result in results] == [call["name"] for call in calls]
        for call, result in zip(calls, results, strict=True):
            assert call.get("id") == result.get("id") or None in (call.get("id"), result.get("id"))
            found.append(
                (
                    call["name"],
                    call.get("args", {}),
                    json.dumps(result["response"], ensure_ascii=False),
                )
            )
    return found
