"""Each built-in hook, and the rules that all of them keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.hooks import HOOKS
from interceptor.hooks.extract_session_id import session_of_user_id
from interceptor.hooks.table import HookConf, build_plan, find_hook
from interceptor.pipeline.hook import Stage
from providers.base.errors import ConfigError
from tests.environment import ROOT
from tests.interceptor.exchanges import exchange, run_hook


@pytest.mark.parametrize(
    ("user_id", "session"),
    [
        ('{"device_id":"d","account_uuid":"","session_id":"abc"}', "abc"),
        ("user_0f_account_11_session_22-33", "22-33"),
        ("user_0f_account__session_22", "22"),
        ("a_session_b_session_c", None),
        ('{"session_id": 5}', None),
        ("{broken", None),
        ("", None),
        ("someone", None),
    ],
)
def test_session_ids(user_id: str, session: str | None) -> None:
    assert session_of_user_id(user_id) == session
    ex = exchange({"metadata": {"user_id": user_id}})
    run_hook("extract_session_id", ex)
    assert ex.metadata.get("session_id") == session


def test_a_session_header_wins() -> None:
    ex = exchange({"prompt_cache_key": "k"}, headers={"X-Claude-Code-Session-Id": "h"})
    run_hook("extract_session_id", ex)
    assert ex.metadata["session_id"] == "h"
    ex = exchange({"prompt_cache_key": "k"})
    run_hook("extract_session_id", ex)
    assert ex.metadata["session_id"] == "k"


@pytest.mark.parametrize(
    ("request_", "session"),
    [({"session_id": "g-1"}, "g-1"), ({"session_id": 5}, None), (["x"], None)],
)
def test_the_session_of_a_code_assist_request(request_: Any, session: str | None) -> None:
    ex = exchange({"model": "gemini-2.5-pro", "request": request_})
    run_hook("extract_session_id", ex)
    assert ex.metadata.get("session_id") == session


def test_verbose_mode() -> None:
    ex = exchange(
        headers={"anthropic-version": "1", "anthropic-beta": "redact-thinking-2025,fine-tool"}
    )
    steps = run_hook("verbose_mode", ex)
    assert ex.headers["anthropic-beta"] == "fine-tool"
    assert steps[0].changed == ("header:anthropic-beta",)


def test_verbose_mode_leaves_other_vendors_alone() -> None:
    ex = exchange(headers={"anthropic-beta": "redact-thinking-2025"})
    assert run_hook("verbose_mode", ex)[0].outcome == "skipped"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"system": "You are Commitbee."}, lambda b: b["system"]),
        (
            {"system": [{"type": "text", "text": "x"}, {"type": "text", "text": "commitbee"}]},
            lambda b: b["system"][1]["text"],
        ),
        (
            {"messages": [{"role": "system", "content": "commitbee"}]},
            lambda b: b["messages"][0]["content"],
        ),
        ({"instructions": "commitbee", "input": "x"}, lambda b: b["instructions"]),
    ],
)
def test_commitbee_compat(body: Any, where: Any) -> None:
    ex = exchange(body)
    steps = run_hook("commitbee_compat", ex)
    assert steps[0].changed == ("body",)
    assert where(json.loads(ex.body.data)).endswith("none after it.")
    run_hook("commitbee_compat", ex)
    assert ex.body.data.count(b"bare JSON") == 1


@pytest.mark.parametrize(
    "body", [{"system": "You are a bee."}, {"messages": [None, 5]}, [], 3, {"system": [1, None]}]
)
def test_commitbee_compat_leaves_others_alone(body: Any) -> None:
    ex = exchange(body)
    before = ex.body.data
    assert run_hook("commitbee_compat", ex)[0].outcome == "ran"
    assert ex.body.data is before


KEYS = ["messages", "system", "instructions", "metadata", "user_id", "prompt_cache_key", "request"]
KEYS += ["role", "content", "text", "session_id", "contents", "input", "tools", "model", "type"]
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.sampled_from(["", "system", "commitbee", "{"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@pytest.mark.parametrize("name", sorted(HOOKS))
@given(body=st.dictionaries(st.sampled_from(KEYS), ODD))
def test_no_body_makes_a_hook_fail(name: str, body: Any) -> None:
    for step in run_hook(name, exchange(body, headers={"anthropic-version": "1"})):
        assert step.outcome in ("ran", "skipped"), step.reason


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_is_documented(name: str) -> None:
    assert f"### `{name}`" in (ROOT / "docs" / "hooks.md").read_text()
    assert find_hook(name).doc


@pytest.mark.corpus
@pytest.mark.parametrize("name", sorted(set(HOOKS) - {"inject_auth"}))
def test_hooks_keep_their_promises_on_real_requests(name: str, corpus: Path) -> None:
    spec = find_hook(name)
    count = 0
    for file in sorted((corpus / "clients").glob("*.json")):
        for request in json.loads(file.read_text()):
            if not isinstance(request["body"], dict):
                continue
            ex = exchange(request["body"], path=request["path"], headers=dict(request["headers"]))
            ex.headers.remove("content-encoding")
            ex.body.encoding, ex.body.plain = "", ex.body.data
            for step in run_hook(name, ex):
                assert step.outcome != "error", (file.name, step.reason)
                for change in step.changed:
                    allowed = change in spec.writes or any(
                        w.startswith(change + ":") for w in spec.writes
                    )
                    assert allowed, f"{name} changed {change} on {file.name}"
            count += 1
    assert count > 50


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("nothing_here", None, "built in are"),
        ("no_such_module.hook", None, "cannot import no_such_module"),
        ("json.dumps", None, "declared with @hook"),
        ("verbose_mode", {"x": 1}, "takes no parameters"),
        ("commitbee_compat", {"signature": ""}, "parameter signature"),
    ],
)
def test_bad_hooks_are_refused_with_a_reason(
    name: str, params: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_plan([HookConf("outbound", name, params=params)], Stage.OUTBOUND)
