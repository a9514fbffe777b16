"""Details of responses arrive in the client's format, or are listed as lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.wire.core.base import AnswerContext
from providers.wire.core.ir import Loss
from providers.wire.core.sse import SseParser
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.translate import StreamTranslator, translate_response
from tests.providers.wire.asking import A, C, G, R

Json = dict[str, Any]


def sse(*bodies: Json) -> bytes:
    return b"".join(f"data: {json.dumps(body)}\n\n".encode() for body in bodies)


def streamed(src: Any, dst: Any, *bodies: Json, **client: Any) -> tuple[list[Json], list[Loss]]:
    stream = StreamTranslator(src, dst, context=AnswerContext(client_body=client))
    raw = stream.feed(sse(*bodies)) + stream.flush()
    events = [event.data for event in SseParser().feed(raw)]
    return [json.loads(data) for data in events if data != b"[DONE]"], stream.losses


def anthropic(*blocks: Json, **more: Any) -> Json:
    head = {"type": "message", "id": "m", "role": "assistant", "model": "m"}
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {**head, "content": list(blocks), "stop_reason": "end_turn", "usage": usage, **more}


def anthropic_stream(*blocks: tuple[Json, Json], **delta: Any) -> list[Json]:
    out: list[Json] = [{"type": "message_start", "message": anthropic()}]
    for index, (block, change) in enumerate(blocks):
        place = {"index": index}
        out.append({"type": "content_block_start", **place, "content_block": block})
        out.append({"type": "content_block_delta", **place, "delta": change})
        out.append({"type": "content_block_stop", **place})
    out.append({"type": "message_delta", "delta": {"stop_reason": "end_turn", **delta}})
    return [*out, {"type": "message_stop"}]


def chat(message: Json, **choice: Any) -> Json:
    said = {"role": "assistant", "content": None, **message}
    return {"id": "c", "choices": [{"message": said, "finish_reason": "stop", **choice}]}


def chat_stream(*deltas: Json, **more: Any) -> list[Json]:
    out = [{"id": "c", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [*out, {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def paths(losses: list[Loss]) -> list[str]:
    return [loss.path for loss in losses]


REFUSED: Json = {"stop_reason": "refusal", "stop_details": {"explanation": "because"}}


@pytest.mark.parametrize("dst", [C, R])
def test_the_explanation_of_a_refusal_is_listed(dst: Any) -> None:
    losses = translate_response(anthropic(**REFUSED), A, dst)[1]
    assert [loss.reason for loss in losses if "because" in loss.reason]
    losses = streamed(A, dst, *anthropic_stream(**REFUSED))[1]
    assert [loss.reason for loss in losses if "because" in loss.reason]


def test_googles_reason_is_anthropics_explanation() -> None:
    candidate = {"finishReason": "SAFETY", "finishMessage": "because"}
    body, losses = translate_response({"candidates": [candidate]}, G, A)
    assert body["stop_reason"] == "refusal"
    assert body["stop_details"]["explanation"] == "because"
    assert losses == []


@pytest.mark.parametrize(
    ("tier", "dst", "word"),
    [
        ("priority", C, "priority"),
        ("standard", R, "default"),
        ("priority", R, "priority"),
        ("batch", C, None),
        ("priority", G, None),
    ],
)
def test_the_tier_that_was_used_is_told(tier: str, dst: Any, word: str | None) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": tier}
    body, losses = translate_response(anthropic(usage=usage), A, dst)
    if word is None:
        assert "service_tier" in paths(losses)
    else:
        assert body["service_tier"] == word
        first, *rest = anthropic_stream()
        first["message"]["usage"] = usage
        events, _ = streamed(A, dst, first, *rest)
        last = events[-1].get("response", events[-1])
        assert last["service_tier"] == word


@pytest.mark.parametrize(("src", "tier", "word"), [(C, "default", "standard"), (R, "flex", None)])
def test_openais_tier_in_anthropics_usage(src: Any, tier: str, word: str | None) -> None:
    answer = {"output": [], "status": "completed"} if src == R else chat({"content": "x"})
    body, losses = translate_response({**answer, "service_tier": tier}, src, A)
    assert body["usage"].get("service_tier") == word
    assert ("service_tier" in paths(losses)) is (word is None)


TOKENS = [{"token": "ok", "logprob": -0.1, "top_logprobs": [{"token": "no", "logprob": -2.0}]}]


def test_alternatives_of_tokens_reach_google_and_are_lost_for_anthropic() -> None:
    answer = chat({"content": "ok"}, logprobs={"content": TOKENS})
    body, _ = translate_response(answer, C, G)
    wanted = [{"candidates": [{"token": "no", "logProbability": -2.0}]}]
    assert body["candidates"][0]["logprobsResult"]["topCandidates"] == wanted
    chunk = {"index": 0, "delta": {"content": "ok"}, "logprobs": {"content": TOKENS}}
    stream = [{"id": "c", "choices": [chunk]}, *chat_stream()]
    events, _ = streamed(C, G, *stream)
    assert events[0]["candidates"][0]["logprobsResult"]["topCandidates"] == wanted
    assert paths(translate_response(answer, C, A)[1]) == ["logprobs"]
    assert paths(streamed(C, A, *stream)[1]) == ["logprobs"]


@pytest.mark.parametrize("dst", [A, R, G])
def test_what_was_spoken_arrives_as_text(dst: Any) -> None:
    audio = {"id": "a", "data": "QUJD", "expires_at": 1}
    body, losses = translate_response(chat({"audio": {**audio, "transcript": "hello"}}), C, dst)
    assert '"hello"' in json.dumps(body)
    assert "message.audio" in paths(losses)
    deltas = [{"audio": {"id": "a", "transcript": "hel"}}, {"audio": {"transcript": "lo"}}]
    events, losses = streamed(C, dst, *chat_stream(*deltas, {"audio": {"data": "QUJD"}}))
    assert '"hel"' in json.dumps(events) and '"lo"' in json.dumps(events)
    assert "message.audio" in paths(losses)


def test_citations_of_documents_are_listed() -> None:
    place = {"type": "char_location", "cited_text": "x", "document_index": 0}
    block = {"type": "text", "text": "cited", "citations": [{**place, "document_title": "D"}]}
    for dst in (C, R, G):
        assert "citations" in paths(translate_response(anthropic(block), A, dst)[1])


def test_streamed_annotations_are_numbered() -> None:
    citation = {"type": "web_search_result_location", "url": "https://e.invalid", "title": "T"}
    text = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "cited"})
    out = anthropic_stream(text)
    cite = {"type": "citations_delta", "citation": {**citation, "cited_text": "c"}}
    out[3:3] = [{"type": "content_block_delta", "index": 0, "delta": cite}] * 2
    events, _ = streamed(A, C, *out)
    found = [e["choices"][0]["delta"].get("annotations") for e in events]
    assert [one[0]["index"] for one in found if one] == [0, 1]


@pytest.mark.parametrize("dst", [C, R])
def test_a_streamed_call_without_arguments_is_an_empty_object(dst: Any) -> None:
    block = {"type": "tool_use", "id": "toolu_e", "name": "f", "input": {}}
    empty = {"type": "input_json_delta", "partial_json": ""}
    events, _ = streamed(A, dst, *anthropic_stream((block, empty), stop_reason="tool_use"))
    if dst == R:
        kind = "response.function_call_arguments.delta"
        deltas = [event["delta"] for event in events if event["type"] == kind]
    else:
        calls = [event["choices"][0]["delta"].get("tool_calls") for event in events]
        deltas = [call[0]["function"]["arguments"] for call in calls if call]
    assert "".join(deltas) == "{}"


@pytest.mark.parametrize("src", [A, R])
def test_a_free_form_call_reaches_chat_as_one(src: Any) -> None:
    tools = [{"type": "custom", "custom": {"name": "apply_patch"}}]
    if src == A:
        block = {"type": "tool_use", "id": "t", "name": "apply_patch", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": '{"input": "*** \\"q\\" é"}'}
        out = anthropic_stream((block, delta), stop_reason="tool_use")
    else:
        item = {"type": "function_call", "id": "fc_1", "call_id": "t", "name": "apply_patch"}
        item["arguments"] = '{"input": "*** \\"q\\" é"}'
        out = [
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"status": "completed", "output": [item]}},
        ]
    events, _ = streamed(src, C, *out, tools=tools)
    calls = [event["choices"][0]["delta"].get("tool_calls") for event in events]
    found = [call[0] for call in calls if call]
    assert found[0]["type"] == "custom"
    assert "".join(one["custom"]["input"] for one in found) == '*** "q" é'


@pytest.mark.parametrize("dst", [A, C, R])
def test_a_call_written_wrongly_is_a_failure(dst: Any) -> None:
    candidate = {"content": {"parts": []}, "finishReason": "MALFORMED_FUNCTION_CALL"}
    with pytest.raises(ReportedFailure, match="MALFORMED_FUNCTION_CALL"):
        translate_response({"candidates": [candidate]}, G, dst)
    stream = StreamTranslator(G, dst)
    stream.feed(sse({"candidates": [candidate]}))
    assert stream.failure is not None


@pytest.mark.parametrize("dst", [C, R, G])
def test_a_pause_is_listed(dst: Any) -> None:
    assert "stop_reason" in paths(
        translate_response(anthropic(stop_reason="pause_turn"), A, dst)[1]
    )


@pytest.mark.parametrize("dst", [A, R, C])
def test_a_signature_without_text_opens_no_block(dst: Any) -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    end = {"text": "", "thoughtSignature": "REVG"}
    first = {"candidates": [{"content": {"parts": [call]}}], "responseId": "r"}
    last = {"candidates": [{"content": {"parts": [end]}, "finishReason": "STOP"}]}
    events, _ = streamed(G, dst, first, last)
    starts = [e for e in events if e.get("type") == "content_block_start"]
    assert len(starts) == (1 if dst == A else 0)
    assert "output_text" not in json.dumps([e for e in events if e.get("type") != "x"][-1])
