"""The inner hooks that ship with the product, each on a draft of its own."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.hooks.table import build_plan
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage
from interceptor.pipeline.plan import Plan
from interceptor.shaping.caching import MAX_BREAKPOINTS, count_breakpoints
from interceptor.shaping.inner_plan import active_shape, inner_plan
from interceptor.shaping.inner_run import InnerRun, draft_of, run_inner
from providers.base.errors import ConfigError
from shapes.replay.inner_hook_names import parse_inner_hooks
from shapes.replay.shape_document import ShapeParts
from shapes.replay.shipped_profiles import SHIPPED
from tests.interceptor.exchanges import exchange, run_plan
from tests.interceptor.proxied import provider
from tests.interceptor.shaping.reference import HOOKS, SESSION, active, shape_row


def run(hooks: list[Any], body: dict[str, Any], incoming: Any = None, **options: Any) -> Exchange:
    """Run inner hooks on a draft with this body, made for a request; return the draft."""
    row = shape_row(shape_hooks=tuple(hooks))
    request = exchange(incoming or {}, **options)
    draft = draft_of(request, active_shape(row), body)
    asyncio.run(run_inner(active_shape(row), draft, InnerRun()))
    return draft


def body_after(hooks: list[Any], body: dict[str, Any], incoming: Any = None, **options: Any) -> Any:
    return run(hooks, body, incoming, **options).body.peek()


# regenerate


def test_captured_ids_are_renewed():
    user_id = json.dumps({"device_id": "d", "session_id": "old"})
    body = {"user_prompt_id": "old", "metadata": {"user_id": user_id}}
    draft = run(["regenerate"], body)
    found = draft.body.peek()
    assert re.fullmatch(r"[0-9a-f]{13}", found["user_prompt_id"])
    renewed = json.loads(found["metadata"]["user_id"])
    assert renewed["device_id"] == "d"
    assert UUID(renewed["session_id"]).version == 4
    assert draft.headers.get("x-claude-code-session-id") != SESSION


@pytest.mark.parametrize("user_id", ["plain", "[]", '{"session_id": "s"}', "{", 3, None])
def test_another_user_id_stays(user_id):
    body = {"metadata": {"user_id": user_id}}
    assert body_after(["regenerate"], dict(body)) == body


# caching


def strip(*paths: str) -> dict[str, Any]:
    return {"hook": "caching.strip", "params": {"paths": list(paths)}}


def insert(path: str, **more: Any) -> dict[str, Any]:
    return {"hook": "caching.insert", "params": {"path": path, **more}}


MARK = {"type": "ephemeral"}


def test_breakpoints_are_stripped_and_one_is_set_on_the_last_block():
    system = [{"text": "a", "cache_control": MARK}, {"text": "b"}, "text"]
    body = {"system": system[:2], "tools": [{"cache_control": MARK}]}
    found = body_after([strip("system.*.cache_control"), insert("system.-1.cache_control")], body)
    assert found["system"] == [{"text": "a"}, {"text": "b", "cache_control": MARK}]
    assert found["tools"] == [{"cache_control": MARK}]
    # The client's own objects are not changed.
    assert system[0] == {"text": "a", "cache_control": MARK}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.0.x", {"a": [{}, {"x": 2}], "b": {"x": {"y": 3}}}),
        ("a.-1.x", {"a": [{"x": 1}, {}], "b": {"x": {"y": 3}}}),
        ("*.x", {"a": [{"x": 1}, {"x": 2}], "b": {"x": {"y": 3}}}),
        ("b.*.y", {"a": [{"x": 1}, {"x": 2}], "b": {"x": {}}}),
        ("b", {"a": [{"x": 1}, {"x": 2}]}),
        ("a.7.x", {"a": [{"x": 1}, {"x": 2}], "b": {"x": {"y": 3}}}),
        ("a.x.x", {"a": [{"x": 1}, {"x": 2}], "b": {"x": {"y": 3}}}),
        ("c.d", {"a": [{"x": 1}, {"x": 2}], "b": {"x": {"y": 3}}}),
    ],
)
def test_paths_name_keys_indexes_and_all(path, expected):
    body = {"a": [{"x": 1}, {"x": 2}], "b": {"x": {"y": 3}}}
    assert body_after([strip(path)], body) == expected


def test_a_value_of_ones_own_is_set_and_a_missing_parent_is_left():
    assert body_after([insert("a.b", value=1)], {"a": {}}) == {"a": {"b": 1}}
    assert body_after([insert("a.0.b", value=1)], {"a": []}) == {"a": []}
    assert body_after([insert("a.b.c", value=1)], {"a": {}}) == {"a": {}}


def test_no_fifth_breakpoint_is_set():
    content = [{"type": "text", "cache_control": MARK} for _ in range(MAX_BREAKPOINTS)]
    body = {"system": [{"text": "a"}], "messages": [{"content": content}, {"content": "x"}, None]}
    found = body_after([insert("system.-1.cache_control")], body)
    assert "cache_control" not in found["system"][0]
    assert count_breakpoints(found) == MAX_BREAKPOINTS


PATHS = st.lists(st.sampled_from(["a", "b", "*", "0", "-1", "9"]), min_size=1, max_size=4)
VALUES = st.recursive(
    st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


@given(body=st.dictionaries(st.sampled_from("ab"), VALUES), path=PATHS)
def test_any_path_can_be_stripped_of_any_body(body, path):
    before = json.dumps(body)
    found = body_after([strip(".".join(path))], dict(body))
    assert json.dumps(body) == before
    assert found.keys() <= body.keys()


@pytest.mark.parametrize(
    "entry", [{"hook": "caching.strip"}, strip("a") | {"params": {"path": "a"}}, insert("")]
)
def test_wrong_parameters_are_refused_by_name(entry):
    with pytest.raises(ConfigError, match=r"hook “caching\."):
        inner_plan(parse_inner_hooks([entry]))


# codex


def test_codex_wants_a_list_no_storing_and_no_limit():
    found = body_after(["codex"], {"input": "Hi", "store": True, "max_output_tokens": 5})
    content = [{"type": "input_text", "text": "Hi"}]
    assert found == {
        "input": [{"type": "message", "role": "user", "content": content}],
        "store": False,
    }


def test_codex_leaves_a_list_of_items():
    assert body_after(["codex"], {"input": [1]}) == {"input": [1], "store": False}


# gemini

OURS = {
    "contents": ["captured"],
    "systemInstruction": "captured",
    "tools": ["captured"],
    "generationConfig": {"temperature": 0, "maxOutputTokens": 32},
    "session_id": "captured",
    "labels": {},
    "kept": True,
}


def test_gemini_takes_all_content_from_the_client_and_nothing_that_samples_from_the_shape():
    theirs = {"contents": ["mine"], "toolConfig": {"a": 1}, "tools": ["mine"], "session_id": "s"}
    found = body_after(
        ["gemini"], {"request": OURS}, {"request": theirs}, path="/v1internal:generateContent"
    )
    assert found["request"] == {**theirs, "kept": True}
    assert list(found["request"])[:2] == ["contents", "tools"]


@pytest.mark.parametrize(
    ("client_query", "expected"), [("?alt=sse", "alt=sse&a=1"), ("", "a=1"), ("?alt=json", "a=1")]
)
def test_gemini_streams_events_only_if_the_client_does(client_query, expected):
    row = shape_row(
        "gemini",
        shape_hooks=("gemini",),
        parts=ShapeParts("POST", "", "/", "alt=sse&a=1", (), '{"request":{}}'),
    )
    request = exchange({"request": {}}, path=f"/v1internal:streamGenerateContent{client_query}")
    draft = draft_of(request, active_shape(row), {"request": {}})
    asyncio.run(run_inner(active_shape(row), draft, InnerRun()))
    assert draft.path.partition("?")[2] == expected


@pytest.mark.parametrize("hook_first", [True, False])
def test_a_gemini_request_is_enveloped_and_shaped(hook_first):
    body = {"model": "captured", "user_prompt_id": "x", "request": OURS, "extra": 1}
    headers = (("user-agent", "GeminiRef/1"), ("x-ref", "1"))
    parts = ShapeParts("POST", "", "/v1internal:generateContent", "", headers, json.dumps(body))
    row = shape_row("gemini", parts=parts)
    ex = exchange(
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        path="/v1beta/models/demo:generateContent",
    )
    ex.provider = provider("g", 1, type="gemini", path="/v1internal:{action}")
    ex.shapes = active(row)
    confs = [
        replace(HOOKS[0], stage="outbound", name="gemini_cli", position=0),
        replace(HOOKS[0], stage="outbound", name="shape", position=1 if hook_first else -1),
    ]
    steps = run_plan(build_plan(confs, Stage.OUTBOUND), ex)
    assert [step.hook for step in steps if step.stage == "outbound"] == (
        ["gemini_cli", "shape"] if hook_first else ["shape", "gemini_cli"]
    )
    sent = ex.body.peek()
    if not hook_first:
        # Before the envelope there is nothing to shape, and the trace says what to do.
        assert ex.shape_problem.endswith("put the hook gemini_cli before shape")
        assert ex.headers.get("x-ref") is None
        return
    assert (sent["model"], sent["extra"], ex.headers.get("x-ref")) == ("demo", 1, "1")
    assert sent["request"]["contents"][0]["parts"] == [{"text": "Hi"}]
    assert "generationConfig" not in sent["request"]
    assert sent["request"]["session_id"] != "captured"
    assert re.fullmatch(r"[0-9a-f]{13}", sent["user_prompt_id"])


# Order


def order(plan: Plan) -> list[str]:
    return [planned.label for planned in plan.hooks]


def test_inner_hooks_run_in_the_order_of_the_list():
    plan = inner_plan(parse_inner_hooks(list(SHIPPED["anthropic"].shape_hooks)))
    assert order(plan) == ["regenerate", "caching.strip", "caching.insert"]
    backwards = inner_plan(parse_inner_hooks(list(SHIPPED["anthropic"].shape_hooks)[::-1]))
    assert order(backwards) == ["caching.insert", "caching.strip", "regenerate"]


def test_a_hook_that_edits_headers_runs_behind_the_shape_and_others_stay():
    names = ["verbose_mode", "commitbee_compat", "shape"]
    confs = [replace(HOOKS[0], stage="outbound", name=n, position=i) for i, n in enumerate(names)]
    assert order(build_plan(confs, Stage.OUTBOUND)) == ["commitbee_compat", "shape", "verbose_mode"]
    # A shape that is switched off moves nothing.
    confs[2] = replace(confs[2], enabled=False)
    assert order(build_plan(confs, Stage.OUTBOUND))[0] == "verbose_mode"
