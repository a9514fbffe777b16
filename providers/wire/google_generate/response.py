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
from providers.wire.core.google_keys import camel, set_fields
from providers.wire.core.ir import (
    Block,
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
from providers.wire.core.shape import count, name_of, objects, without
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.google_generate.grounding import (
    attach_citations,
    attach_logprobs,
    encode_grounding,
    encode_logprobs,
    search_of,
)
from providers.wire.google_generate.request_decode import decode_call, decode_part
from providers.wire.tools.web_search import QUERIES

# https://ai.google.dev/api/generate-content#FinishReason, and Vertex AI's MODEL_ARMOR.
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

_FAILED_CALLS: Final = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS")
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
        id=name_of(body.get("responseId")),
        model=name_of(body.get("modelVersion")),
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
    if (failure := failed_call(response.finish)) is not None:
        raise ReportedFailure(failure)
    attach_citations(response.blocks, candidate.get("groundingMetadata"), response.losses)
    attach_logprobs(response.blocks, candidate.get("logprobsResult"))
    if (search := search_of(candidate.get("groundingMetadata"))) is not None:
        response.blocks.append(search)
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
        part = set_fields(raw)
        if "functionCall" in part:
            blocks.append(decode_call(part, f"parts[{index}].functionCall", new_call_id()))
            continue
        block = decode_part(part, f"parts[{index}]")
        last = blocks[-1] if blocks else None
        if not _continues(last, block):
            blocks.append(block)
    return blocks


def _continues(last: Block | None, block: Block) -> bool:
    """Append a text or thought to the block before it. Return False if that is of another kind."""
    if not isinstance(block, Text | Thinking) or not isinstance(last, Text | Thinking):
        return False
    if type(last) is not type(block):
        return False
    last.text += block.text
    # A signature may come in a part of its own, with an empty text.
    last.signature = block.signature or last.signature
    return True


def new_call_id() -> str:
    """Return an id for a call without one."""
    return f"call_{secrets.token_hex(8)}"


def decode_finish(candidate: JsonObject, called: bool) -> Finish:
    """Decode `finishReason`. Google says STOP for calls too."""
    raw = candidate.get("finishReason")
    # proto JSON allows an enum's number instead of its name.
    if isinstance(raw, int):
        raw = _NUMBERED.get(raw, str(raw))
    reason = _FINISH.get(str(raw), "other") if raw else "stop"
    if reason == "stop" and called:
        reason = "tool_calls"
    return Finish(reason, raw, detail=candidate.get("finishMessage"))


def failed_call(finish: Finish) -> Failure | None:
    """Return the failure of a response whose call the model wrote wrongly, or None.

    Google gives no such call out, so that the rest is no answer to the request.
    """
    if finish.raw not in _FAILED_CALLS:
        return None
    detail = finish.detail or "The model wrote a tool call that cannot be used."
    return Failure(f"{detail} ({finish.raw})", 500)


def decode_usage(raw: Any) -> Usage | None:
    """Decode usage.

    Google counts thoughts apart from the response and tool prompts apart from the prompt; ours adds
    both.
    """
    if not isinstance(raw, dict):
        return None
    raw = camel(raw)
    # https://ai.google.dev/api/generate-content#UsageMetadata
    prompt = count(raw.get("promptTokenCount"))
    tools = count(raw.get("toolUsePromptTokenCount"))
    candidates = count(raw.get("candidatesTokenCount"))
    thoughts = count(raw.get("thoughtsTokenCount"))
    total_input = total_output = None
    if prompt is not None:
        total_input = prompt + (tools or 0)
    if candidates is not None or thoughts is not None:
        total_output = (candidates or 0) + (thoughts or 0)
    return Usage(
        input_tokens=total_input,
        output_tokens=total_output,
        cached_tokens=count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        tool_input_tokens=tools,
    )


def encode_usage(usage: Usage | None) -> JsonObject | None:
    """Encode `usageMetadata`."""
    if usage is None or usage.input_tokens is usage.output_tokens is None:
        return None
    read = usage.input_tokens or 0
    written = usage.output_tokens or 0
    thoughts = usage.reasoning_tokens or 0
    candidates = written
    # A provider that counts reasoning apart (xAI) may report more of it than of output; then both
    # figures are forwarded as they are.
    if thoughts <= written:
        candidates = written - thoughts
    body: JsonObject = {
        "promptTokenCount": read - (usage.tool_input_tokens or 0),
        "candidatesTokenCount": candidates,
        "totalTokenCount": read + written,
    }
    if thoughts:
        body["thoughtsTokenCount"] = thoughts
    if usage.tool_input_tokens:
        body["toolUsePromptTokenCount"] = usage.tool_input_tokens
    if usage.cached_tokens:
        body["cachedContentTokenCount"] = usage.cached_tokens
    return body


def encode_response(response: Response, context: AnswerContext) -> JsonObject:
    """Encode a `GenerateContentResponse` with one candidate."""
    parts: list[JsonObject] = []
    tokens: list[JsonObject] = []
    for block in response.blocks:
        parts.extend(encode_answer_block(block, response.losses))
        if isinstance(block, Text):
            tokens.extend(block.logprobs)
    candidate: JsonObject = {
        "content": {"role": "model", "parts": parts},
        "finishReason": encode_finish(response.finish, refused=refused(response.blocks)),
        "index": 0,
    }
    if response.finish.detail:
        candidate["finishMessage"] = response.finish.detail
    if grounding := encode_grounding(response.blocks):
        candidate["groundingMetadata"] = grounding
    if tokens:
        candidate["logprobsResult"] = encode_logprobs(tokens)
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
    raw = finish.raw
    if raw is not None and (raw in _FINISH_OTHER or _FINISH.get(raw) == finish.reason):
        return raw
    # OpenAI's refusals are a text of their own kind and end with `stop`.
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
        # `thoughtSignature` is Google's own; another vendor's would be refused in the next turn.
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
        # A search stands beside the parts.
        return [block.raw] if block.kind != QUERIES else []
    losses.add("content", f"Google has no {getattr(block, 'kind', 'such part')}.")
    return []


def parsed_arguments(text: str) -> JsonObject:
    """Parse argument text into the object Google requires; other text goes under `_raw`."""
    try:
        value = loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return {"_raw": text}
    return value if isinstance(value, dict) else {"value": value}
