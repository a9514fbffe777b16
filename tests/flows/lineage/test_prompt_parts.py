"""What belongs to a prompt in the eyes of a cache, and what does not, in four wire formats."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.lineage.cache_break import find_break
from flows.lineage.prompt_parts import parts_of

ARGUMENTS = {"path": "a.py", "lines": {"from": 1, "to": 9}}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "lines": {}}}
MESSAGES = {
    "system": [{"type": "text", "text": "Be short."}],
    "tools": [{"name": "Read", "description": "Read.", "input_schema": SCHEMA}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": ARGUMENTS}],
        },
    ],
}
CHAT = {
    "tools": [{"type": "function", "function": {"name": "Read", "parameters": SCHEMA}}],
    "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Look"}],
}
RESPONSES = {
    "instructions": "Be short.",
    "tools": [{"type": "function", "name": "Read", "parameters": SCHEMA}],
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Look"}]}],
}
GOOGLE = {
    "systemInstruction": {"parts": [{"text": "Be short."}]},
    "tools": [{"functionDeclarations": [{"name": "Read", "parametersJsonSchema": SCHEMA}]}],
    "contents": [
        {"role": "user", "parts": [{"text": "Look"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "Read", "args": ARGUMENTS}}]},
    ],
}
BODIES: dict[str, dict[str, Any]] = {
    "messages": MESSAGES,
    "chat": CHAT,
    "responses": RESPONSES,
    "google": GOOGLE,
}
ORDERED = ("input", "args", "input_schema", "parameters", "parametersJsonSchema")


def shuffled(value: Any, random: Random) -> Any:
    """Return a value with the keys of its objects in any order, but for what a model reads."""
    if isinstance(value, list):
        return [shuffled(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    random.shuffle(keys)
    keeps = [key in ORDERED and isinstance(value[key], dict) for key in keys]
    return {
        key: value[key] if keep else shuffled(value[key], random)
        for key, keep in zip(keys, keeps, strict=True)
    }


@given(st.sampled_from(sorted(BODIES)), st.randoms(use_true_random=False))
def test_the_order_of_a_blocks_own_keys_is_no_break(name: str, random: Random) -> None:
    assert find_break(shuffled(BODIES[name], random), BODIES[name]) is None


def reversed_objects(value: Any, key: str) -> Any:
    """Return a value with the fields of each object under `key` in reverse."""
    if isinstance(value, list):
        return [reversed_objects(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: dict(reversed(item.items()))
        if name == key and isinstance(item, dict)
        else reversed_objects(item, key)
        for name, item in value.items()
    }


@pytest.mark.parametrize(
    ("name", "key", "path"),
    [
        ("messages", "input_schema", "tools[name=Read]"),
        ("messages", "input", "messages[1]"),
        ("chat", "parameters", "tools[name=Read]"),
        ("responses", "parameters", "tools[name=Read]"),
        ("google", "parametersJsonSchema", "tools[name=Read]"),
        ("google", "args", "contents[1]"),
    ],
)
def test_the_order_in_arguments_and_schemas_is_one(name: str, key: str, path: str) -> None:
    broken = find_break(reversed_objects(BODIES[name], key), BODIES[name])
    assert broken is not None and (broken.path, broken.kind) == (path, "changed")


FORMAT = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("name", "fields", "path"),
    [
        ("messages", {"output_config": {"effort": "low"}}, "output_config.effort"),
        ("messages", {"output_config": {"effort": "high"}}, ""),
        ("messages", {"output_config": {"format": FORMAT}}, "output_config.format"),
        ("messages", {"output_format": FORMAT}, "output_format"),
        ("messages", {"speed": "fast"}, "speed"),
        ("messages", {"speed": "standard"}, ""),
        ("messages", {"tool_choice": {"type": "tool", "name": "Read"}}, "tool_choice"),
        ("messages", {"tool_choice": {"type": "auto"}}, ""),
        ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking"),
        ("messages", {"thinking": {"type": "adaptive"}}, "thinking"),
        ("messages", {"thinking": {"type": "disabled"}}, ""),
        ("messages", {"thinking": "much", "tool_choice": 3, "output_config": []}, ""),
        ("messages", {"max_tokens": 7, "metadata": {"user_id": "u"}, "stream": True}, ""),
        ("chat", {"response_format": FORMAT}, "response_format"),
        ("chat", {"response_format": {"type": "json_object"}}, ""),
        ("chat", {"thinking": {"type": "enabled"}, "tool_choice": "required"}, ""),
        ("responses", {"text": {"format": FORMAT, "verbosity": "low"}}, "text.format"),
        ("responses", {"text": {"format": {"type": "text"}}, "reasoning": {"effort": "low"}}, ""),
        ("google", {"generationConfig": {"temperature": 1}}, ""),
    ],
)
def test_settings_that_a_cache_depends_on(name: str, fields: dict[str, Any], path: str) -> None:
    changed = {**copy.deepcopy(BODIES[name]), **fields}
    for now, before, kind in (
        (changed, BODIES[name], "inserted"),
        (BODIES[name], changed, "removed"),
    ):
        broken = find_break(now, before)
        found = (broken.path, broken.kind) if broken else ("", "")
        assert found == ((path, kind) if path else ("", ""))


def test_what_comes_before_a_setting_is_kept() -> None:
    """Anthropic keeps tools and system prompt; a schema of OpenAI stands before the latter."""
    thinking = {**MESSAGES, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    schema = {**RESPONSES, "text": {"format": FORMAT}}
    for now, before, kept in (
        (thinking, MESSAGES, ("tools[", "system[")),
        (schema, RESPONSES, ("tools[",)),
    ):
        broken = find_break(now, before)
        parts = parts_of(before)
        sizes = [part.size_bytes for part in parts if part.path.startswith(kept)]
        assert broken is not None and len(sizes) == len(kept)
        assert broken.kept_bytes == sum(sizes)
        assert broken.total_bytes == sum(part.size_bytes for part in parts)


@pytest.mark.parametrize("name", ["messages", "responses"])
def test_a_tool_that_has_to_be_searched_for_is_no_part(name: str) -> None:
    tools = BODIES[name]["tools"]
    assert isinstance(tools, list)
    later = {**tools[0], "name": "Browse", "defer_loading": True}
    assert find_break({**BODIES[name], "tools": [later, *tools]}, BODIES[name]) is None
    loaded = {**later, "defer_loading": False}
    broken = find_break({**BODIES[name], "tools": [loaded, *tools]}, BODIES[name])
    assert broken is not None and broken.path == "tools[name=Browse]"
