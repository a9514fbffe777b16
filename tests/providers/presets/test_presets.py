"""Requests of all formats to each preset: its server, which refuses what the real one does, takes them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from interceptor.config.files.sections.provider_section import ProviderSection
from interceptor.config.snapshot.schema import Snapshot
from interceptor.explain.dry_run import explain
from interceptor.explain.explanation import DryRequest, Explanation
from interceptor.hooks.table import HookConf, build_plan
from interceptor.pipeline.hook import Stage
from providers.auth.base import CommandAuth, KeyAuth
from providers.base.names import BEDROCK_CLAUDE, WireFormatName
from providers.presets.preset_table import BadPreset, Preset, presets, with_preset
from providers.provider_conf import ProviderConf
from tests.fakes.vendor_rules import values_at
from tests.providers.wire.asking import CHAT_TOOL, A, C, G, R, user

SERVERS = {
    server["preset"]: server
    for server in tomllib.loads((Path(__file__).parent / "server_rules.toml").read_text())["server"]
}
BLANKS = {"project": "my-project", "resource": "mine"}
PATHS: dict[WireFormatName, str] = {
    A: "/v1/messages",
    C: "/v1/chat/completions",
    R: "/v1/responses",
    G: "/v1beta/models/some-model:generateContent",
}
# Fields of a Chat client's own request that these servers refuse; the flow says so.
BROKEN_BY_CHAT_CLIENTS = {
    "mistral": {"max_completion_tokens", "user", "messages[].name"},
    "groq": {"messages[].name"},
}
TOOL_SCHEMA = {"type": "object", "properties": {}}


def filled(name: str) -> Preset:
    preset = presets()[name]
    return preset.filled({blank: BLANKS[blank] for blank in preset.blanks if blank in BLANKS})


def conf(name: str) -> ProviderConf:
    section = ProviderSection.model_validate(filled(name).section())
    auth: Any = None
    if section.auth is not None and section.auth.type == "command":
        auth = CommandAuth(type="command", command=section.auth.command)
    elif section.auth is not None:
        auth = KeyAuth(
            type="key",
            ciphertext="x",
            header=section.auth.header,
            is_aws_key=section.type == BEDROCK_CLAUDE,
        )
    return ProviderConf(
        name=name,
        type=section.type,
        host=section.host,
        scheme=section.scheme,
        port=section.port,
        path=section.path,
        auth=auth,
        extra_formats=section.native_formats,  # type: ignore[arg-type]
    )


def body_of(fmt: WireFormatName, *, streams: bool) -> dict[str, Any]:
    """A request with the fields that compatible servers tend to refuse."""
    bodies: dict[WireFormatName, dict[str, Any]] = {
        A: {
            "model": "some-model",
            "max_tokens": 100,
            "temperature": 0.5,
            "top_k": 5,
            "metadata": {"user_id": "u" * 80},
            "system": "S",
            "messages": [user()],
            "tools": [{"name": "f", "input_schema": TOOL_SCHEMA}],
        },
        C: {
            "model": "some-model",
            "messages": [user() | {"name": "ann"}],
            "max_completion_tokens": 100,
            "tools": [CHAT_TOOL],
            "user": "someone",
        },
        R: {
            "model": "some-model",
            "input": [user()],
            "max_output_tokens": 100,
            "top_logprobs": 3,
            "include": ["message.output_text.logprobs"],
            "prompt_cache_key": "k",
            "text": {"verbosity": "low"},
            "safety_identifier": "someone",
            "store": False,
        },
        G: {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {
                "seed": 7,
                "maxOutputTokens": 100,
                "candidateCount": 2,
                "responseLogprobs": True,
                "logprobs": 2,
                "presencePenalty": 0.5,
            },
        },
    }
    body = bodies[fmt]
    return body if fmt == G else body | {"stream": streams}


def leaving(
    provider: ProviderConf, fmt: WireFormatName, body: dict[str, Any], *, streams: bool = False
) -> Explanation:
    """What leaves the proxy for the provider; nothing is sent."""
    plan = build_plan([HookConf("inbound", "inject_auth")], Stage.INBOUND)
    snapshot = Snapshot(providers=MappingProxyType({provider.name: provider}), inbound=plan)
    path = PATHS[fmt]
    if streams and fmt == G:
        path = path.replace(":generateContent", ":streamGenerateContent") + "?alt=sse"
    headers = (
        ("host", "127.0.0.1:4000"),
        ("content-type", "application/json"),
        ("x-api-key", f"sk-ccproxy-{provider.name}"),
        *((("anthropic-version", "2023-06-01"),) if fmt == A else ()),
    )
    url = f"http://127.0.0.1:4000{path}"
    return explain(snapshot, DryRequest("POST", url, headers, json.dumps(body).encode()))


def refusals(server: dict[str, Any], origin: str, sent: Explanation) -> list[str]:
    """What the server says against a request."""
    assert not sent.problem, sent.problem
    path = sent.url.removeprefix(origin)
    found = []
    if not any(re.fullmatch(known, path) for known in server["paths"]):
        found.append(f"404 {sent.url}")
    headers = {name.lower(): value for name, value in sent.headers}
    if not server.get("needs_no_key"):
        wanted = server.get("scheme", "") + "‹credential"
        if not headers.get(server["header"], "").startswith(wanted):
            found.append(f"401 {server['header']}")
    for name in ("x-api-key", "api-key", "authorization", "x-goog-api-key"):
        if "sk-ccproxy" in headers.get(name, ""):
            found.append(f"401 a sentinel key in {name}")
    found += [f"400 needs {name}" for name in server.get("needs", ()) if name not in headers]
    body = json.loads(sent.body)
    # The rules about fields are those of the server's main endpoint.
    if re.fullmatch(server["paths"][0], path):
        if "only" in server:
            found += [f"422 {name}" for name in body.keys() - set(server["only"])]
        for field in server.get("refuses", ()):
            found += [f"400 {field}" for _ in values_at(body, field)]
    for name, value in server.get("body", {}).items():
        if body.get(name) != value:
            found.append(f"400 {name} is {body.get(name)}")
    return found


def origin_of(provider: ProviderConf) -> str:
    port = f":{provider.port}" if provider.port else ""
    return f"{provider.scheme}://{provider.host}{port}"


def test_each_preset_has_a_server() -> None:
    assert SERVERS.keys() == presets().keys()


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("fmt", PATHS)
@pytest.mark.parametrize("streams", [False, True])
def test_its_server_takes_requests_of_every_format(
    name: str, fmt: WireFormatName, streams: bool
) -> None:
    provider = conf(name)
    sent = leaving(provider, fmt, body_of(fmt, streams=streams), streams=streams)
    # A client that speaks a native format is forwarded as it is, with what its own vendor takes.
    if fmt == C and name in BROKEN_BY_CHAT_CLIENTS:
        assert BROKEN_BY_CHAT_CLIENTS[name] <= {path for path, _ in sent.losses}
        return
    assert refusals(SERVERS[name], origin_of(provider), sent) == []


@pytest.mark.parametrize("name", presets())
def test_the_server_would_refuse_another_address_and_header(name: str) -> None:
    provider, server = conf(name), SERVERS[name]
    sent = leaving(provider, A, body_of(A, streams=False))
    sent.url += "/wrong"
    sent.headers = tuple((key, value) for key, value in sent.headers if "credential" not in value)
    found = refusals(server, origin_of(provider), sent)
    assert any(reason.startswith("404") for reason in found)
    assert server.get("needs_no_key") or any(reason.startswith("401") for reason in found)


def test_what_a_host_refuses_is_a_loss() -> None:
    sent = leaving(conf("mistral"), G, body_of(G, streams=False))
    assert json.loads(sent.body)["random_seed"] == 7
    assert ("logprobs", "api.mistral.ai takes no `logprobs`; it was left out.") in sent.losses
    # The provider of the same model elsewhere gets the field.
    other = leaving(conf("openrouter"), G, body_of(G, streams=False))
    assert json.loads(other.body)["logprobs"] is True
    assert json.loads(other.body)["seed"] == 7


def test_claude_on_vertex_gets_the_rest_of_a_body_byte_for_byte() -> None:
    provider = conf("vertex-anthropic")
    body = b'{"max_tokens": 1.50, "model": "claude-x@2", "messages": [{"role":"user","content":"a\\u00e9"}]}'
    plan = build_plan([HookConf("inbound", "inject_auth")], Stage.INBOUND)
    snapshot = Snapshot(providers=MappingProxyType({provider.name: provider}), inbound=plan)
    headers = (("host", "127.0.0.1"), ("x-api-key", f"sk-ccproxy-{provider.name}"))
    for path, model in (
        ("/v1/messages", ""),
        ("/v1/messages/count_tokens", ' "model": "claude-x@2",'),
    ):
        sent = explain(snapshot, DryRequest("POST", f"http://127.0.0.1{path}", headers, body))
        assert sent.body.decode() == (
            '{"anthropic_version":"vertex-2023-10-16","max_tokens": 1.50,'
            + model
            + ' "messages": [{"role":"user","content":"a\\u00e9"}]}'
        )
    assert sent.url.endswith("/publishers/anthropic/models/count-tokens:rawPredict")


def test_an_address_in_yaml() -> None:
    entry = with_preset({"preset": "vertex", "project": "p-1", "location": "europe-west4"})
    assert entry["host"] == "europe-west4-aiplatform.googleapis.com"
    assert entry["path"].startswith("/v1/projects/p-1/locations/europe-west4/publishers/google/")
    assert with_preset({"preset": "mistral", "enabled": False, "path": "/x"})["path"] == "/x"
    assert filled("vertex").host == "aiplatform.googleapis.com"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"preset": "mistrl"}, "there is no preset “mistrl”; did you mean mistral?"),
        ({"preset": "azure-openai"}, "the preset azure-openai needs “resource”: name of the Azure"),
        ({"preset": "azure-openai", "resource": "a/b"}, "“resource” takes letters, digits"),
    ],
)
def test_what_is_missing_is_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(BadPreset, match=re.escape(message)):
        with_preset(entry)
