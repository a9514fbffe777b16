"""OpenAI Responses responses, buffered: body ↔ `Response`, items, usage, status, errors.

Source: OpenAI's OpenAPI file, `Response` and `OutputItem`.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from providers.base.names import OPENAI_RESPONSES
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
from providers.wire.core.jsonio import dumps_text
from providers.wire.core.shape import count, name_of, objects, without
from providers.wire.failures.reported_failure import UNKNOWN, ReportedFailure, reported_failure
from providers.wire.openai_chat.response import with_tier
from providers.wire.openai_responses.request_decode import (
    decode_call,
    decode_part,
    decode_reasoning,
)
from providers.wire.rules.replay import sealed_thinking

_KNOWN: Final = frozenset(
    {"id", "object", "created_at", "model", "output", "status", "usage", "incomplete_details"}
)
_INCOMPLETE: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
_ECHOED: Final[JsonObject] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def new_id(kind: str) -> str:
    """Return an id in OpenAI's style: `resp`, `msg`, `rs`, `fc`."""
    return f"{kind}_{secrets.token_hex(24)}"


def decode_response(body: JsonObject) -> Response:
    """Decode a response.

    Raises `MalformedBody` for a body that is no response, `ReportedFailure` for a failed one.
    """
    if body.get("status") == "failed":
        failure = reported_failure(body) or Failure(UNKNOWN)
        raise ReportedFailure(failure)
    blocks = decode_output(body.get("output"))
    return Response(
        OPENAI_RESPONSES,
        id=name_of(body.get("id")),
        model=name_of(body.get("model")),
        created=count(body.get("created_at")),
        blocks=blocks,
        finish=decode_finish(body, blocks),
        usage=with_tier(decode_usage(body.get("usage")), body),
        extras=without(body, _KNOWN) or {},
    )


def decode_output(output: Any) -> list[Block]:
    """Decode the blocks of the output items, in order."""
    blocks: list[Block] = []
    for index, item in enumerate(objects(output, "output")):
        path = f"output[{index}]"
        kind = item.get("type")
        if kind == "message":
            parts = objects(item.get("content") or [], f"{path}.content")
            blocks.extend(decode_part(part, f"{path}.content[{n}]") for n, part in enumerate(parts))
        else:
            blocks.append(decode_item(item, path))
    return blocks


def decode_item(item: JsonObject, path: str) -> Block:
    """Decode an output item that is no message."""
    kind = item.get("type")
    if kind in ("function_call", "custom_tool_call"):
        return decode_call(item, path)
    if kind == "reasoning":
        return decode_reasoning(item, path)
    return Foreign(OPENAI_RESPONSES, str(kind), item)


def decode_finish(body: JsonObject, blocks: list[Block]) -> Finish:
    """Decode `status` and `incomplete_details`, with regard to tool calls."""
    status = body.get("status")
    if status == "incomplete":
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return Finish(_INCOMPLETE.get(str(reason), "other"), reason)
    if any(isinstance(block, ToolCall) for block in blocks):
        return Finish("tool_calls", status)
    return Finish("stop" if status in ("completed", None) else "other", status)


def decode_usage(raw: Any) -> Usage | None:
    """Decode usage. `input_tokens` includes cached tokens, `output_tokens` reasoning."""
    if not isinstance(raw, dict):
        return None
    read = raw.get("input_tokens_details")
    written = raw.get("output_tokens_details")
    read = read if isinstance(read, dict) else {}
    return Usage(
        input_tokens=count(raw.get("input_tokens")),
        output_tokens=count(raw.get("output_tokens")),
        cached_tokens=count(read.get("cached_tokens")),
        cache_write_tokens=count(read.get("cache_write_tokens")),
        reasoning_tokens=(
            count(written.get("reasoning_tokens")) if isinstance(written, dict) else None
        ),
    )


def put_tier(body: JsonObject, usage: Usage | None) -> None:
    """Put the service tier that was used; the client's request named the wanted one."""
    if usage is not None and usage.service_tier is not None:
        body["service_tier"] = usage.service_tier


def encode_usage(usage: Usage | None) -> JsonObject | None:
    """Encode the `usage` object. Its details are required, and 0 while unknown."""
    if usage is None or usage.input_tokens is usage.output_tokens is None:
        return None
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    details = {
        "cached_tokens": usage.cached_tokens or 0,
        "cache_write_tokens": usage.cache_write_tokens or 0,
    }
    return {
        "input_tokens": read,
        "input_tokens_details": details,
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": read + written,
    }


def encode_response(response: Response, context: AnswerContext) -> JsonObject:
    """Encode a `response` object. Fields of the request are copied from the client's body."""
    body = envelope(context, response.id, response.model, response.created)
    body.update(encode_status(response.finish))
    body["output"] = encode_output(response.blocks, response.losses)
    body["usage"] = encode_usage(response.usage)
    put_tier(body, response.usage)
    if response.source == OPENAI_RESPONSES:
        body.update(response.extras)
    return body


def envelope(
    context: AnswerContext, response_id: str | None, model: str | None, created: int | None
) -> JsonObject:
    """Build a response object in progress."""
    client = context.client_body
    echoed = {
        key: default if client.get(key) is None else client[key] for key, default in _ECHOED.items()
    }
    if "format" not in (echoed["text"] or {}):
        echoed["text"] = {**(echoed["text"] or {}), "format": {"type": "text"}}
    identity = (
        response_id if response_id and response_id.startswith("resp") else f"resp_{response_id}"
    )
    return {
        "id": identity if response_id else new_id("resp"),
        "object": "response",
        "created_at": int(time.time()) if created is None else created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model or context.model or "",
        "output": [],
        "usage": None,
        **echoed,
    }


def encode_status(finish: Finish) -> JsonObject:
    """Encode `status` and `incomplete_details`."""
    if finish.reason == "length":
        return {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if finish.reason == "content_filter":
        return {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return {"status": "completed", "incomplete_details": None}


def encode_output(blocks: list[Block], losses: Losses) -> list[JsonObject]:
    """Encode output items. Adjacent texts are the parts of one message."""
    items: list[JsonObject] = []
    for block in blocks:
        if isinstance(block, Text):
            if not items or items[-1]["type"] != "message":
                items.append(message_item(new_id("msg"), "completed"))
            items[-1]["content"].append(text_part(block))
        elif isinstance(block, ToolCall):
            items.append(call_item(block, new_id("fc"), "completed"))
        elif isinstance(block, Thinking):
            items.append(reasoning_item(block))
        elif isinstance(block, Foreign) and block.vendor == OPENAI_RESPONSES:
            items.append(block.raw)
        elif isinstance(block, Media | Foreign):
            losses.add("content", f"OpenAI Responses has no {block.kind} of another vendor.")
    return items


def message_item(item_id: str, status: str) -> JsonObject:
    """Build a `message` item without content."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": []}


def text_part(block: Text) -> JsonObject:
    """Build an `output_text` or `refusal` part."""
    if block.refusal:
        return {"type": "refusal", "refusal": block.text}
    annotations = [
        raw for c in block.citations if (raw := encode_annotation(c, len(block.text))) is not None
    ]
    return {
        "type": "output_text",
        "text": block.text,
        "annotations": annotations,
        "logprobs": list(block.logprobs),
    }


def encode_annotation(citation: Citation, length: int) -> JsonObject | None:
    """Encode the vendor's own annotation, or a `url_citation`.

    One without offsets covers the complete text.
    """
    if citation.vendor == OPENAI_RESPONSES:
        return citation.raw
    if not citation.url or not citation.url.startswith(("http://", "https://")):
        return None
    start = 0 if citation.start is None else citation.start
    end = length if citation.end is None else citation.end
    kind = {"type": "url_citation", "url": citation.url, "title": citation.title or ""}
    return {**kind, "start_index": start, "end_index": end}


def call_item(block: ToolCall, item_id: str, status: str) -> JsonObject:
    """Encode a `function_call` or `custom_tool_call` item."""
    arguments = block.arguments if isinstance(block.arguments, str) else dumps_text(block.arguments)
    item: JsonObject = {
        "id": block.item_id or item_id,
        "type": "custom_tool_call" if block.custom else "function_call",
        "status": status,
        "call_id": block.id,
        "name": block.name,
        "input" if block.custom else "arguments": arguments,
    }
    if block.namespace:
        item["namespace"] = block.namespace
    return item


def reasoning_item(block: Thinking) -> JsonObject:
    """Encode a `reasoning` item. Another vendor's signature is sealed into `encrypted_content`."""
    if block.raw is not None and block.vendor == OPENAI_RESPONSES:
        return block.raw
    summary = [{"type": "summary_text", "text": block.text}] if block.text else []
    item: JsonObject = {"id": item_id(block), "type": "reasoning", "summary": summary}
    if (encrypted := sealed_signature(block)) is not None:
        item["encrypted_content"] = encrypted
    return item


def item_id(block: Thinking) -> str:
    """Return the reasoning item's id."""
    return block.id if block.id and block.vendor == OPENAI_RESPONSES else new_id("rs")


def sealed_signature(block: Thinking) -> str | None:
    """Return the value of `encrypted_content`, if any."""
    if block.vendor in (None, OPENAI_RESPONSES):
        return block.signature or None
    return sealed_thinking(block)
