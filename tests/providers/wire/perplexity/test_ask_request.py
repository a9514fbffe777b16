"""The ask: its 33 fields, the texts, the client's own wishes, and the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from providers.base.errors import MalformedBody, UnsupportedByTarget
from providers.wire.core.base import TargetInfo
from providers.wire.perplexity.ask_conf import DEFAULT_CATALOGUE, AskConf, SearchConf
from providers.wire.translate import translate_request

FIELDS = {
    "version", "source", "language", "timezone", "search_focus", "sources",
    "search_recency_filter", "is_incognito", "skip_search_enabled",
    "is_nav_suggestions_disabled", "always_search_override", "override_no_search", "mode",
    "model_preference", "frontend_uuid", "frontend_context_uuid", "use_schematized_api",
    "send_back_text_in_streaming_api", "prompt_source", "dsl_query", "is_related_query",
    "is_sponsored", "time_from_first_type", "local_search_enabled", "client_coordinates",
    "mentions", "attachments", "should_ask_for_mcp_tool_confirmation",
    "browser_agent_allow_once_from_toggle", "force_enable_browser_agent", "supported_features",
    "supported_block_use_cases", "query_source",
}  # fmt: skip
FOLLOW_UP = {"last_backend_uuid": "b-1", "frontend_context_uuid": "c-1", "read_write_token": "rw"}


def ask(
    messages: Any = None, conf: AskConf | None = None, model: str = "perplexity/best", **more: Any
) -> Any:
    body = {"model": model, "messages": messages or [{"role": "user", "content": "Hi"}], **more}
    target = TargetInfo(options=conf)
    return translate_request(body, "openai_chat", "perplexity_ask", target=target)[0]


def test_a_fresh_ask_has_33_parameters() -> None:
    params = ask()["params"]
    assert set(params) == FIELDS and len(FIELDS) == 33
    assert params["version"] == "2.18" and params["time_from_first_type"] == 18361
    assert params["query_source"] == "home" and params["client_coordinates"] is None
    again = ask()["params"]
    assert params["frontend_uuid"] != again["frontend_uuid"]


@pytest.mark.parametrize("entry", DEFAULT_CATALOGUE, ids=lambda entry: entry.id)
def test_each_model_of_the_catalogue(entry: Any) -> None:
    params = ask(model=entry.id)["params"]
    assert (params["model_preference"], params["mode"]) == (entry.identifier, entry.mode)


def test_an_unknown_model_lists_the_ids() -> None:
    with pytest.raises(UnsupportedByTarget) as failed:
        ask(model="gpt-4")
    assert all(entry.id in str(failed.value) for entry in DEFAULT_CATALOGUE)


def test_the_texts_of_a_new_thread() -> None:
    found = ask(
        [
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two"},
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": [{"type": "text", "text": "Three"}]},
        ]
    )
    assert found["query_str"] == "<system>\nBe brief\n</system>\n\nOne\n\nTwo\n\nThree"
    assert found["params"]["dsl_query"] == found["query_str"]


def test_a_continued_thread_gets_the_last_message_alone() -> None:
    found = ask(
        [
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two"},
            {"role": "user", "content": "Three"},
        ],
        pplx=FOLLOW_UP,
    )
    params = found["params"]
    assert found["query_str"] == "Three"
    assert params["query_source"] == "followup" and params["followup_source"] == "link"
    assert params["last_backend_uuid"] == "b-1" and params["frontend_context_uuid"] == "c-1"
    assert params["read_write_token"] == "rw" and params["time_from_first_type"] == 8758
    assert len(params) == 36


def test_a_space_wins_over_a_follow_up() -> None:
    params = ask(pplx={**FOLLOW_UP, "space_uuid": "s-1", "is_incognito": True})["params"]
    assert params["query_source"] == "collection" and params["target_collection_uuid"] == "s-1"
    assert params["target_thread_access_level"] == 1 and params["is_incognito"] is False
    assert "last_backend_uuid" not in params


@pytest.mark.parametrize(
    ("written", "meant"),
    [("true", True), ("Yes", True), (1, True), ("on", True), ("0", False), ("off", False)],
)
def test_flags_as_clients_write_them(written: Any, meant: bool) -> None:
    assert ask(pplx={"is_incognito": written})["params"]["is_incognito"] is meant


@pytest.mark.parametrize(
    "wrong",
    [
        {"is_incognito": "perhaps"},
        {"coordinates": {"latitude": 1}},
        {"attachments": 3},
        {"mentions": "x"},
        {"language": 3},
        "x",
    ],
)
def test_wrong_wishes_are_named(wrong: Any) -> None:
    with pytest.raises(MalformedBody, match="pplx"):
        ask(pplx=wrong)


def test_wishes_and_settings() -> None:
    conf = AskConf(search=SearchConf(language="de-AT", sources=("scholar",), is_incognito=True))
    position = {"latitude": 47.1, "longitude": 15.4}
    wishes = {"sources": ["web", "edgar"], "coordinates": position, "timezone": "Europe/Vienna"}
    params = ask(conf=conf, pplx=wishes)["params"]
    assert params["language"] == "de-AT" and params["is_incognito"] is True
    assert params["sources"] == ["web", "edgar"] and params["timezone"] == "Europe/Vienna"
    assert params["local_search_enabled"] is True
    assert params["client_coordinates"] == {"location_lat": 47.1, "location_lng": 15.4, "name": ""}


@pytest.mark.parametrize("source", ["anthropic_messages", "openai_responses", "google_generate"])
def test_every_client_may_send_wishes(source: Any) -> None:
    bodies: dict[str, Any] = {
        "anthropic_messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
        "openai_responses": {"input": "Hi"},
        "google_generate": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    }
    body = {"model": "xai/grok-4", **bodies[source], "pplx": {"language": "fr-FR"}}
    found, _ = translate_request(body, source, "perplexity_ask", model="xai/grok-4")
    assert found["params"]["language"] == "fr-FR" and found["query_str"] == "Hi"


def test_what_perplexity_cannot_do_is_a_loss() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    content = [{"type": "text", "text": "Hi"}, image]
    body = {
        "model": "xai/grok-4",
        "messages": [{"role": "user", "content": content}],
        "tools": [tool],
        "temperature": 0.5,
        "reasoning_effort": "high",
        "response_format": {"type": "json_object"},
    }
    found, losses = translate_request(body, "openai_chat", "perplexity_ask")
    paths = {loss.path for loss in losses}
    assert {"tools", "temperature", "reasoning", "response_format", "messages.image"} <= paths
    assert found["query_str"] == "Hi"


def test_a_request_without_text_is_refused() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    with pytest.raises(UnsupportedByTarget, match="text"):
        ask([{"role": "user", "content": [image]}])
