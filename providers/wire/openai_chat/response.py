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
from providers.wire.core.jsonio import dumps_text
from providers.wire.core.shape import (
    a_string,
    an_object,
    count,
    drop_none,
    maybe_string,
    name_of,
    objects,
    without,
)
from providers.wire.openai_chat.request_encode import encode_call
from providers.wire.rules.usage_search import usage_in

# https://platform.openai.com/docs/api-reference/chat/object; `eos` is Together's.
_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "eos": "stop",
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


REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text")
"""Names of the plain reasoning text: DeepSeek and many; OpenRouter, Groq, vLLM; Copilot."""
LOST_ANNOTATION: Final = "An annotation without a text was dropped."


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
        id=name_of(body.get("id")),
        model=name_of(body.get("model")),
        created=count(body.get("created")),
        usage=with_tier(decode_usage(usage_in(body)), body),
        extras=without(body, _KNOWN) or {},
    )
    if len(choices) > 1:
        response.losses.add("choices", f"Only the first of {len(choices)} choices is translated.")
    choice = choices[0]
    # Azure's content filter leaves the message out.
    message = an_object(choice.get("message") or {}, "choices[0].message")
    response.blocks = decode_message(message, choice, response.losses)
    response.finish = decode_finish(choice.get("finish_reason"), response.blocks)
    text = next((block for block in response.blocks if isinstance(block, Text)), None)
    if text is not None and not text.citations:
        text.citations = _sources(body) or ()
    return response


def _sources(body: JsonObject) -> list[Citation]:
    """Decode Perplexity's sources of a response: `search_results`, or bare `citations`."""
    # https://docs.perplexity.ai/api-reference/chat-completions-post
    results = body.get("search_results")
    if isinstance(results, list) and results:
        found = [item for item in results if isinstance(item, dict)]
        return [
            Citation(item["url"], maybe_string(item, "title"))
            for item in found
            if isinstance(item.get("url"), str)
        ]
    urls = body.get("citations")
    if not isinstance(urls, list):
        return []
    return [Citation(url) for url in urls if isinstance(url, str)]


def decode_message(message: JsonObject, choice: JsonObject, losses: Losses) -> list[Block]:
    """Decode the blocks of an assistant message: reasoning, text, refusal, calls."""
    blocks: list[Block] = []
    if (key := reasoning_key(message)) is not None:
        details = reasoning_details(message.get("reasoning_details"))
        blocks.append(Thinking(message[key], details, OPENAI_CHAT, id=key))
    content = message.get("content")
    if isinstance(content, list):
        for part in objects(content, "content"):
            if part.get("type") == "thinking":
                blocks.append(Thinking(thinking_text(part), vendor=OPENAI_CHAT, id="thinking"))
            elif isinstance(part.get("text"), str):
                blocks.append(Text(part["text"]))
            else:
                losses.add("content", dropped_part(part))
    elif isinstance(content, str) and content:
        logprobs = choice.get("logprobs")
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        blocks.append(Text(content, logprobs=tokens if isinstance(tokens, list) else ()))
    if (transcript := transcript_of(message, losses)) is not None:
        blocks.append(Text(transcript))
    if refusal := maybe_string(message, "refusal"):
        blocks.append(Text(refusal, refusal=True))
    if citations := decode_annotations(message.get("annotations")):
        cited = next((block for block in blocks if isinstance(block, Text)), None)
        if cited is None:
            losses.add("annotations", LOST_ANNOTATION)
        else:
            cited.citations = citations
    for index, call in enumerate(objects(message.get("tool_calls") or [], "tool_calls")):
        blocks.append(_call(call, index))
    # The deprecated form, which has no id.
    if isinstance(legacy := message.get("function_call"), dict):
        blocks.append(
            ToolCall("call_0", str(legacy.get("name")), str(legacy.get("arguments") or ""))
        )
    return blocks


def transcript_of(message: JsonObject, losses: Losses) -> str | None:
    """Return the transcript of a spoken message or delta; the sound itself is a loss."""
    audio = message.get("audio")
    if not isinstance(audio, dict):
        return None
    if audio.get("data"):
        losses.add("message.audio", "The sound was dropped; its transcript is sent as text.")
    text = audio.get("transcript")
    return text if isinstance(text, str) and text else None


def dropped_part(part: JsonObject) -> str:
    """Return the reason of a loss: a part of a content that no block can hold."""
    kind = str(part.get("type"))[:40]
    return f"A part of type {kind!r} was dropped."


def reasoning_key(message: JsonObject) -> str | None:
    """Return the field of a message or a delta that holds its reasoning text, if any."""
    for key in REASONING_FIELDS:
        if key in message and isinstance(value := message[key], str) and value:
            return key
    return None


def reasoning_details(raw: Any) -> str | None:
    """Return OpenRouter's signed reasoning as JSON text; it wants it back unchanged.

    https://openrouter.ai/docs/guides/best-practices/reasoning-tokens
    """
    return dumps_text(raw) if isinstance(raw, list) and raw else None


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
        if not isinstance(item, dict):
            continue
        # OpenAI nests the fields, some compatible servers do not.
        inner = item.get("url_citation", item)
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
    usage = Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
    )
    prompt = raw.get("prompt_tokens_details")
    if isinstance(prompt, dict):
        usage.cached_tokens = count(prompt.get("cached_tokens"))
        usage.cache_write_tokens = count(prompt.get("cache_write_tokens"))
    # DeepSeek: https://api-docs.deepseek.com/guides/kv_cache
    if usage.cached_tokens is None:
        usage.cached_tokens = count(raw.get("prompt_cache_hit_tokens"))
    completion = raw.get("completion_tokens_details")
    if isinstance(completion, dict):
        usage.reasoning_tokens = count(completion.get("reasoning_tokens"))
    return usage


def with_tier(usage: Usage | None, body: JsonObject) -> Usage | None:
    """Add the service tier of a response or chunk to its usage."""
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier:
        usage = usage or Usage()
        usage.service_tier = tier
    return usage


def encode_usage(usage: Usage | None) -> JsonObject | None:
    """Encode the `usage` object, or return None if nothing is known."""
    if usage is None or usage.input_tokens is usage.output_tokens is None:
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
    tokens: list[JsonObject] = []
    for block in response.blocks:
        if isinstance(block, Text):
            tokens.extend(block.logprobs)
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
    if response.usage is not None and response.usage.service_tier is not None:
        body["service_tier"] = response.usage.service_tier
    if response.source == OPENAI_CHAT:
        body.update(response.extras)
    return body


def _message(blocks: list[Block], losses: Losses) -> JsonObject:
    texts: list[Text] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    calls: list[JsonObject] = []
    for block in blocks:
        if isinstance(block, Text):
            if block.refusal:
                refusals.append(block.text)
            else:
                texts.append(block)
        elif isinstance(block, Thinking):
            if block.text:
                thoughts.append(block.text)
        elif isinstance(block, ToolCall):
            calls.append(encode_call(block))
        elif isinstance(block, Media) or (
            isinstance(block, Foreign) and block.vendor != OPENAI_CHAT
        ):
            losses.add("content", f"OpenAI Chat's responses have no {block.kind}.")
    # Both fields are required and null where they say nothing.
    message: JsonObject = {"role": "assistant", "content": None, "refusal": None}
    if texts or not (calls or refusals):
        message["content"] = "".join(text.text for text in texts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if thoughts:
        message["reasoning_content"] = "\n\n".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    if annotations := _annotations(texts):
        message["annotations"] = annotations
    return message


def _annotations(texts: list[Text]) -> list[JsonObject]:
    """Encode the citations of the texts, with offsets into all of them joined."""
    annotations: list[JsonObject] = []
    offset = 0
    for text in texts:
        for citation in text.citations:
            annotation = encode_annotation(citation, offset, len(text.text))
            if annotation is not None:
                annotations.append(annotation)
        offset += len(text.text)
    return annotations


def encode_annotation(citation: Citation, offset: int, length: int) -> JsonObject | None:
    """Encode a `url_citation`; one without offsets covers its complete text block."""
    if not citation.url or not citation.url.startswith(("http://", "https://")):
        return None
    start = citation.start or 0
    end = length if citation.end is None else citation.end
    inner = {
        "start_index": offset + start,
        "end_index": offset + end,
        "title": citation.title or "",
        "url": citation.url,
    }
    return {"type": "url_citation", "url_citation": inner}
