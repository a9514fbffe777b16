"""`Request` → OpenAI Chat Completions request.

Source: OpenAI's OpenAPI file, `CreateChatCompletionRequest`.
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.names import OPENAI_CHAT
from providers.wire.core.base import TargetInfo
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Losses,
    Media,
    OutputFormat,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    has_cache_marks,
)
from providers.wire.core.jsonio import dumps_text, loads
from providers.wire.core.shape import drop_none
from providers.wire.rules.media import AUDIO_FORMATS, data_url
from providers.wire.rules.pairing import result_media, result_text
from providers.wire.rules.reasoning import to_effort
from providers.wire.rules.replay import field_of
from providers.wire.rules.schema import function_schema

_TIERS: Final = {
    "auto": "auto",
    "standard_only": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
}
_MAX_STOPS: Final = 4


def encode_request(request: Request, target: TargetInfo) -> JsonObject:
    """Return the body for `POST /v1/chat/completions`. Adds the losses to `request.losses`."""
    model = target.model or request.model
    facts = target.facts(request.model)
    body: JsonObject = {"model": model, "messages": _messages(request)}
    _put_tools(body, request, target.host)
    effort = to_effort(request.reasoning, model, facts, request.losses)
    if request.source == OPENAI_CHAT and request.reasoning is not None:
        body.update(request.reasoning.raw or {})
    elif effort is not None:
        body["reasoning_effort"] = effort
    if request.output is not None:
        body["response_format"] = encode_output(request.output)
    if request.sampling.max_tokens is not None:
        body[_limit_name(target.host)] = request.sampling.max_tokens
    put_sampling(body, request)
    _put_more_sampling(body, request.sampling, request.losses)
    body.update(
        drop_none(
            {
                facts.user_field: request.user,
                "prompt_cache_key": request.cache_key,
                "verbosity": request.verbosity,
            }
        )
    )
    put_shared(body, request)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if request.source == OPENAI_CHAT:
        body.update(request.extras)
    return body


def _limit_name(host: str) -> str:
    """Return the name of the token limit.

    OpenAI's is newer; compatible servers are only sure to know the older one.
    """
    # https://platform.openai.com/docs/api-reference/chat/create: max_tokens is deprecated.
    return "max_completion_tokens" if _is_openai(host) else "max_tokens"


def _is_openai(host: str) -> bool:
    """Check for OpenAI's own API, which an unknown host is taken for."""
    return not host or host.endswith(("openai.com", "azure.com"))


def _messages(request: Request) -> list[JsonObject]:
    messages: list[JsonObject] = []
    if text := "\n\n".join(block.text for block in request.system if block.text):
        messages.append({"role": "system", "content": text})
    for turn in request.turns:
        if (only := _only_text(turn)) is not None:
            messages.append({"role": turn.role, "content": only})
        elif turn.role == "assistant":
            message = _assistant(turn, request.losses)
            if len(message) > 1:
                messages.append(message)
        elif turn.role == "system":
            text = "\n\n".join(block.text for block in turn.blocks if isinstance(block, Text))
            if text:
                messages.append({"role": "system", "content": text})
        else:
            _user(turn, messages, request.losses)
    return messages


def _only_text(turn: Turn) -> str | None:
    """Return the text of a turn that is nothing else, as most turns of a long history are."""
    if len(turn.blocks) != 1 or turn.name or turn.extras:
        return None
    block = turn.blocks[0]
    if type(block) is not Text or block.refusal or not block.text:
        return None
    return block.text


def _user(turn: Turn, messages: list[JsonObject], losses: Losses) -> None:
    media: list[JsonObject] = []
    parts: list[JsonObject] = []
    for block in turn.blocks:
        if type(block) is ToolResult:
            messages.append(_tool_message(block, losses))
            media += _result_media(block, losses)
        elif (part := _part(block, losses)) is not None:
            parts.append(part)
    parts = media + parts
    if not parts:
        if turn.blocks and all(isinstance(block, ToolResult) for block in turn.blocks):
            return
        parts = [{"type": "text", "text": ""}]
    message: JsonObject = {"role": "user", "content": parts}
    # A single text may be a plain string, which compatible servers are sure to accept.
    if len(parts) == 1 and parts[0]["type"] == "text":
        message["content"] = parts[0]["text"]
    if turn.name:
        message["name"] = turn.name
    messages.append(message)


def _result_media(block: ToolResult, losses: Losses) -> list[JsonObject]:
    """Encode a result's media for the user message after it: tool messages take text only."""
    inners = result_media(block)
    if not inners:
        return []
    encoded = [media_part(inner, losses) for inner in inners]
    found = [part for part in encoded if part]
    if found:
        text = f"Content of the result of tool call {block.call_id}:"
        found.insert(0, {"type": "text", "text": text})
    return found


def _part(block: Block, losses: Losses) -> JsonObject | None:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if isinstance(block, Media):
        return media_part(block, losses)
    if isinstance(block, Foreign) and block.vendor == OPENAI_CHAT:
        return block.raw
    return None


def media_part(block: Media, losses: Losses) -> JsonObject | None:
    """Encode a content part of a user message, or return None and add a loss."""
    if block.kind == "image":
        url = block.url or data_url(block, "image/png")
        if url is not None:
            return {
                "type": "image_url",
                "image_url": drop_none({"url": url, "detail": block.detail}),
            }
        losses.add(
            "messages",
            "An image by file id is only known to the vendor that stored it; it was dropped.",
        )
        return None
    if block.kind == "audio":
        audio_format = AUDIO_FORMATS.get((block.media_type or "").split(";")[0])
        if block.data is not None and audio_format is not None:
            return {
                "type": "input_audio",
                "input_audio": {"data": block.data, "format": audio_format},
            }
        losses.add(
            "messages",
            f"OpenAI takes wav and mp3 inline, not {block.media_type or 'this sound'}; it was"
            " dropped.",
        )
        return None
    if block.kind == "document":
        return _document(block, losses)
    losses.add("messages", "OpenAI takes no video; it was dropped.")
    return None


def _document(block: Media, losses: Losses) -> JsonObject | None:
    if block.text is not None:
        head = f"{block.title}:\n" if block.title else ""
        return {"type": "text", "text": head + block.text}
    if (url := data_url(block, "application/pdf")) is not None:
        return {
            "type": "file",
            "file": {"filename": block.title or "document.pdf", "file_data": url},
        }
    if block.file_id is not None:
        return {"type": "file", "file": {"file_id": block.file_id}}
    if block.url is not None:
        losses.add("messages", "OpenAI Chat takes no document by URL; its address is sent as text.")
        return {"type": "text", "text": f"Document: {block.url}"}
    losses.add(
        "messages",
        "A document by file id is only known to the vendor that stored it; it was dropped.",
    )
    return None


def _tool_message(block: ToolResult, losses: Losses) -> JsonObject:
    if block.is_error:
        losses.add("messages", "OpenAI has no mark for a failed tool; its text alone says so.")
    return {"role": "tool", "tool_call_id": block.call_id, "content": result_text(block)}


def _assistant(turn: Turn, losses: Losses) -> JsonObject:
    message: JsonObject = {"role": "assistant"}
    texts: list[str] = []
    refusals: list[str] = []
    calls: list[JsonObject] = []
    for block in turn.blocks:
        # `type` is faster than isinstance, and a history has thousands of blocks.
        kind = type(block)
        if kind is Text:
            (refusals if block.refusal else texts).append(block.text)  # type: ignore[union-attr, arg-type]
        elif kind is ToolCall:
            calls.append(encode_call(block))  # type: ignore[arg-type]
        elif kind is Media:
            losses.add("messages", "OpenAI takes no media from the assistant; it was dropped.")
    if texts or not (calls or refusals):
        message["content"] = "".join(texts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if calls:
        message["tool_calls"] = calls
    if turn.name:
        message["name"] = turn.name
    _put_thoughts(message, turn, texts)
    if turn.extras:
        message.update(turn.extras)
    return message


def _put_thoughts(message: JsonObject, turn: Turn, texts: list[str]) -> None:
    """Put reasoning back in the field it came in, for the server that made it."""
    if Thinking not in map(type, turn.blocks):
        return
    thoughts = [block for block in turn.blocks if isinstance(block, Thinking)]
    own = [block for block in thoughts if block.vendor == OPENAI_CHAT]
    # Mistral's content parts: https://docs.mistral.ai/capabilities/reasoning/
    parts = [block.raw or _thinking_part(block) for block in own if field_of(block) == "thinking"]
    if parts:
        message["content"] = [*parts, *({"type": "text", "text": text} for text in texts)]
    reasoning = [block for block in own if field_of(block) != "thinking"]
    if reasoning:
        message[field_of(reasoning[0])] = "\n\n".join(block.text for block in reasoning)
    details = [entry for block in reasoning for entry in loads(block.signature or "[]")]
    if details:
        message["reasoning_details"] = details


def _thinking_part(block: Thinking) -> JsonObject:
    return {"type": "thinking", "thinking": [{"type": "text", "text": block.text}]}


def encode_call(block: ToolCall) -> JsonObject:
    """Encode an entry of `tool_calls`."""
    arguments = block.arguments if isinstance(block.arguments, str) else dumps_text(block.arguments)
    if block.custom:
        return {
            "id": block.id,
            "type": "custom",
            "custom": {"name": block.name, "input": arguments},
        }
    return {
        "id": block.id,
        "type": "function",
        "function": {
            "name": block.name,
            "arguments": arguments if arguments.strip() else "{}",
        },
    }


def _put_tools(body: JsonObject, request: Request, host: str) -> None:
    choice, offered = request.tool_choice, request.tools
    if choice is not None and _is_list(choice) and not _is_openai(host):
        # Compatible servers know no list of allowed tools.
        offered = [tool for tool in offered if tool.name in choice.names]
        request.losses.add("tool_choice", "The tools that are not allowed were left out.")
        choice = ToolChoice("auto" if choice.mode == "auto" else "any")
    tools = [tool.raw or _tool(tool, request.losses) for tool in offered if tool.raw != {}]
    if not tools:
        return
    body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = _choice(choice)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools


def _is_list(choice: ToolChoice) -> bool:
    """Check for a list of allowed tools, which is neither a word nor one tool."""
    is_one = choice.mode == "tool" and len(choice.names) == 1
    return bool(choice.names) and not is_one and choice.mode != "none"


def _choice(choice: ToolChoice) -> Any:
    """Encode `tool_choice`: a word, one function, or a list of allowed ones."""
    if choice.mode != "tool" and not choice.names:
        return "required" if choice.mode == "any" else choice.mode
    named = [{"type": "function", "function": {"name": name}} for name in choice.names]
    if choice.mode == "tool" and len(named) == 1:
        return named[0]
    # https://platform.openai.com/docs/guides/function-calling#allowed-tools
    mode = "required" if choice.mode in ("tool", "any") else "auto"
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}


def _tool(tool: Tool, losses: Losses) -> JsonObject:
    if tool.custom:
        inner = drop_none(
            {
                "name": tool.name,
                "description": tool.description,
                "format": tool.free_form or tool.extras,
            }
        )
        return {"type": "custom", "custom": inner}
    function = drop_none(
        {"name": tool.name, "description": tool.description, "strict": tool.strict}
    )
    function["parameters"] = function_schema(tool.schema, losses, f"tools.{tool.name}")
    return {"type": "function", "function": function}


def encode_output(output: OutputFormat) -> JsonObject:
    """Encode `response_format`."""
    if output.kind != "schema" or output.schema is None:
        return {"type": "text" if output.kind == "text" else "json_object"}
    inner = {
        "name": output.name or "answer",
        "description": output.description,
        "schema": output.schema,
    }
    return {"type": "json_schema", "json_schema": drop_none({**inner, "strict": output.strict})}


def put_sampling(body: JsonObject, request: Request) -> None:
    """Put temperature and top_p, brought into OpenAI's range."""
    losses = request.losses
    temperature, top_p = request.sampling.temperature, request.sampling.top_p
    if temperature is not None and not 0 <= temperature <= 2:
        losses.add(
            "temperature",
            f"OpenAI's temperature goes from 0 to 2; {temperature} became the nearest.",
        )
        temperature = min(max(temperature, 0), 2)
    body.update(drop_none({"temperature": temperature, "top_p": top_p}))


def _put_more_sampling(body: JsonObject, sampling: Sampling, losses: Losses) -> None:
    body.update(
        drop_none(
            {
                "frequency_penalty": sampling.frequency_penalty,
                "presence_penalty": sampling.presence_penalty,
                "seed": sampling.seed,
                "n": sampling.candidates,
                "logprobs": sampling.logprobs,
                "top_logprobs": sampling.top_logprobs,
                "logit_bias": sampling.logit_bias,
            }
        )
    )
    if sampling.stop:
        body["stop"] = sampling.stop[:_MAX_STOPS]
        if len(sampling.stop) > _MAX_STOPS:
            losses.add(
                "stop", f"OpenAI takes {_MAX_STOPS} stop sequences; the others were dropped."
            )
    if sampling.top_k is not None:
        losses.add("top_k", "OpenAI has no top_k.")


def put_shared(body: JsonObject, request: Request) -> None:
    """Put the fields that OpenAI's two formats share."""
    if request.service_tier is not None:
        if tier := _TIERS.get(request.service_tier):
            body["service_tier"] = tier
        else:
            request.losses.add("service_tier", f"OpenAI has no tier {request.service_tier!r}.")
    if request.metadata:
        if all(isinstance(value, str) for value in request.metadata.values()):
            body["metadata"] = request.metadata
        else:
            request.losses.add("metadata", "OpenAI's metadata holds strings only; it was dropped.")
    if request.cache is not None or has_cache_marks(request):
        request.losses.add(
            "cache_control", "OpenAI caches prompts by itself; the marks were dropped."
        )
