"""Routing decisions, without any network."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.transform.decision import Decision
from interceptor.transform.dispatch import decide
from interceptor.transform.match import Facts, host_names
from interceptor.transform.target import provider_path
from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_CHAT, WireFormatName
from providers.base.pattern import compile_pattern
from providers.provider_conf import ProviderConf
from providers.wire.detect import client_format

PROVIDERS = (
    ProviderConf("anthropic", "anthropic", "api.anthropic.com", path="/v1/messages"),
    ProviderConf("deepseek", "deepseek", "api.deepseek.com", path="/anthropic/v1/messages"),
    ProviderConf("openai", "openai", "api.openai.com", path="/v1/chat/completions"),
    ProviderConf("zai", "openai", "api.z.ai", path="/api/paas/v4/chat/completions"),
    ProviderConf("codex", "openai_responses", "chatgpt.com", path="/backend-api/codex/responses"),
    ProviderConf(
        "google",
        "google",
        "generativelanguage.googleapis.com",
        path="/v1beta/models/{model}:{action}",
    ),
    ProviderConf("gemini", "gemini", "cloudcode-pa.googleapis.com", path="/v1internal:{action}"),
    ProviderConf("ollama", "openai", "127.0.0.1", "http", 11434, "/v1/chat/completions"),
)
BY_NAME = {p.name: p for p in PROVIDERS}


def rule(action: str = "redirect", **more: Any) -> RuleConf:
    patterns = {k: compile_pattern(v) for k, v in more.items() if k.startswith("match_")}
    return RuleConf(id=7, action=action, **{"name": "r", **more, **patterns})


def route(
    path: str, key: str = "", *, rules: tuple[RuleConf, ...] = (), model: str = "", host: str = "h"
) -> Decision:
    snapshot = Snapshot(providers=MappingProxyType(BY_NAME), rules=rules)
    return decide(
        snapshot,
        Facts((host,), path, model),
        sentinel=BY_NAME.get(key),
        client_format=client_format(path),
        method="POST",
        body={"model": model} if model else {},
    )


@pytest.mark.parametrize(
    ("path", "key", "target"),
    [
        (
            "/v1/messages?beta=true",
            "anthropic",
            "https://api.anthropic.com:443/v1/messages?beta=true",
        ),
        (
            "/v1/messages/count_tokens",
            "deepseek",
            "https://api.deepseek.com:443/anthropic/v1/messages/count_tokens",
        ),
        ("/chat/completions", "openai", "https://api.openai.com:443/v1/chat/completions"),
        ("/v1/responses", "openai", "https://api.openai.com:443/v1/responses"),
        (
            "/v1/responses/abc/cancel",
            "openai",
            "https://api.openai.com:443/v1/responses/abc/cancel",
        ),
        ("/v1/embeddings", "zai", "https://api.z.ai:443/api/paas/v4/embeddings"),
        ("/v1/chat/completions", "zai", "https://api.z.ai:443/api/paas/v4/chat/completions"),
        ("/v1/responses", "codex", "https://chatgpt.com:443/backend-api/codex/responses"),
        ("/v1/models", "codex", "https://chatgpt.com:443/backend-api/codex/models"),
        ("/v1/chat/completions", "ollama", "http://127.0.0.1:11434/v1/chat/completions"),
        (
            "/v1alpha/models/gemini-x:streamGenerateContent?alt=sse",
            "google",
            "https://generativelanguage.googleapis.com:443/v1alpha/models/gemini-x:streamGenerateContent?alt=sse",
        ),
        (
            "/v1internal:countTokens",
            "gemini",
            "https://cloudcode-pa.googleapis.com:443/v1internal:countTokens",
        ),
        ("/api/hello", "anthropic", "https://api.anthropic.com:443/api/hello"),
    ],
)
def test_sentinels_route_to_their_provider(path: str, key: str, target: str) -> None:
    decision = route(path, key)
    assert decision.status_code == 0
    assert f"{decision.scheme}://{decision.host}:{decision.port}{decision.path}" == target


@pytest.mark.parametrize(
    ("path", "key", "status_code"),
    [
        ("/v1/embeddings", "openai", 0),
        ("/v1/embeddings", "codex", 0),
        ("/v1/embeddings", "anthropic", 501),
        ("/v1/images/generations", "google", 501),
        ("/v1/batches", "deepseek", 501),
        ("/v1/messages/batches", "openai", 501),
        ("/v1beta/models/x:embedContent", "openai", 501),
        ("/v1beta/files", "anthropic", 501),
        ("/v1beta/files", "google", 0),
        ("/api/event_logging/v2/batch", "openai", 501),
        ("/v1/models", "anthropic", 0),
        ("/anything", "openai", 0),
    ],
)
def test_side_endpoints_stay_with_their_vendor(path: str, key: str, status_code: int) -> None:
    assert route(path, key).status_code == status_code


def test_a_shared_side_endpoint_goes_to_the_vendor_the_headers_name() -> None:
    for family, status_code in ((ANTHROPIC_MESSAGES, 0), (OPENAI_CHAT, 501)):
        decision = decide(
            Snapshot(), Facts(("h",), "/v1/files", ""), sentinel=BY_NAME["anthropic"],
            client_format=None,
            method="POST", body=None, family=family,
        )  # fmt: skip
        assert decision.status_code == status_code


def test_nothing_matches() -> None:
    decision = route("/v1/chat/completions?x=1", model="gpt-5")
    assert decision.status_code == 501
    assert "POST /v1/chat/completions model=gpt-5" in decision.route
    assert "sk-ccproxy-anthropic" in decision.route


def test_first_match_wins_and_all_conditions_must_hold() -> None:
    rules = (
        rule(name="host", match_host="^other$", dest_provider="openai"),
        rule(
            name="model",
            match_path="^/v1/chat",
            match_model="^gpt-4",
            dest_provider="ollama",
            dest_model="llama",
        ),
        rule(name="all", dest_provider="openai"),
    )
    decision = route("/v1/chat/completions", rules=rules, model="gpt-4o")
    assert (decision.rule and decision.rule.name, decision.host, decision.model) == (
        "model",
        "127.0.0.1",
        "llama",
    )
    decision = route("/v1/chat/completions", rules=rules, model="o9")
    assert decision.rule and decision.rule.name == "all"
    decision = route("/v1/chat/completions", rules=rules, host="other")
    assert decision.rule and decision.rule.name == "host"


def test_a_rule_beats_the_sentinel() -> None:
    decision = route("/v1/messages", "anthropic", rules=(rule(dest_provider="deepseek"),))
    assert decision.provider is BY_NAME["deepseek"]


@pytest.mark.parametrize(
    ("made", "path", "target"),
    [
        (rule(dest_host="example.com"), "/v1/x?q=1", "https://example.com:443/v1/x?q=1"),
        (
            rule(dest_host="example.com", dest_path="/to/{model}"),
            "/v1/messages?q=1",
            "https://example.com:443/to/m?q=1",
        ),
        (
            rule(dest_provider="openai", dest_host="eu.example"),
            "/v1/chat/completions",
            "https://eu.example:443/v1/chat/completions",
        ),
        (
            rule(dest_provider="openai", dest_path="/beta"),
            "/v1/chat/completions",
            "https://api.openai.com:443/beta",
        ),
        (
            rule(dest_provider="google", dest_model="gemini-y"),
            "/v1beta/models/gemini-x:generateContent",
            "https://generativelanguage.googleapis.com:443/v1beta/models/gemini-y:generateContent",
        ),
    ],
)
def test_redirects(made: RuleConf, path: str, target: str) -> None:
    decision = route(path, rules=(made,), model="m" if "messages" in path else "")
    assert f"{decision.scheme}://{decision.host}:{decision.port}{decision.path}" == target


def test_rules_that_lead_nowhere_say_so() -> None:
    gone = route("/v1/messages", rules=(rule(dest_provider="missing"),))
    assert (gone.status_code, "“missing”" in gone.route) == (502, True)
    nowhere = route("/v1/messages", rules=(rule("passthrough"),))
    assert nowhere.status_code == 501
    with_key = route("/v1/messages?a=b", "anthropic", rules=(rule("passthrough"),))
    assert (with_key.action, with_key.path) == ("passthrough", "/v1/messages?a=b")


def test_a_models_name_cannot_leave_its_path_segment() -> None:
    template = ProviderConf("v", "vertex_ai", "h", path="/x/{model}:{action}")
    path = "/v1beta/models/..%2f..%2fadmin:generateContent"
    assert "/../" not in provider_path(
        template, path, {}, fmt="google_generate", model="../../admin"
    )


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (("A.example:443", None), ("a.example",)),
        (("[::1]:4000", "b"), ("::1", "b")),
        (("a, b:1", "a"), ("a", "b")),
        ((None, ""), ()),
    ],
)
def test_host_names(values: tuple[str | None, ...], names: tuple[str, ...]) -> None:
    assert host_names(*values) == names


VERTEX = ProviderConf(
    "vertex",
    "vertex_ai",
    "us-central1-aiplatform.googleapis.com",
    path="/v1/projects/own/locations/us-central1/publishers/google/models/{model}:{action}",
)


@pytest.mark.parametrize(
    ("project", "location", "url"),
    [
        ("", "", "us-central1-aiplatform.googleapis.com/v1/projects/own/locations/us-central1"),
        (
            "p-2",
            "europe-west4",
            "europe-west4-aiplatform.googleapis.com/v1/projects/p-2/locations/europe-west4",
        ),
        ("", "global", "aiplatform.googleapis.com/v1/projects/own/locations/global"),
    ],
)
@pytest.mark.parametrize(
    ("action", "client_format", "path"),
    [
        ("transform", "anthropic_messages", "/v1/messages?beta=true"),
        ("transform", "google_generate", "/v1beta/models/gemini-x:streamGenerateContent"),
        ("redirect", "google_generate", "/v1beta/models/gemini-x:streamGenerateContent"),
    ],
)
def test_vertex_rules_choose_project_and_location(
    project: str, location: str, url: str, action: str, client_format: WireFormatName, path: str
) -> None:
    """Translated or not: a client of Google's own format gets there too."""
    made = rule(
        action,
        dest_provider="vertex",
        dest_vertex_project=project,
        dest_vertex_location=location,
    )
    snapshot = Snapshot(providers=MappingProxyType({"vertex": VERTEX}), rules=(made,))
    body = {"model": "gemini-x", "stream": True}
    decision = decide(
        snapshot, Facts(("h",), path, "gemini-x"), sentinel=None,
        client_format=client_format, method="POST", body=body,
    )  # fmt: skip
    bare = f"{url}/publishers/google/models/gemini-x:streamGenerateContent"
    assert (decision.host + decision.path).removesuffix("?alt=sse") == bare
    assert VERTEX.owns(decision.host, 443)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "x.aiplatform.googleapis.com", "evil-aiplatform.googleapis.com.example"],
)
def test_a_vertex_credential_stays_with_google(host: str) -> None:
    assert not VERTEX.owns(host, 443)
    assert not VERTEX.owns("europe-west4-aiplatform.googleapis.com", 444)
