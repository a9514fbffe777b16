"""Code Assist without capacity: the same model again, then others, as `gemini_capacity` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from flows.record import FlowRecord
from interceptor.config.files.server import ServerSettings
from interceptor.hooks.table import HookConf
from interceptor.transform.capacity_policy import CapacityPolicy, policy_of, says_no_capacity
from providers.fallbacks import parse_fallbacks
from providers.retry_policy import RetryPolicy
from tests.fakes.code_assist import CodeAssist, json_script
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import (
    DEFAULT_HOOKS,
    Running,
    key_auth,
    provider,
    running_proxy,
    snapshot,
)
from tests.patience import PATIENCE_S

GENERATE = "/v1beta/models/large:generateContent"
STREAM = "/v1beta/models/large:streamGenerateContent?alt=sse"
ENVELOPE = "/v1internal:generateContent"
CONTENTS: Any = [{"role": "user", "parts": [{"text": "Hello"}]}]
HELLO: Any = [{"role": "user", "content": "Hello"}]
STATUS = {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


def policy(**settings: Any) -> CapacityPolicy | None:
    """The policy of `gemini_capacity`, with other models unless the settings say otherwise."""
    values = {"fallback_models": ["large", "small", "tiny"], "sticky_retry_attempts": 2, **settings}
    return policy_of(ServerSettings.model_validate({"gemini_capacity": values}))


def error(code: int = 429, delay: str = "0.01s", **changes: Any) -> dict[str, Any]:
    """An error of Google's that asks for a wait."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    found: dict[str, Any] = {"code": code, "message": "no", "status": STATUS.get(code, "X")}
    return {"error": found | {"details": [info] if delay else []} | changes}


@pytest.fixture
def assist(upstream: Upstream) -> Iterator[Upstream]:
    """The scripted Code Assist, without a request yet."""
    upstream.requests.clear()
    upstream.scripts.clear()
    yield upstream
    upstream.scripts.clear()


@pytest.fixture
def proxy(assist: Upstream) -> Iterator[Running]:
    with running_proxy(snapshot(), capacity=policy()) as running:
        configure(running, assist)
        yield running


def configure(proxy: Running, upstream: Upstream, **more: Any) -> None:
    values = {"type": "gemini", "path": "/v1internal:{action}", "auth": key_auth("authorization")}
    hook = HookConf("outbound", "gemini_cli", params={"project": "p-1"})
    proxy.store.replace(
        snapshot(
            provider("assist", upstream.port, **{**values, "cooldown_s": 0.0, **more}),
            provider("claude", upstream.port),
            hooks=(*DEFAULT_HOOKS, hook),
        )
    )


def refuse(
    upstream: Upstream, models: dict[str, list[Script]], action: str = "generateContent"
) -> None:
    """Refuse requests for some models, each script once; everything else is answered."""
    path = f"/v1internal:{action}"
    good = upstream.scripts[path] if path in upstream.scripts else _good(upstream, path)

    def choose(seen: Seen) -> Script:
        left = models.get(seen.json["model"], [])
        if left:
            return left.pop(0)
        return good(seen) if callable(good) else good

    upstream.scripts[path] = choose


def _good(upstream: Upstream, path: str) -> Script | Callable[[Seen], Script]:
    CodeAssist(upstream)
    return upstream.scripts[path]


def post(proxy: Running, path: str = GENERATE, body: Any = None) -> httpx.Response:
    headers = {"x-goog-api-key": "sk-ccproxy-assist"}
    body = {"contents": CONTENTS} if body is None else body
    return httpx.post(proxy.url + path, json=body, headers=headers, timeout=PATIENCE_S)


def models(upstream: Upstream) -> list[str]:
    return [seen.json["model"] for seen in upstream.requests if "model" in seen.json]


def reasons(record: FlowRecord) -> list[str]:
    return [attempt.reason for attempt in record.attempts]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("as_list", [False, True])
def test_the_same_model_is_asked_again(
    proxy: Running, upstream: Upstream, status: int, as_list: bool
) -> None:
    body = [error(status)] if as_list else error(status)
    refuse(upstream, {"large": [json_script(body, status)]})
    answer = post(proxy)
    assert answer.status_code == 200 and "Hello" in answer.text and "trace-1" not in answer.text
    assert models(upstream) == ["large", "large"]
    waited = f"no capacity ({status}): waited 0.01 s and sent again"
    assert reasons(proxy.sink.of(answer)) == ["", waited]


def test_then_the_other_models_once_each(proxy: Running, upstream: Upstream) -> None:
    full = json_script(error(), 429)
    refuse(upstream, {"large": [full] * 9, "small": [full] * 9})
    answer = post(proxy)
    assert answer.status_code == 200
    assert models(upstream) == ["large"] * 3 + ["small", "tiny"]
    record = proxy.sink.of(answer)
    assert (record.sent_model, record.state) == ("tiny", "done")
    assert reasons(record)[3] == "assist/large: 429; sent to assist/small"
    assert [attempt.wait_ms for attempt in record.attempts] == [0, 10, 10, 0, 0]
    sessions = {seen.json["request"]["session_id"] for seen in upstream.requests[-2:]}
    assert len(sessions) == 2, "the prefix cache is of one model"


@pytest.mark.parametrize("path", [GENERATE, STREAM])
def test_a_client_that_speaks_the_envelope_gets_another_model_too(
    proxy: Running, upstream: Upstream, path: str
) -> None:
    body = {"model": "large", "request": {"contents": CONTENTS, "session_id": "own"}}
    refuse(upstream, {"large": [json_script(error(delay="90s"), 429)]})
    answer = post(proxy, ENVELOPE, body)
    assert answer.json()["traceId"] == "trace-1"
    assert models(upstream) == ["large", "small"]
    assert upstream.last.json["request"] == body["request"]


def test_all_are_full(proxy: Running, upstream: Upstream) -> None:
    full = json_script(error(503), 503)
    refuse(upstream, {name: [full] * 9 for name in ("large", "small", "tiny")})
    answer = post(proxy)
    assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")
    line = answer.headers["x-ccproxy-attempts"]
    assert [part.split()[1] for part in line.split("; ")] == [
        *["assist/large"] * 3,
        "assist/small",
        "assist/tiny",
    ]


@pytest.mark.parametrize(
    "body",
    [
        error(403),
        error(429, status="PERMISSION_DENIED"),
        {"error": {"code": 400, "status": "UNAVAILABLE"}},
        {"error": "busy"},
        [],
        ["x"],
        "no JSON",
    ],
)
def test_other_errors_pass_at_once(proxy: Running, upstream: Upstream, body: Any) -> None:
    refuse(upstream, {"large": [json_script(body, 429)] * 9})
    assert post(proxy).status_code == 429
    assert models(upstream) == ["large"]


def test_a_long_wait_goes_to_the_next_model(proxy: Running, upstream: Upstream) -> None:
    refuse(upstream, {"large": [json_script(error(delay="61s"), 429)]})
    assert post(proxy).status_code == 200
    assert models(upstream) == ["large", "small"]


@pytest.mark.parametrize(
    "script",
    [
        json_script(error(delay="301s"), 429),
        json_script(error(delay="", message="Your quota will reset after 2h5m30s."), 429),
        replace(json_script(error(delay=""), 429), headers=(("retry-after", "400"),)),
    ],
)
def test_a_quota_that_is_used_up_ends_it(
    proxy: Running, upstream: Upstream, script: Script
) -> None:
    refuse(upstream, {"large": [script] * 9})
    answer = post(proxy)
    assert (answer.status_code, models(upstream)) == (429, ["large"])
    assert answer.headers["x-ccproxy-hint"].startswith("Not tried again: Google asks to wait for")


def test_further_providers_are_asked_all_the_same(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, fallbacks=parse_fallbacks(["claude/opus"]))
    refuse(upstream, {"large": [json_script(error(delay="1h"), 429)] * 9})
    answer = post(proxy)
    assert answer.status_code == 200 and "candidates" in answer.json()
    assert [seen.path for seen in upstream.requests] == [ENVELOPE, "/v1/messages"]
    assert upstream.last.json["model"] == "opus"
    assert "x-ccproxy-hint" not in answer.headers


def test_its_own_retries_replace_the_further_attempts(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, retry=RetryPolicy(2, frozenset({503})))
    refuse(upstream, {"large": [json_script(error(503), 503)] * 9})
    assert post(proxy).status_code == 200
    assert models(upstream) == ["large", "large", "small"]


def test_the_budget_is_of_the_time_since_the_first_attempt(assist: Upstream) -> None:
    chosen = policy(total_retry_budget_seconds=30, sticky_retry_attempts=5)
    # Each wait has room in the budget, both together have none.
    delays = ("0.05s", "29.97s", "0.05s")
    refuse(assist, {"large": [json_script(error(delay=delay), 429) for delay in delays]})
    with running_proxy(snapshot(), capacity=chosen) as proxy:
        configure(proxy, assist)
        answer = post(proxy)
    assert (answer.status_code, models(assist)) == (429, ["large", "large"])


def test_without_other_models_the_same_one_is_asked(assist: Upstream) -> None:
    chosen = policy(fallback_models=[])
    refuse(assist, {"large": [json_script(error(), 429)] * 2})
    with running_proxy(snapshot(), capacity=chosen) as proxy:
        configure(proxy, assist)
        assert post(proxy).status_code == 200
        assert post(proxy, "/v1/messages").status_code >= 400
    assert models(assist)[:3] == ["large"] * 3


def test_a_model_that_failed_is_skipped_for_a_while(proxy: Running, upstream: Upstream) -> None:
    configure(proxy, upstream, cooldown_s=PATIENCE_S)
    refuse(upstream, {"large": [json_script(error(delay="100s"), 429)]})
    assert post(proxy).status_code == 200
    assert post(proxy).status_code == 200
    assert models(upstream) == ["large", "small", "small"]


# Clients


def test_googles_sdk_streams_from_another_model(proxy: Running, upstream: Upstream) -> None:
    full = json_script([error(delay="90s")], 429)
    refuse(upstream, {"large": [full]}, "streamGenerateContent")
    options = genai_types.HttpOptions(base_url=proxy.url)
    client = genai.Client(api_key="sk-ccproxy-assist", http_options=options)
    stream = client.models.generate_content_stream(model="large", contents="Hello")
    assert [chunk.text for chunk in stream] == ["Hel", "lo"]
    assert models(upstream) == ["large", "small"]


def test_anthropics_sdk_in_the_middle_of_a_session(proxy: Running, upstream: Upstream) -> None:
    client = anthropic.Anthropic(api_key="sk-ccproxy-assist", base_url=proxy.url, max_retries=0)
    full: dict[str, list[Script]] = {"large": []}
    refuse(upstream, full, "streamGenerateContent")
    turns = list(HELLO)
    for number in range(3):
        full["large"] = [json_script(error(delay="90s"), 429)] if number == 1 else []
        with client.messages.stream(model="large", max_tokens=9, messages=turns) as stream:
            text = "".join(stream.text_stream)
        assert text == "Hello"
        turns += [{"role": "assistant", "content": text}, {"role": "user", "content": "On"}]
    assert models(upstream) == ["large", "large", "small", "large"]


def test_openais_sdk_gets_its_own_error(proxy: Running, upstream: Upstream) -> None:
    full = json_script(error(503), 503)
    refuse(upstream, {name: [full] * 9 for name in ("large", "small", "tiny")})
    client = openai.OpenAI(api_key="sk-ccproxy-assist", base_url=proxy.url + "/v1", max_retries=0)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="large", messages=HELLO)
    assert caught.value.response.headers["x-ccproxy-attempts"].count("assist/large") == 3


@pytest.mark.corpus
def test_real_requests_of_gemini_cli(proxy: Running, upstream: Upstream, corpus: Path) -> None:
    """Each gets the next model in its own format, streamed or not."""
    count = 0
    for file in sorted((corpus / "clients").glob("gemini*.json")):
        for request in json.loads(file.read_text()):
            if "enerateContent" not in request["path"]:
                continue
            action = request["path"].partition("?")[0].rpartition(":")[2]
            asked = request["path"].partition("/models/")[2].partition(":")[0]
            upstream.requests.clear()
            full = {asked: [json_script([error(delay="90s")], 429)]}
            refuse(upstream, full, action)
            answer = post(proxy, request["path"], request["body"])
            assert answer.status_code == 200 and "Hel" in answer.text, file.name
            assert models(upstream) == [asked, "large"], file.name
            upstream.scripts.clear()
            count += 1
    assert count > 1


# The settings


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"enabled": False}, ["large"]),
        ({"retry_status_codes": [429]}, ["large"]),
        ({"retry_status_codes": [503], "sticky_retry_attempts": 0}, ["large", "small"]),
        ({"sticky_retry_max_delay_seconds": 0.001}, ["large", "small"]),
        ({"terminal_delay_threshold_seconds": 0.001}, ["large"]),
    ],
)
def test_each_setting_counts(assist: Upstream, settings: dict[str, Any], asked: list[str]) -> None:
    refuse(assist, {"large": [json_script(error(503), 503)] * 9})
    with running_proxy(snapshot(), capacity=policy(**settings)) as proxy:
        configure(proxy, assist)
        post(proxy)
    assert models(assist) == asked


def test_the_defaults() -> None:
    assert policy_of(ServerSettings()) == CapacityPolicy()


def test_events_and_texts_are_read() -> None:
    statuses = frozenset({429})
    assert says_no_capacity(b"data: " + json.dumps(error()).encode() + b"\r\n\r\n", statuses)
    assert not says_no_capacity(b"", statuses)
