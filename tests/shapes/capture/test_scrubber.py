"""The scrubber: nothing of a person stays, everything that makes a shape does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapes.capture.captured_request import CapturedRequest, Release, client_release
from shapes.capture.personal_data import (
    NIL_UUID,
    find_personal,
    is_id_name,
    masked,
    name_pattern,
    names_in,
)
from shapes.capture.scrub_plan import ScrubPlan, scrub_plan
from shapes.capture.scrubber import Scrubbed, scrub
from shapes.replay.shipped_profiles import SHIPPED

UUID = "6f1c2b7a-93de-4c55-8a0e-2b7a93de4c55"


def planned(provider_type: str = "anthropic", keep: tuple[str, ...] = ()) -> ScrubPlan:
    """The plan of a shipped profile."""
    profile = SHIPPED[provider_type]
    return scrub_plan(profile.content_fields, profile.merge_strategies, profile.shape_hooks, keep)


def scrubbed(body: dict[str, Any], provider_type: str = "anthropic", **fields: Any) -> Scrubbed:
    request = CapturedRequest(
        "POST",
        fields.get("path", "/v1/messages"),
        fields.get("query", "beta=true"),
        fields.get("headers", (("content-type", "application/json"),)),
        body,
    )
    return scrub(request, planned(provider_type, fields.get("keep", ())))


CAPTURED: dict[str, Any] = {
    "model": "claude-x",
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.a1b; cch=0f3c1;"},
        {"type": "text", "text": "You are a client.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "CANARY-SYSTEM of ada@example.org in /home/ada"},
    ],
    "messages": [{"role": "user", "content": "CANARY-PROMPT"}],
    "tools": [{"name": "CANARY-TOOL"}],
    "metadata": {"user_id": f'{{"device_id":"CANARY-DEVICE","session_id":"{UUID}"}}'},
    "unknown_field": {"type": "ephemeral", "note": "CANARY-NOTE", "n": 3, "on": True},
}


def test_a_shape_keeps_the_prefix_and_the_form_of_the_rest() -> None:
    found = scrubbed(CAPTURED)
    assert found.request.body == {
        "system": CAPTURED["system"][:2],
        "unknown_field": {"type": "ephemeral", "note": "placeholder", "n": 3, "on": True},
    }
    assert list(found.request.body) == ["system", "unknown_field"]
    assert "CANARY" not in json.dumps(found.request.body)
    assert "CANARY" not in json.dumps(found.report.summary())
    assert found.report.left_out == ["model", "system.2", "messages", "tools", "metadata"]
    assert found.report.placeholders == ["unknown_field.note"]


def test_personal_data_is_listed_with_its_place() -> None:
    found = scrubbed(CAPTURED)
    listed = {(one.kind, one.place, one.outcome) for one in found.report.findings}
    assert ("e-mail address", "system.2", "left out") in listed
    assert ("home directory", "system.2", "left out") in listed
    assert ("uuid", "metadata", "left out") in listed
    assert all(len(one.shown) < 20 for one in found.report.findings)


def test_personal_data_in_the_kept_prefix_is_masked() -> None:
    text = f"ada of /home/ada, ada@host.org, {UUID}, sk-ant-oat01-abcdefgh12345678"
    found = scrubbed({"system": [{"type": "text", "text": text}], "messages": []})
    assert found.request.body["system"][0]["text"] == (
        f"user of /home/user, user@example.invalid, {NIL_UUID}, redacted"
    )
    assert found.report.summary()["masked"] == {
        "name": 1,
        "home directory": 1,
        "e-mail address": 1,
        "uuid": 1,
        "token": 1,
    }


def test_a_text_as_system_prompt_stays_complete() -> None:
    found = scrubbed({"system": "You are a client in /Users/ada.", "messages": []})
    assert found.request.body == {"system": "You are a client in /Users/user."}


def test_headers_of_accounts_and_connections_are_left_out() -> None:
    headers = (
        ("Host", "api.anthropic.com"),
        ("Authorization", "‹redacted 3f9a21›"),
        ("X-My-Token", "abcdefgh12345678"),
        ("x-forwarded-for", "10.0.0.7"),
        ("x-ccproxy-token", "abc"),
        ("x-odd", "a ‹redacted 3f9a21› b"),
        ("User-Agent", "claude-cli/2.1.332 (external, sdk-cli)"),
        ("anthropic-beta", "oauth-2025-04-20"),
        ("anthropic-beta", "interleaved-thinking-2025-05-14"),
        ("x-claude-code-session-id", UUID),
        ("x-device-id", "0123456789"),
        ("x-stainless-os", "Linux"),
    )
    found = scrubbed({"messages": []}, headers=headers)
    assert found.request.headers == (
        ("User-Agent", "claude-cli/2.1.332 (external, sdk-cli)"),
        ("anthropic-beta", "oauth-2025-04-20"),
        ("anthropic-beta", "interleaved-thinking-2025-05-14"),
        ("x-claude-code-session-id", NIL_UUID),
        ("x-device-id", "placeholder"),
        ("x-stainless-os", "Linux"),
    )


def test_secrets_in_the_query_are_left_out() -> None:
    found = scrubbed({}, query="beta=true&key=AIzaSyCanary&x=ada%40host.org&empty=")
    assert found.request.query == "beta=true&x=user%40example.invalid&empty="
    assert "query key" in found.report.left_out


def test_an_envelope_loses_what_its_inner_hook_supplies() -> None:
    body = {
        "model": "gemini-x",
        "project": "secret-project",
        "request": {
            "contents": [{"parts": [{"text": "CANARY"}]}],
            "session_id": UUID,
            "generationConfig": {"temperature": 0},
            "odd": "CANARY",
        },
        "user_prompt_id": "abc",
    }
    found = scrubbed(body, "gemini", path="/v1internal:generateContent", query="")
    assert found.request.body == {"request": {"odd": "placeholder"}}


def test_instructions_stay_for_the_backend_that_wants_them() -> None:
    body = {"instructions": "You run in /home/ada/x.", "input": "CANARY", "odd": "CANARY"}
    found = scrubbed(body, "openai_responses")
    assert found.request.body == {
        "instructions": "You run in /home/user/x.",
        "odd": "placeholder",
    }


def test_a_person_may_keep_a_place() -> None:
    body = {"a": {"b": "kept of ada@host.org", "c": "gone"}, "speed": "fast", "n_id": 7}
    found = scrubbed({"a": body["a"], "priority": "fast"}, keep=("a.b", "priority"))
    assert found.request.body == {
        "a": {"b": "kept of user@example.invalid", "c": "placeholder"},
        "priority": "fast",
    }


def test_numbers_and_names_of_fields_can_be_ids_too() -> None:
    body = {"odd": {"account_id": 4711, "size": 4711, "Dear Ada, this is": 1, "also this": 2}}
    found = scrubbed(body)
    assert found.request.body == {"odd": {"account_id": 0, "size": 4711, "key": 1, "key2": 2}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C:\\Users\\Ada\\x", "C:\\Users\\user\\x"),
        ("/home/user/x stays", "/home/user/x stays"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.abc_def-1", "redacted"),
        ("Bearer abcdefgh.12345", "redacted"),
        ("org-AbCdEfGhIjKlMnOp", "placeholder"),
        ("d41d8cd98f00b204e9800998ecf8427e", "placeholder"),
        ("ghp_abcdefghijklmnop", "redacted"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB", "redacted"),
        ("claude-cli/2.1.332 (external, sdk-cli)", "claude-cli/2.1.332 (external, sdk-cli)"),
        ("cc_version=2.1.332.a1b; cch=0f3c1;", "cc_version=2.1.332.a1b; cch=0f3c1;"),
        ("claude-code-20250219,oauth-2025-04-20", "claude-code-20250219,oauth-2025-04-20"),
        ("interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
    ],
)
def test_personal_data_is_known_by_its_form(text: str, expected: str) -> None:
    assert masked(text, find_personal(text)) == expected


def test_names_come_from_homes_and_mailboxes() -> None:
    assert names_in("/home/ada/x, grace@host.org, /home/user, root@host.org") == ["ada", "grace"]
    pattern = name_pattern(["ada", "ada.byron"])
    assert masked("ada.byron, ada, adamant", find_personal("ada.byron, ada, adamant", pattern)) == (
        "user, user, adamant"
    )


def test_names_of_ids_are_known() -> None:
    names = ("device_id", "x-claude-code-session-id", "accountUuid", "session_ids")
    assert [name for name in names if not is_id_name(name)] == []
    others = ("id", "model_id", "x-request", "paid", "device", "tool_use_id")
    assert [name for name in others if is_id_name(name)] == []


def test_a_release_is_read_from_the_user_agent() -> None:
    assert client_release("claude-cli/2.1.332 (external)") == Release("claude-cli", "2.1.332")
    assert client_release("GeminiCLI/0.9.0/gemini (linux)") == Release("geminicli", "0.9.0")
    assert client_release("curl") == Release("", "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just("CANARY-7f3a free text") | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.just("CANARY-7f3a as name"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "system", "odd", "request", "CANARY 7f3a", "metadata"]), JSON
    ),
    st.sampled_from(["anthropic", "gemini", "openai_responses"]),
)
def test_no_text_stays_outside_of_what_the_profile_keeps(
    body: dict[str, Any], provider_type: str
) -> None:
    system = body.pop("system", None)
    found = scrubbed(body, provider_type)
    assert "CANARY" not in json.dumps([found.request.body, found.report.summary()])
    # Scrubbing what was scrubbed changes nothing: a stored shape can be checked again.
    assert scrubbed(found.request.body, provider_type).request.body == found.request.body
    if system is not None:
        scrubbed({"system": system}, provider_type)
