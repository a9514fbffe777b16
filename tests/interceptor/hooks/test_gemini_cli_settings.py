"""Parameters of the hook `gemini_cli`, each through a proxy of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.code_assist import CodeAssist
from tests.fakes.upstream import Upstream
from tests.interceptor.hooks.test_gemini_cli import CONTENTS, GENERATE, configured, post, sdk
from tests.interceptor.proxied import running_proxy


@pytest.fixture
def assist(upstream: Upstream) -> Iterator[CodeAssist]:
    upstream.requests.clear()
    yield CodeAssist(upstream)
    upstream.scripts.clear()


def test_the_cli_user_agent_is_opt_in(upstream: Upstream, assist: CodeAssist) -> None:
    params = {"cli_user_agent": True, "project": "mine", "cli_version": "9.9.9"}
    with running_proxy(configured(upstream.port, **params)) as proxy:
        client = sdk(proxy)
        client.models.generate_content(model="demo", contents="Hello")
        post(proxy, GENERATE, {"contents": CONTENTS}, **{"user-agent": "other/1"})
    from_sdk, other = assist.calls("generateContent")
    agent = from_sdk.header("user-agent") or ""
    assert agent.startswith("GeminiCLI/9.9.9/demo (linux; x64; terminal)")
    assert from_sdk.header("x-goog-api-client") == "gl-node/22.22.2"
    assert other.header("user-agent") == "other/1"
    assert other.json["project"] == "mine" and not assist.calls("loadCodeAssist")


def test_a_request_without_a_project_goes_on(upstream: Upstream, assist: CodeAssist) -> None:
    assist.setup_status = 500
    with running_proxy(configured(upstream.port)) as proxy:
        answer = post(proxy, GENERATE, {"contents": CONTENTS})
    assert answer.status_code == 200
    assert "project" not in assist.calls("generateContent")[-1].json
