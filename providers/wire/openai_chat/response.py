"""OpenAI Chat Completions responses, buffered: body ↔ `Response`, usage, finish reasons, errors.

Source: OpenAI's OpenAPI file, `CreateChatCompletionResponse`. It has no field for reasoning;
compatible servers send `reasoning_content` (DeepSeek and many) or `reasoning` (OpenRouter, Groq),
and clients read the former.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import OPENAI_CHAT
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
from providers.wire.core.shape import (
    a_string,
    an_object,
    count,
    drop_none,
    maybe_string,
    objects,
    without,
)
from providers.wire.openai_chat.request_encode import encode_call

_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "eos": "stop",  # Together
    "content_filter": "content_filter",
}
_FINISH_REASON: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
    "other": "stop",
}
_KNOWN: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})


def new_id() -> str:
    """Return an id in OpenAI's style, for a response without one."""
    return f"chatcmpl-{secrets.token_hex(12)}"


def decode_response(body: JsonObject) -> Response:
    """Decode the first choice; the others are a loss.

    Raises `MalformedBody` for a body that is no completion.
    """
    choices = objects(body.get("choices"), "choices")
    if not choices:
        raise MalformedBody("The response has no choices.")
    response = Response(
        OPENAI_CHAT,
        id=body.get("id"),
        model=body.get("model"),
        created=count(body.get("created")),
        usage=decode_usage(body.get("usage")),
        extras=without(body, _KNOWN) or {},
    )
    if len(choices) > 1:
        response.losses.add("choices", f"Only the first of {len(choices)} choices is translated.")
    choice = choices[0]
    message = an_object(
        choice.get("message") or {}, "choices[0].message"
    )  # Azure's filter leaves it out
    response.blocks = decode_message(message, choice)
    response.finish = decode_finish(choice.get("finish_reason"), response.blocks)
    text = next((block for block in response.blocks if isinstance(block, Text)), None)
    if text is not None and not text.citations:
        text.citations = _sources(body)
    return response


def _sources(body: JsonObject) -> list[Citation]:
    """Decode Perplexity's sources of a response: `search_results`, or bare `citations`."""
    results = body.get("search_results")
    if isinstance(results, list) and results:
        found = [
            item for item in results if isinstance(item, dict) and isinstance(item.get("url"), str)
        ]
        return [Citation(item["url"], maybe_string(item, "title")) for item in found]
    urls = body.get("citations")
    return [Citation(url) for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def decode_message(message: JsonObject, choice: JsonObject) -> list[Block]:
    """Decode the blocks of an assistant message: reasoning, text, refusal, calls."""
    blocks: list[Block] = []
    if text := reasoning_of(message):
        blocks.append(Thinking(text, vendor=OPENAI_CHAT))
    content = message.get("content")
    if isinstance(content, list):
        for part in objects(content, "content"):
            if part.get("type") == "thinking":
                blocks.append(Thinking(thinking_text(part), vendor=OPENAI_CHAT))
            elif isinstance(part.get("text"), str):
                blocks.append(Text(part["text"]))
    elif isinstance(content, str) and content:
        logprobs = choice.get("logprobs")
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        block = Text(content, logprobs=tokens if isinstance(tokens, list) else [])
        block.citations = decode_annotations(message.get("annotations"))
        blocks.append(block)
    if refusal := maybe_string(message, "refusal"):
        blocks.append(Text(refusal, refusal=True))
    for index, call in enumerate(objects(message.get("tool_calls") or [], "tool_calls")):
        blocks.append(_call(call, index))
    if isinstance(legacy := message.get("function_call"), dict):
        blocks.append(
            ToolCall("call_0", str(legacy.get("name")), str(legacy.get("arguments") or ""))
        )
    return blocks


def reasoning_of(message: JsonObject) -> str:
    """Return the reasoning text of a message or a delta, under any of its names."""
    for key in ("reasoning_content", "reasoning"):
        if isinstance(value := message.get(key), str) and value:
            return value
    return ""


def thinking_text(part: JsonObject) -> str:
    """Return the text of Mistral's `thinking` content part."""
    inner = part.get("thinking")
    if isinstance(inner, str):
        return inner
    return "".join(str(item.get("text", "")) for item in objects(inner or [], "thinking"))


def _call(call: JsonObject, index: int) -> ToolCall:
    call_id = maybe_string(call, "id") or f"call_{secrets.token_hex(8)}"
    if isinstance(custom := call.get("custom"), dict):
        return ToolCall(
            call_id, str(custom.get("name")), str(custom.get("input") or ""), custom=True
        )
    function = an_object(call.get("function"), f"tool_calls[{index}].function")
    arguments = function.get("arguments")
    name = a_string(function.get("name"), f"tool_calls[{index}].function.name")
    return ToolCall(call_id, name, arguments if isinstance(arguments, str | dict) else "")


def decode_annotations(raw: Any) -> list[Citation]:
    """Decode `url_citation` annotations; other kinds are kept raw."""
    if not isinstance(raw, list):
        return []
    citations = []
    for item in raw:
        inner = item.get("url_citation", item) if isinstance(item, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("url"), str):
            start, end = count(inner.get("start_index")), count(inner.get("end_index"))
            citations.append(
                Citation(inner["url"], inner.get("title"), None, start, end, item, OPENAI_CHAT)
            )
    return citations


def decode_finish(raw: Any, blocks: list[Block]) -> Finish:
    """Decode a finish reason. Some servers say `stop` although they call tools."""
    reason = _FINISH.get(str(raw), "other" if raw else "stop")
    if reason in ("stop", "other") and any(isinstance(block, ToolCall) for block in blocks):
        reason = "tool_calls"
    return Finish(reason, raw if isinstance(raw, str) else None)


def decode_usage(raw: Any) -> Usage | None:
    """Decode usage. `prompt_tokens` includes cached tokens, `completion_tokens` reasoning."""
    if not isinstance(raw, dict):
        return None
    prompt = raw.get("prompt_tokens_details") or {}
    completion = raw.get("completion_tokens_details") or {}
    cached = count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None
    return Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        cached_tokens=count(raw.get("prompt_cache_hit_tokens")) if cached is None else cached,
        cache_write_tokens=(
            count(prompt.get("cache_write_tokens")) if isinstance(prompt, dict) else None
        ),
        reasoning_tokens=(
            count(completion.get("reasoning_tokens")) if isinstance(completion, dict) else None
        ),
    )


def encode_usage(usage: Usage | None) -> JsonObject | None:
    """Encode the `usage` object, or return None if nothing is known."""
    if usage is None:
        return None
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    body: JsonObject = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details = drop_none(
        {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    )
    if details:
        body["prompt_tokens_details"] = details
    if usage.reasoning_tokens is not None:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return body


def encode_finish(finish: Finish) -> str:
    """Encode `finish_reason`."""
    return _FINISH_REASON[finish.reason]


def encode_response(response: Response, context: AnswerContext) -> JsonObject:
    """Encode a `chat.completion` object with one choice."""
    choice: JsonObject = {
        "index": 0,
        "message": _message(response.blocks, response.losses),
        "logprobs": None,
        "finish_reason": encode_finish(response.finish),
    }
    tokens = [
        token for block in response.blocks if isinstance(block, Text) for token in block.logprobs
    ]
    if tokens:
        choice["logprobs"] = {"content": tokens, "refusal": None}
    body: JsonObject = {
        "id": response.id or new_id(),
        "object": "chat.completion",
        "created": int(time.time()) if response.created is None else response.created,
        "model": response.model or context.model or "",
        "choices": [choice],
    }
    if (usage := encode_usage(response.usage)) is not None:
        body["usage"] = usage
    if response.source == OPENAI_CHAT:
        body.update(response.extras)
    return body


def _message(blocks: list[Block], losses: Losses) -> JsonObject:
    texts = [block for block in blocks if isinstance(block, Text) and not block.refusal]
    refusals = [block.text for block in blocks if isinstance(block, Text) and block.refusal]
    calls = [block for block in blocks if isinstance(block, ToolCall)]
    content = "".join(block.text for block in texts)
    message: JsonObject = {
        "role": "assistant",
        "content": content if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    if reasoning := "\n\n".join(b.text for b in blocks if isinstance(b, Thinking) and b.text):
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [encode_call(call) for call in calls]
    annotations = []
    offset = 0
    for block in texts:
        annotations += [
            a for c in block.citations if (a := encode_annotation(c, offset, len(block.text)))
        ]
        offset += len(block.text)
    if annotations:
        message["annotations"] = annotations
    for other in blocks:
        if isinstance(other, Media | Foreign) and not (
            isinstance(other, Foreign) and other.vendor == OPENAI_CHAT
        ):
            losses.add("content", f"OpenAI Chat's answers have no {other.kind}.")
    return message


def encode_annotation(citation: Citation, offset: int, length: int) -> JsonObject | None:
    """Encode a `url_citation`; one without offsets covers its complete text block."""
    if not citation.url or not citation.url.startswith(("http://", "https://")):
        return None
    start = offset + (citation.start if citation.start is not None else 0)
    end = offset + (citation.end if citation.end is not None else length)
    inner = {
        "start_index": start,
        "end_index": end,
        "title": citation.title or "",
        "url": citation.url,
    }
    return {"type": "url_citation", "url_citation": inner}


def decode_error(status: int, body: Any) -> Failure | None:
    """Decode OpenAI's error object, and forms of compatible servers.

    Those are `detail`, `message` or a bare string.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        message = error.get("message") or error.get("type") or error.get("code")
        kind, code, param = (error.get(key) for key in ("type", "code", "param"))
        return Failure(
            str(message or "unknown error"),
            status,
            kind if isinstance(kind, str) else None,
            code if isinstance(code, str) else None,
            param if isinstance(param, str) else None,
        )
    body = body if isinstance(body, dict) else {}
    for value in (error, body.get("detail"), body.get("message")):
        if isinstance(value, str) and value:
            return Failure(value, status)
    return None
