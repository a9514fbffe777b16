"""Code Assist's envelope through the real proxy, with the vendors' SDKs and real clients' requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from interceptor.config.snapshot.schema import Snapshot
from interceptor.explain.dry_run import explain
from interceptor.explain.explanation import DryRequest
from interceptor.hooks.code_assist_projects import CodeAssistProjects
from interceptor.hooks.table import HookConf
from providers.provider_conf import ProviderConf
from tests.fakes.code_assist import PROJECT, CodeAssist, inner_response
from tests.fakes.upstream import Upstream
from tests.interceptor.exchanges import exchange, run_hook
from tests.interceptor.proxied import (
    DEFAULT_HOOKS,
    Running,
    key_auth,
    provider,
    rule,
    snapshot,
)
from tests.patience import PATIENCE_S

ASSIST = "corp"
"""No name that anything in the product knows."""
HELLO: Any = [{"role": "user", "content": "Hello"}]
CONTENTS: Any = [{"role": "user", "parts": [{"text": "Hello"}]}]
GENERATE = "/v1beta/models/demo:generateContent"
STREAM = "/v1beta/models/demo:streamGenerateContent"


def configured(port: int, **params: Any) -> Snapshot:
    """A Code Assist provider with the hook, and one of Google's public API."""
    return snapshot(
        provider(
            ASSIST, port, type="gemini", path="/v1internal:{action}", auth=key_auth("authorization")
        ),
        provider("gemini", port, type="google", path="/v1beta/models/{model}:{action}"),
        rules=(rule("redirect", match_model="^redirected$", dest_provider=ASSIST, name="insists"),),
        hooks=(*DEFAULT_HOOKS, HookConf("outbound", "gemini_cli", params=params)),
    )


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    return configured(upstream.port)


@pytest.fixture
def assist(upstream: Upstream) -> Iterator[CodeAssist]:
    upstream.requests.clear()
    yield CodeAssist(upstream)
    upstream.scripts.clear()


def post(proxy: Running, path: str, body: Any, name: str = ASSIST, **headers: str) -> Any:
    return httpx.post(
        proxy.url + path,
        json=body,
        headers={"x-goog-api-key": f"sk-ccproxy-{name}", **headers},
        timeout=PATIENCE_S,
    )


def sdk(proxy: Running) -> genai.Client:
    options = genai_types.HttpOptions(base_url=proxy.url)
    return genai.Client(api_key=f"sk-ccproxy-{ASSIST}", http_options=options)


def check_envelope(sent: Any, model: str = "demo") -> None:
    """Check everything that Code Assist wants beside the request itself."""
    assert list(sent) == ["model", "project", "user_prompt_id", "request"]
    assert (sent["model"], sent["project"]) == (model, PROJECT)
    assert len(sent["user_prompt_id"]) == 36 and len(sent["request"]["session_id"]) == 36


def test_googles_sdk(proxy: Running, assist: CodeAssist) -> None:
    client = sdk(proxy)
    answer = client.models.generate_content(model="demo", contents="Hello")
    assert answer.text == "Hello"
    chunks = [
        chunk.text
        for chunk in client.models.generate_content_stream(model="demo", contents="Hello")
    ]
    assert chunks == ["Hel", "lo"]
    assert client.models.count_tokens(model="demo", contents="Hello").total_tokens == 31
    (generated,) = assist.calls("generateContent")
    (streamed,) = assist.calls("streamGenerateContent")
    (counted,) = assist.calls("countTokens")
    check_envelope(generated.json)
    check_envelope(streamed.json)
    assert streamed.target == "/v1internal:streamGenerateContent?alt=sse"
    assert counted.json == {"request": {"model": "models/demo", "contents": CONTENTS}}
    sessions = [seen.json["request"]["session_id"] for seen in (generated, streamed)]
    assert sessions[0] == sessions[1]
    prompts = [seen.json["user_prompt_id"] for seen in (generated, streamed)]
    assert prompts[0] != prompts[1]
    assert (generated.header("authorization") or "").startswith("Bearer ")
    assert generated.header("x-goog-api-key") is None
    # Without being asked to, the hook gives no client another one's name.
    assert "google-genai-sdk" in (generated.header("user-agent") or "")


def test_anthropics_sdk(proxy: Running, assist: CodeAssist) -> None:
    client = anthropic.Anthropic(api_key=f"sk-ccproxy-{ASSIST}", base_url=proxy.url, max_retries=0)
    message = client.messages.create(model="demo", max_tokens=9, messages=HELLO)
    assert message.content[0].text == "Hello"  # type: ignore[union-attr]
    with client.messages.stream(model="demo", max_tokens=9, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == "Hello"
    assert client.messages.count_tokens(model="demo", messages=HELLO).input_tokens == 31
    for action in ("generateContent", "streamGenerateContent"):
        check_envelope(assist.calls(action)[-1].json)
    assert set(assist.calls("countTokens")[-1].json) == {"request"}


def test_openais_sdk(proxy: Running, assist: CodeAssist) -> None:
    client = openai.OpenAI(
        api_key=f"sk-ccproxy-{ASSIST}", base_url=proxy.url + "/v1", max_retries=0
    )
    answer = client.chat.completions.create(model="demo", messages=HELLO)
    assert answer.choices[0].message.content == "Hello"
    chunks = client.chat.completions.create(model="demo", messages=HELLO, stream=True)
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == "Hello"
    assert client.responses.create(model="demo", input="Hello").output_text == "Hello"
    for seen in assist.calls("generateContent") + assist.calls("streamGenerateContent"):
        check_envelope(seen.json)


def test_the_response_inside_is_delivered_as_it_is(proxy: Running, assist: CodeAssist) -> None:
    answer = post(proxy, GENERATE, {"contents": CONTENTS, "unknownField": {"a": [1]}})
    assert answer.json() == inner_response("Hello", finishReason="STOP")
    assert assist.calls("generateContent")[-1].json["request"]["unknownField"] == {"a": [1]}
    record = proxy.sink.of(answer)
    (upstream_side,) = [side for side in record.sides if side.side == "upstream"]
    assert b"trace-1" in (upstream_side.body or b"") and not record.losses
    without_sse = post(proxy, STREAM, {"contents": CONTENTS})
    assert without_sse.json() == [inner_response("Hel"), inner_response("lo", finishReason="STOP")]
    assert without_sse.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", [STREAM + "?alt=sse", STREAM, GENERATE])
def test_a_redirect_that_keeps_the_body_is_wrapped_too(
    proxy: Running, assist: CodeAssist, path: str
) -> None:
    path = path.replace("demo", "redirected")
    answer = post(proxy, path, {"contents": CONTENTS, "metadata": {"x": 1}}, name="gemini")
    assert answer.status_code == 200 and "trace-1" not in answer.text and "Hel" in answer.text
    sent = assist.upstream.last
    check_envelope(sent.json, "redirected")
    assert sent.json["request"]["contents"] == CONTENTS and "metadata" not in sent.json["request"]
    assert "alt=sse" in sent.target or path == GENERATE.replace("demo", "redirected")


def test_a_client_that_speaks_the_envelope_keeps_it(proxy: Running, assist: CodeAssist) -> None:
    body = {
        "model": "demo",
        "project": "own",
        "user_prompt_id": "p",
        "request": {"contents": CONTENTS, "session_id": "s"},
    }
    answer = post(proxy, "/v1internal:generateContent", body)
    assert answer.json()["traceId"] == "trace-1"
    assert assist.calls("generateContent")[-1].json == body
    del body["project"], body["user_prompt_id"]
    post(proxy, "/v1internal:generateContent", body)
    sent = assist.calls("generateContent")[-1].json
    assert (sent["project"], sent["request"]["session_id"]) == (PROJECT, "s")
    assert len(sent["user_prompt_id"]) == 36


def test_errors_keep_googles_details(proxy: Running, assist: CodeAssist) -> None:
    assist.refusal = 429
    for path in (GENERATE, STREAM + "?alt=sse"):
        answer = post(proxy, path, {"contents": CONTENTS})
        assert answer.status_code == 429
        assert answer.json()["error"]["details"] == [{"a": 1}]


def test_a_provider_of_another_type_is_left_alone(proxy: Running, upstream: Upstream) -> None:
    body = {"contents": CONTENTS}
    answer = post(proxy, GENERATE, body, name="gemini")
    assert upstream.last.path == GENERATE and upstream.last.json == body
    steps = {step.hook: step for step in proxy.sink.of(answer).hooks}
    assert steps["gemini_cli"].outcome == "skipped"


def test_explain_agrees(proxy: Running, assist: CodeAssist, configuration: Snapshot) -> None:
    for path in (GENERATE, STREAM + "?alt=sse", GENERATE.replace("demo", "redirected")):
        body = json.dumps({"contents": CONTENTS}).encode()
        key = ("x-goog-api-key", f"sk-ccproxy-{ASSIST}")
        found = explain(configuration, DryRequest("POST", path, (("Host", "localhost"), key), body))
        post(proxy, path, {"contents": CONTENTS})
        sent, dry = assist.upstream.last, json.loads(found.body)
        assert found.url.endswith(sent.target)
        assert dry["project"] == f"‹project of {ASSIST}›"
        live = sent.json
        for random in ("user_prompt_id", "project"):
            del dry[random], live[random]
        # The session's id is made from the project, which a dry run does not know.
        assert dry["request"].pop("session_id") != live["request"].pop("session_id")
        assert dry == live


def test_a_refusal_makes_the_project_doubtful(
    proxy: Running, assist: CodeAssist, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubted: list[str] = []
    doubt = CodeAssistProjects.doubt

    def seen(self: CodeAssistProjects, conf: ProviderConf) -> None:
        doubted.append(conf.name)
        doubt(self, conf)

    monkeypatch.setattr(CodeAssistProjects, "doubt", seen)
    post(proxy, GENERATE, {"contents": CONTENTS})
    assert not doubted
    assist.refusal = 403
    post(proxy, GENERATE, {"contents": CONTENTS})
    assert doubted == [ASSIST]


def test_the_hook_alone() -> None:
    ex = exchange({"contents": CONTENTS}, path=GENERATE)
    ex.provider = provider(ASSIST, 1, type="gemini")
    ex.conversation_id = "c"
    run_hook("gemini_cli", ex, {"discover": False})
    first = json.loads(ex.body.data)
    assert "project" not in first and ex.path == "/v1internal:generateContent"
    before = ex.body.data
    run_hook("gemini_cli", ex, {"discover": False})
    assert ex.body.data is before
    other = exchange({"contents": CONTENTS}, path=GENERATE)
    other.provider, other.conversation_id = ex.provider, "d"
    run_hook("gemini_cli", other, {"discover": False})
    assert json.loads(other.body.data)["request"]["session_id"] != first["request"]["session_id"]


@pytest.mark.corpus
def test_real_requests(proxy: Running, assist: CodeAssist, corpus: Path) -> None:
    count = 0
    for file in sorted((corpus / "clients").glob("*.json")):
        for request in json.loads(file.read_text()):
            if ":streamGenerate" not in request["path"] and ":generate" not in request["path"]:
                continue
            headers = {
                name: value
                for name, value in request["headers"]
                if name.lower() not in ("host", "x-goog-api-key", "content-length", "connection")
            }
            answer = post(proxy, request["path"], request["body"], **headers)
            assert answer.status_code == 200 and "trace-1" not in answer.text, file.name
            sent = assist.upstream.last.json
            sent["request"].pop("session_id")
            kept = {k: v for k, v in request["body"].items() if k not in ("model", "metadata")}
            assert sent["request"] == kept, file.name
            assert sent["project"] == PROJECT, file.name
            count += 1
    assert count > 10
