"""Paths that SDKs make of base URLs with a version too many, too few, or a slash at the end."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.config.snapshot.schema import Snapshot
from interceptor.transform.dispatch import decide
from interceptor.transform.match import Facts
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.provider_conf import ProviderConf
from providers.wire.detect import canonical_path, client_format, endpoint_suffix

PROVIDERS = {
    ANTHROPIC_MESSAGES: ProviderConf("an", "anthropic", "a.test", path="/base/v1/messages"),
    OPENAI_CHAT: ProviderConf("oa", "openai", "o.test", path="/api/v4/chat/completions"),
    OPENAI_RESPONSES: ProviderConf("re", "openai_responses", "r.test", path="/codex/responses"),
    GOOGLE_GENERATE: ProviderConf("go", "google", "g.test", path="/v1beta/models/{model}:{action}"),
}
# What follows the vendor's own base URL, and what the matching provider gets.
ENDPOINTS: list[tuple[WireFormatName, str, str]] = [
    (ANTHROPIC_MESSAGES, "/messages", "/base/v1/messages"),
    (ANTHROPIC_MESSAGES, "/messages/count_tokens", "/base/v1/messages/count_tokens"),
    (ANTHROPIC_MESSAGES, "/messages/batches/b1", "/base/v1/messages/batches/b1"),
    (OPENAI_CHAT, "/chat/completions", "/api/v4/chat/completions"),
    (OPENAI_CHAT, "/chat/completions/c1", "/api/v4/chat/completions/c1"),
    (OPENAI_RESPONSES, "/responses", "/codex/responses"),
    (OPENAI_RESPONSES, "/responses/r1/cancel", "/codex/responses/r1/cancel"),
    (GOOGLE_GENERATE, "/models/g-1:generateContent", "/models/g-1:generateContent"),
    (GOOGLE_GENERATE, "/models/g-1:countTokens", "/models/g-1:countTokens"),
]
BASES = ["", "/", "/v1", "//v1", "/v1/", "/v1/v1", "/v1//v1", "/gateway", "/openai/v1"]
QUERIES = ["", "?beta=true", "?a=%2F%2F&b="]
HEADERS = {ANTHROPIC_MESSAGES: {"anthropic-version": "2023-06-01"}}


def sent_to(wire: WireFormatName, path: str) -> tuple[int, str]:
    """Status and path of a request with the sentinel key of the vendor's provider."""
    found = client_format(path, HEADERS.get(wire, {}).get)
    assert found == wire, path
    decision = decide(
        Snapshot(), Facts(("h",), path, ""), sentinel=PROVIDERS[wire], client_format=found,
        method="POST", body={},
    )  # fmt: skip
    return decision.status_code, decision.path


@pytest.mark.parametrize(("wire", "endpoint", "target"), ENDPOINTS)
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("base", BASES)
def test_every_base_url_reaches_the_providers_endpoint(
    base: str, query: str, wire: WireFormatName, endpoint: str, target: str
) -> None:
    for slash in ("", "/"):
        status_code, path = sent_to(wire, f"{base}{endpoint}{slash}{query}")
        assert status_code == 0
        if wire == GOOGLE_GENERATE:
            # Google's clients choose among versions of the API; a stated one stays.
            version = "/v1" if "v1" in base else "/v1beta"
            target = version + endpoint
        assert path == target + query


@pytest.mark.parametrize("wire", PROVIDERS)
@pytest.mark.parametrize("base", BASES)
def test_every_base_url_can_be_translated(base: str, wire: WireFormatName) -> None:
    endpoint = next(path for found, path, _ in ENDPOINTS if found == wire)
    other = PROVIDERS[OPENAI_CHAT if wire == ANTHROPIC_MESSAGES else ANTHROPIC_MESSAGES]
    decision = decide(
        Snapshot(), Facts(("h",), base + endpoint, ""), sentinel=other, client_format=wire,
        method="POST", body={"model": "m"},
    )  # fmt: skip
    assert (decision.status_code, decision.action) == (0, "transform")
    assert endpoint_suffix(decision.client_path, wire) == ""


@pytest.mark.parametrize(
    ("path", "provider", "target"),
    [
        ("/embeddings", OPENAI_CHAT, "/api/v4/embeddings"),
        ("/openai/v1/embeddings", OPENAI_CHAT, "/api/v4/embeddings"),
        ("//v1/v1/embeddings?x=1", OPENAI_CHAT, "/api/v4/embeddings?x=1"),
        ("/models/gpt-5", OPENAI_CHAT, "/api/v4/models/gpt-5"),
        ("/models/llama3:8b", OPENAI_CHAT, "/api/v4/models/llama3:8b"),
        ("/v1/models/claude-x", ANTHROPIC_MESSAGES, "/base/v1/models/claude-x"),
        ("/any/thing/", OPENAI_CHAT, "/any/thing/"),
    ],
)
def test_side_endpoints_follow_the_providers_base(
    path: str, provider: WireFormatName, target: str
) -> None:
    decision = decide(
        Snapshot(), Facts(("h",), path, ""), sentinel=PROVIDERS[provider],
        client_format=client_format(path), method="GET", body=None,
    )  # fmt: skip
    assert (decision.status_code, decision.path) == (0, target)


def test_messages_of_others_stay_their_own() -> None:
    assert client_format("/v1/threads/t1/messages") is None
    assert client_format("/messages") is None
    assert client_format("/messages/", {"anthropic-beta": "x"}.get) == ANTHROPIC_MESSAGES


@given(
    st.sampled_from(ENDPOINTS),
    st.lists(st.sampled_from(["", "v1", "openai", "x"]), max_size=4),
    st.sampled_from(QUERIES),
)
def test_canonical_paths_are_their_own_canonical_path(
    endpoint: tuple[WireFormatName, str, str], parts: list[str], query: str
) -> None:
    wire, path, _ = endpoint
    given_path = "/" + "/".join([*parts, path.lstrip("/")]) + query
    once = canonical_path(given_path, wire)
    assert canonical_path(once, wire) == once
    assert "//" not in once.partition("?")[0]
    assert once.endswith(query)
    assert client_format(once) == wire


def test_every_form_of_messages_is_one() -> None:
    forms = itertools.product(["", "/"], ["", "/v1", "/v1/v1", "/gateway/v1"], ["", "/"])
    found = {
        canonical_path(f"{a}{b}/messages{c}", ANTHROPIC_MESSAGES).removeprefix("/gateway")
        for a, b, c in forms
    }
    assert found == {"/v1/messages"}
