"""Google generateContent responses, buffered: body ↔ `Response`, usage, citations, errors.

Source: Gemini API reference `GenerateContentResponse`, `Candidate`, `UsageMetadata`. Code Assist
has it in `response`.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import GOOGLE_GENERATE
from providers.wire.core.base import AnswerContext
from providers.wire.core.ir import (
    Block,
    Citation,
    Failure,
    Finish,
    FinishReason,
    Foreign,
    JsonObject,
    Losses,
    Media,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from providers.wire.core.jsonio import loads
from providers.wire.core.shape import count, objects, without
from providers.wire.google_generate.keys import camel
from providers.wire.google_generate.request_decode import decode_call, decode_part

_FILTERED: Final[tuple[str, ...]] = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
)
_FINISH: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(_FILTERED, "content_filter"),
}
_FINISH_OTHER: Final = (
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)
_FINISH_REASON: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "pause": "STOP",
    "other": "OTHER",
}
_NUMBERED: Final = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
_KNOWN: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})


def unwrapped(body: JsonObject) -> JsonObject:
    """Return the response inside Code Assist's envelope, or the body itself."""
    inner = body.get("response")
    return inner if isinstance(inner, dict) and "candidates" not in body else body


def decode_response(body: Any) -> Response:
    """Decode the first candidate.

    Raises `MalformedBody` for a body that is no response.
    """
    body = camel(unwrapped(body))
    if not any(key in body for key in ("candidates", "promptFeedback", "usageMetadata")):
        raise MalformedBody("The response has no candidates.")
    candidates = objects(body.get("candidates") or [], "candidates")
    response = Response(
        GOOGLE_GENERATE,
        id=body.get("responseId"),
        model=body.get("modelVersion"),
        usage=decode_usage(body.get("usageMetadata")),
        extras=without(body, _KNOWN) or {},
    )
    if len(candidates) > 1:
        response.losses.add(
            "candidates", f"Only the first of {len(candidates)} candidates is translated."
        )
    if not candidates:
        response.finish = blocked(body)
        return response
    candidate = camel(candidates[0])
    response.blocks = _blocks(candidate)
    response.finish = decode_finish(
        candidate, any(isinstance(block, ToolCall) for block in response.blocks)
    )
    attach_citations(response.blocks, candidate.get("groundingMetadata"))
    _attach_logprobs(response.blocks, candidate.get("logprobsResult"))
    return response


def blocked(body: JsonObject) -> Finish:
    """Return the end of a response without candidates: the prompt was blocked."""
    feedback = body.get("promptFeedback")
    feedback = camel(feedback) if isinstance(feedback, dict) else {}
    reason = feedback.get("blockReason")
    return Finish(
        "content_filter" if reason else "stop",
        None,
        detail=feedback.get("blockReasonMessage") or reason,
    )


def _blocks(candidate: JsonObject) -> list[Block]:
    """Decode the parts. Adjacent parts of one text are joined, as a stream's would be."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    blocks: list[Block] = []
    for index, raw in enumerate(objects(parts or [], "parts")):
        part = camel(raw)
        if "functionCall" in part:
            blocks.append(decode_call(part, f"parts[{index}].functionCall", new_call_id()))
            continue
        block = decode_part(part, f"parts[{index}]")
        last = blocks[-1] if blocks else None
        if (
            isinstance(block, Text | Thinking)
            and type(last) is type(block)
            and isinstance(last, Text | Thinking)
        ):
            last.text += block.text
            last.signature = block.signature or last.signature
        else:
            blocks.append(block)
    return blocks


def new_call_id() -> str:
    """Return an id for a call without one."""
    return f"call_{secrets.token_hex(8)}"


def decode_finish(candidate: JsonObject, called: bool) -> Finish:
    """Decode `finishReason`. Google says STOP for calls too."""
    raw = candidate.get("finishReason")
    raw = _NUMBERED.get(raw, str(raw)) if isinstance(raw, int) else raw
    reason = _FINISH.get(str(raw), "other") if raw else "stop"
    if reason == "stop" and called:
        reason = "tool_calls"
    return Finish(reason, raw, detail=candidate.get("finishMessage"))


def decode_usage(raw: Any) -> Usage | None:
    """Decode usage.

    Google counts thoughts apart from the response and tool prompts apart from the prompt; ours adds
    both.
    """
    if not isinstance(raw, dict):
        return None
    raw = camel(raw)
    prompt, answer, thoughts, tools = (
        count(raw.get(key))
        for key in (
            "promptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "toolUsePromptTokenCount",
        )
    )
    return Usage(
        input_tokens=None if prompt is None else prompt + (tools or 0),
        output_tokens=(
            None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
        ),
        cached_tokens=count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        tool_input_tokens=tools,
    )


def encode_usage(usage: Usage | None) -> JsonObject | None:
    """Encode `usageMetadata`."""
    if usage is None:
        return None
    read, written, thoughts = (
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        usage.reasoning_tokens or 0,
    )
    # Where a provider counts reasoning apart (xAI), both figures are passed on as they are.
    answer = written - thoughts if thoughts <= written else written
    body: JsonObject = {
        "promptTokenCount": read - (usage.tool_input_tokens or 0),
        "candidatesTokenCount": answer,
        "totalTokenCount": read + written,
    }
    if thoughts:
        body["thoughtsTokenCount"] = thoughts
    if usage.tool_input_tokens:
        body["toolUsePromptTokenCount"] = usage.tool_input_tokens
    if usage.cached_tokens:
        body["cachedContentTokenCount"] = usage.cached_tokens
    return body


def attach_citations(blocks: list[Block], grounding: Any) -> None:
    """Attach grounding supports as citations to the texts they are in.

    Google counts UTF-8 bytes over the text of all parts.
    """
    if not isinstance(grounding, dict):
        return
    for citation in decode_grounding(grounding):
        texts = [block for block in blocks if isinstance(block, Text)]
        home = next(
            (t for t in texts if citation.cited_text and citation.cited_text in t.text),
            texts[0] if texts else None,
        )
        if home is not None:
            if citation.cited_text and (start := home.text.find(citation.cited_text)) >= 0:
                citation.start, citation.end = start, start + len(citation.cited_text)
            home.citations.append(citation)


def decode_grounding(grounding: JsonObject) -> list[Citation]:
    """Decode grounding: one citation for each support and source.

    Sources without a support cite the text as a unit.
    """
    grounding = camel(grounding)
    chunks = [chunk for chunk in grounding.get("groundingChunks") or [] if isinstance(chunk, dict)]
    citations: list[Citation] = []
    supported: set[int] = set()
    for support in grounding.get("groundingSupports") or []:
        support = camel(support) if isinstance(support, dict) else {}
        segment = camel(support.get("segment") or {})
        for index in support.get("groundingChunkIndices") or []:
            if isinstance(index, int) and 0 <= index < len(chunks):
                supported.add(index)
                citations.append(_citation(chunks[index], segment.get("text")))
    citations += [
        _citation(chunk, None) for index, chunk in enumerate(chunks) if index not in supported
    ]
    return citations


def _citation(chunk: JsonObject, text: str | None) -> Citation:
    source = next((value for value in chunk.values() if isinstance(value, dict)), {})
    url, title = source.get("uri"), source.get("title")
    return Citation(url, title, text, raw=chunk, vendor=GOOGLE_GENERATE)


def _attach_logprobs(blocks: list[Block], raw: Any) -> None:
    if not isinstance(raw, dict):
        return
    raw = camel(raw)
    text = next((block for block in blocks if isinstance(block, Text)), None)
    if text is None:
        return
    chosen = raw.get("chosenCandidates") or []
    tops = raw.get("topCandidates") or []
    for index, token in enumerate(chosen):
        alternatives = tops[index].get("candidates", []) if index < len(tops) else []
        text.logprobs.append(
            {**_token(token), "top_logprobs": [_token(other) for other in alternatives]}
        )


def _token(raw: JsonObject) -> JsonObject:
    token = str(raw.get("token", ""))
    encoded = token.encode("utf-8", "surrogatepass")
    return {"token": token, "logprob": raw.get("logProbability", 0.0), "bytes": list(encoded)}


def encode_response(response: Response, context: AnswerContext) -> JsonObject:
    """Encode a `GenerateContentResponse` with one candidate."""
    parts = [
        part for block in response.blocks for part in encode_answer_block(block, response.losses)
    ]
    candidate: JsonObject = {
        "content": {"role": "model", "parts": parts},
        "finishReason": encode_finish(response.finish, refused=refused(response.blocks)),
        "index": 0,
    }
    if response.finish.detail:
        candidate["finishMessage"] = response.finish.detail
    if grounding := encode_grounding(response.blocks):
        candidate["groundingMetadata"] = grounding
    tokens = [
        token for block in response.blocks if isinstance(block, Text) for token in block.logprobs
    ]
    if tokens:
        chosen = [{"token": t.get("token"), "logProbability": t.get("logprob")} for t in tokens]
        candidate["logprobsResult"] = {"chosenCandidates": chosen}
    body = envelope([candidate], response.model or context.model, response.id, response.usage)
    if response.source == GOOGLE_GENERATE:
        body.update(response.extras)
    return body


def envelope(
    candidates: list[JsonObject], model: str | None, response_id: str | None, usage: Usage | None
) -> JsonObject:
    """Build a response or a chunk of one."""
    body: JsonObject = {"candidates": candidates}
    if (metadata := encode_usage(usage)) is not None:
        body["usageMetadata"] = metadata
    body["modelVersion"] = model or ""
    body["responseId"] = response_id or ""
    return body


def refused(blocks: list[Block]) -> bool:
    """Return whether the response holds a refusal in OpenAI's sense, which is text to Google."""
    return any(isinstance(block, Text) and block.refusal for block in blocks)


def encode_finish(finish: Finish, *, refused: bool = False) -> str:
    """Encode `finishReason`: Google's own word unchanged, else the nearest."""
    if finish.raw is not None and (
        _FINISH.get(finish.raw) == finish.reason or finish.raw in _FINISH_OTHER
    ):
        return finish.raw
    if refused and finish.reason == "stop":
        return "SAFETY"
    return _FINISH_REASON[finish.reason]


def encode_answer_block(block: Block, losses: Losses) -> list[JsonObject]:
    """Encode one block as parts."""
    signature = getattr(block, "signature", None)
    signed = {"thoughtSignature": signature} if signature else {}
    if isinstance(block, Text):
        return [{"text": block.text, **signed}]
    if isinstance(block, Thinking):
        own = signed if block.vendor == GOOGLE_GENERATE else {}
        return [{"text": block.text, "thought": True, **own}] if block.text or own else []
    if isinstance(block, ToolCall):
        arguments = block.arguments
        if isinstance(arguments, str):
            arguments = parsed_arguments(arguments)
        return [{"functionCall": {"id": block.id, "name": block.name, "args": arguments}, **signed}]
    if isinstance(block, Media) and block.data is not None:
        return [{"inlineData": {"mimeType": block.media_type or "image/png", "data": block.data}}]
    if isinstance(block, Foreign) and block.vendor == GOOGLE_GENERATE:
        return [block.raw]
    losses.add("content", f"Google has no {getattr(block, 'kind', 'such part')}.")
    return []


def parsed_arguments(text: str) -> JsonObject:
    """Parse argument text into the object Google requires; other text goes under `_raw`."""
    try:
        value = loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return {"_raw": text}
    return value if isinstance(value, dict) else {"value": value}


def encode_grounding(blocks: list[Block]) -> JsonObject:
    """Encode `groundingMetadata` for citations with a URL. Offsets are UTF-8 bytes."""
    chunks: list[JsonObject] = []
    supports: list[JsonObject] = []
    offset = 0
    for block in blocks:
        if not isinstance(block, Text):
            continue
        for citation in block.citations:
            if not citation.url:
                continue
            chunks.append({"web": {"uri": citation.url, "title": citation.title or ""}})
            start, end = (
                citation.start or 0,
                len(block.text) if citation.end is None else citation.end,
            )
            before, cited = block.text[:start], block.text[start:end]
            begin = offset + len(before.encode("utf-8", "surrogatepass"))
            segment = {
                "startIndex": begin,
                "endIndex": begin + len(cited.encode("utf-8", "surrogatepass")),
                "text": cited,
            }
            supports.append({"segment": segment, "groundingChunkIndices": [len(chunks) - 1]})
        offset += len(block.text.encode("utf-8", "surrogatepass"))
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else {}


def decode_error(status: int, body: Any) -> Failure | None:
    """Decode google.rpc.Status under `error`.

    Without alt=sse it is the only entry of an array.
    """
    if isinstance(body, list) and body and isinstance(body[0], dict):
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    kind = error.get("status")
    return Failure(
        str(error.get("message") or kind or "unknown error"),
        status,
        kind if isinstance(kind, str) else None,
    )
