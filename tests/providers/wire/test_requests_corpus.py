"""Every recorded request in every other format: valid for the official SDK, and saying the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.base.errors import UnsupportedByTarget
from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, WireFormatName
from providers.wire.core.ir import Loss, Media, Request, Text, ToolCall, ToolResult
from providers.wire.facts.table import built_in
from providers.wire.rules.portable import make_portable
from providers.wire.rules.toolnames import wire_name
from providers.wire.translate import TargetInfo, decoded_request, translate_request

from .cases import ALL, MODELS, PAIRS, Case, with_request
from .sdk_types import problems

pytestmark = pytest.mark.corpus


def translated(case: Case, dst: WireFormatName) -> tuple[dict[str, Any], list[Loss]]:
    target = TargetInfo(model=MODELS[dst], stream=case.streaming)
    return translate_request(case.body, case.format, dst, target=target, model=case.model)


def possible(
    corpus: Path, src: WireFormatName, dst: WireFormatName
) -> Iterator[tuple[Case, dict[str, Any], list[Loss]]]:
    for case in with_request(corpus):
        if case.format == src:
            try:
                yield case, *translated(case, dst)
            except UnsupportedByTarget as refusal:
                # Only these may be refused, and the message says what to do.
                tools = json.dumps(case.body.get("tools", [])) + json.dumps(
                    case.body.get("mcp_servers", [])
                )
                stored = any(case.body.get(key) for key in STORED_STATE)
                stored = stored or "is stored at another vendor" in str(refusal)
                assert tools != "[][]" or stored or "web_search_options" in case.body, case.id
                assert "leave it out" in str(refusal) or "instead of" in str(refusal), str(refusal)


STORED_STATE = ("previous_response_id", "conversation", "prompt", "cachedContent")


def test_the_checker_sees_what_is_wrong():
    good = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert problems("openai_chat", good) == []
    assert problems("openai_chat", {**good, "thinking": {}}) == [".thinking: unknown"]
    assert problems(
        "openai_chat", {**good, "messages": [{"role": "user", "content": [{"type": "text"}]}]}
    )
    assert problems("anthropic_messages", good) == [".max_tokens: missing"]
    assert problems("google_generate", {"contents": [{"role": "user", "parts": [{"tex": "a"}]}]})


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_requests_are_valid_for_the_other_vendors_sdk(corpus, src, dst):
    seen = 0
    for case, body, _ in possible(corpus, src, dst):
        seen += 1
        assert problems(dst, body) == [], case.id
    assert seen > 60


def said(request: Request) -> dict[str, object]:
    """What a request says, in words every format has."""
    texts, calls, results, media = [], [], [], []
    blocks = [block for turn in request.turns for block in turn.blocks]
    for block in [*request.system, *blocks]:
        if isinstance(block, Text):
            texts.append(block.text)
        elif isinstance(block, ToolCall):
            arguments = block.arguments
            calls.append(
                (
                    block.name,
                    json.loads(arguments or "{}") if isinstance(arguments, str) else arguments,
                )
            )
        elif isinstance(block, ToolResult):
            results.append("\n".join(part.text for part in block.content if isinstance(part, Text)))
            media += [part.kind for part in block.content if isinstance(part, Media)]
        elif isinstance(block, Media):
            media.append(block.kind)
    return {
        "text": "".join("".join(texts).split()),
        "calls": calls,
        "results": sorted("".join(result.split()) for result in results),
        "media": sorted(media),
        "tools": sorted(tool.name for tool in request.tools),
        "limit": request.sampling.max_tokens,
        "schema": request.output is not None and request.output.kind == "schema",
        "stream": request.stream,
    }


def expected(case: Case, dst) -> dict[str, object]:
    request = decoded_request(
        copy.deepcopy(case.body), case.format, model=case.model, stream=case.streaming
    )
    make_portable(request, dst)
    return said(request)


LOSSY = {
    "Anthropic takes no",
    "OpenAI",
    "Google takes",
    "Content of the result",
    "Document:",
    "A document by",
}


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_requests_say_the_same_in_the_other_format(corpus, src, dst):
    """Text, calls, results, media, tools, limit, schema; only what is a declared loss may
    differ.
    """
    compared = 0
    for case, body, losses in possible(corpus, src, dst):
        want = expected(case, dst)
        got = said(decoded_request(body, dst, model=None, stream=case.streaming))
        reasons = " ".join(loss.reason for loss in losses)
        if want["limit"] is None and dst == ANTHROPIC_MESSAGES:
            budget = body.get("thinking", {}).get("budget_tokens", 0)
            largest = built_in().of(body["model"]).max_output_tokens
            assert got["limit"] == (largest or min(8192 + budget, 32_000))
            assert got["limit"] > budget
            want["limit"] = got["limit"]
        if "tokens at least" in reasons or "tokens at most" in reasons:
            want["limit"] = got["limit"]
        if "was dropped" in reasons or "sent as text" in reasons or "left out" in reasons:
            continue
        for field in ("text", "media", "results"):
            if field in ("text", "media") and _moved_media(want, dst):
                continue
            if "full stop" in reasons or "JSON mode" in reasons or "put before" in reasons:
                continue
            assert _same(field, want[field], got[field]), (
                case.id,
                field,
                str(want[field])[:300],
                str(got[field])[:300],
            )
        for field in ("calls", "tools", "limit", "schema", "stream"):
            assert got[field] == want[field], (case.id, field, want[field], got[field])
        compared += 1
    assert compared > 40


def _same(field: str, want, got) -> bool:
    if field == "results":  # Google's results are objects, so JSON may be spelled anew
        return [_canonical(text) for text in want] == [_canonical(text) for text in got]
    return bool(want == got)


def _canonical(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, sort_keys=True)


def _moved_media(want, dst) -> bool:
    """Media of results stand beside them where a vendor has no place inside; text documents become
    text.
    """
    return bool(want["media"])


@pytest.mark.parametrize("name", ALL)
def test_requests_survive_their_own_format(corpus, name):
    for case in with_request(corpus):
        if case.format != name:
            continue
        before = copy.deepcopy(case.body)
        body, losses = translate_request(
            case.body, name, name, target=TargetInfo(stream=case.streaming), model=case.model
        )
        assert case.body == before, "the given body was changed"
        want = decoded_request(case.body, name, model=case.model, stream=case.streaming)
        got = decoded_request(body, name, model=case.model, stream=case.streaming)
        if not any(
            "empty message" in loss.reason or "white space" in loss.reason for loss in losses
        ):
            assert said(got) == {**said(want), "limit": said(got)["limit"]}, case.id
        assert got.tool_choice == want.tool_choice, case.id
        assert got.extras == want.extras, case.id
        if want.reasoning is not None and name != GOOGLE_GENERATE:
            assert got.reasoning == want.reasoning, case.id


def test_wire_names_are_stable_and_plain():
    assert wire_name("get_weather") == "get_weather"
    assert wire_name("read", "mcp__fs") == "mcp__fs__read"
    odd = wire_name("a.b:c/ü" * 30)
    assert odd == wire_name("a.b:c/ü" * 30)
    assert len(odd) <= 64
    assert odd.replace("_", "a").isalnum()
    assert wire_name("1x")[0] == "_"
    assert wire_name("a.b") != wire_name("a:b")
