"""`Request` → OpenAI Responses request.

Source: OpenAI's OpenAPI file, `CreateResponse` and `InputItem`.
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.base import TargetInfo
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Losses,
    Media,
    OutputFormat,
    Reasoning,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from providers.wire.core.jsonio import dumps_text
from providers.wire.core.shape import drop_none
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.openai_chat.request_encode import put_sampling, put_shared
from providers.wire.rules.media import AUDIO_FORMATS, data_url
from providers.wire.rules.pairing import result_text
from providers.wire.rules.reasoning import to_effort
from providers.wire.rules.schema import function_schema
from providers.wire.tools.web_search import is_search

# Smaller limits are a 400: https://platform.openai.com/docs/api-reference/responses/create
_MIN_TOKENS: Final = 16
_ENCRYPTED: Final = "reasoning.encrypted_content"
_NO_PARAMETER: Final = (
    "stop",
    "top_k",
    "seed",
    "logit_bias",
    "frequency_penalty",
    "presence_penalty",
    "candidates",
)


def encode_request(request: Request, target: TargetInfo) -> JsonObject:
    """Return the body for `POST /v1/responses`. Adds the losses to `request.losses`.

    The provider stores no response unless the client asked for it; reasoning travels encrypted
    instead.
    """
    model = target.model or request.model
    own = request.source == OPENAI_RESPONSES
    facts = target.facts(request.model)
    body: JsonObject = {"model": model, "input": _input(request)}
    if text := "\n\n".join(block.text for block in request.system if block.text):
        body["instructions"] = text
    _put_tools(body, request)
    _put_limit(body, request, own)
    _put_text(body, request)
    _put_reasoning(body, request, facts, own)
    put_sampling(body, request)
    body.update(drop_none({facts.user_field: request.user, "prompt_cache_key": request.cache_key}))
    put_shared(body, request)
    # OpenAI stores responses for 30 days unless told otherwise:
    # https://platform.openai.com/docs/api-reference/responses/create
    if not own:
        body["store"] = bool(request.store)
    elif request.store is not None:
        body["store"] = request.store
    if request.stream:
        body["stream"] = True
    _put_losses(request)
    if own:
        body.update(request.extras)
    return body


def _put_losses(request: Request) -> None:
    sampling = request.sampling
    for name in _NO_PARAMETER:
        value = getattr(sampling, name)
        # One candidate is what every vendor returns anyway.
        if value in (None, [], 0) or (name == "candidates" and value == 1):
            continue
        request.losses.add(name, "OpenAI Responses has no such parameter.")


def _input(request: Request) -> list[JsonObject]:
    items: list[JsonObject] = []
    for turn in request.turns:
        if turn.role == "assistant":
            for block in turn.blocks:
                _assistant_block(block, items, request.losses)
        elif turn.role == "system":
            # `developer` is the newer name of a system message in mid-conversation:
            # https://platform.openai.com/docs/guides/text#message-roles-and-instruction-following
            text = "\n\n".join(block.text for block in turn.blocks if isinstance(block, Text))
            if text:
                items.append({"role": "developer", "content": text})
        else:
            _user(turn, items, request.losses)
    return items


def _assistant_block(block: Block, items: list[JsonObject], losses: Losses) -> None:
    if isinstance(block, Text):
        if block.text:
            items.append({"role": "assistant", "content": block.text})
    elif isinstance(block, ToolCall):
        items.append(encode_call_item(block))
    elif isinstance(block, Thinking):
        if (item := _reasoning_item(block)) is not None:
            items.append(item)
    elif isinstance(block, Foreign) and block.vendor == OPENAI_RESPONSES:
        items.append(block.raw)
    elif isinstance(block, Media):
        losses.add("messages", "OpenAI takes no media from the assistant; it was dropped.")


def encode_call_item(block: ToolCall) -> JsonObject:
    """Encode a `function_call` or `custom_tool_call` item of the input."""
    arguments = block.arguments
    if not isinstance(arguments, str):
        arguments = dumps_text(arguments)
    item: JsonObject
    if block.custom:
        item = {"type": "custom_tool_call", "call_id": block.id, "name": block.name}
        item["input"] = arguments
    else:
        item = {"type": "function_call", "call_id": block.id, "name": block.name}
        # An empty text is no JSON, which the parser of the server refuses.
        item["arguments"] = arguments if arguments.strip() else "{}"
    if block.namespace is not None:
        item["namespace"] = block.namespace
    if block.item_id is not None:
        item["id"] = block.item_id
    return item


def _reasoning_item(block: Thinking) -> JsonObject | None:
    if block.raw is not None and block.vendor == OPENAI_RESPONSES:
        return block.raw
    # Without its encrypted content OpenAI looks the item up in its store and finds none.
    if block.vendor != OPENAI_RESPONSES or not block.signature:
        return None
    summary = [{"type": "summary_text", "text": block.text}] if block.text else []
    return {
        "type": "reasoning",
        "id": block.id or "",
        "summary": summary,
        "encrypted_content": block.signature,
    }


def _user(turn: Turn, items: list[JsonObject], losses: Losses) -> None:
    parts: list[JsonObject] = []
    for block in turn.blocks:
        if isinstance(block, ToolResult):
            items.append(_output_item(block, losses))
        elif (part := _part(block, losses)) is not None:
            parts.append(part)
    if not parts:
        if ToolResult in map(type, turn.blocks):
            return
        parts = [{"type": "input_text", "text": ""}]
    content: Any = parts
    # A single text may be a plain string, which compatible servers are sure to accept.
    if len(parts) == 1 and parts[0]["type"] == "input_text":
        content = parts[0]["text"]
    items.append({"role": "user", "content": content})


def _part(block: Block, losses: Losses) -> JsonObject | None:
    if isinstance(block, Text):
        return {"type": "input_text", "text": block.text}
    if isinstance(block, Foreign):
        return block.raw if block.vendor == OPENAI_RESPONSES else None
    return _media(block, losses) if isinstance(block, Media) else None


def _media(block: Media, losses: Losses) -> JsonObject | None:
    if block.kind == "image":
        body: JsonObject = {"type": "input_image", "detail": block.detail or "auto"}
        if block.file_id is not None:
            return {**body, "file_id": block.file_id}
        return {**body, "image_url": block.url or data_url(block, "image/png")}
    if block.kind == "document":
        if block.text is not None:
            head = f"{block.title}:\n" if block.title else ""
            return {"type": "input_text", "text": head + block.text}
        body = {"type": "input_file"}
        if block.file_id is not None:
            return {**body, "file_id": block.file_id}
        if block.url is not None:
            return {**body, "file_url": block.url}
        name = block.title or "document.pdf"
        return {**body, "filename": name, "file_data": data_url(block, "application/pdf")}
    audio_format = AUDIO_FORMATS.get((block.media_type or "").split(";")[0])
    if block.kind == "audio" and block.data is not None and audio_format is not None:
        losses.add("messages", "OpenAI Responses takes no sound; it was dropped.")
        return None
    losses.add("messages", f"OpenAI Responses takes no {block.kind}; it was dropped.")
    return None


def _output_item(block: ToolResult, losses: Losses) -> JsonObject:
    if block.is_error:
        losses.add("messages", "OpenAI has no mark for a failed tool; its text alone says so.")
    output: Any = result_text(block)
    # A list of parts is only needed for media.
    if Media in map(type, block.content):
        parts = [_part(inner, losses) for inner in block.content]
        output = [part for part in parts if part is not None]
    kind = "custom_tool_call_output" if block.custom else "function_call_output"
    return {"type": kind, "call_id": block.call_id, "output": output}


def _put_tools(body: JsonObject, request: Request) -> None:
    tools = _tools(request)
    if not tools:
        return
    body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = _choice(request.tool_choice, request.tools)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools


def _tools(request: Request) -> list[JsonObject]:
    """Encode the tools; those of one namespace share an entry where its first one was."""
    tools: list[JsonObject] = []
    namespaces: dict[str, list[JsonObject]] = {}
    for tool in request.tools:
        if tool.raw is not None:
            tools.append(tool.raw)
        elif tool.namespace:
            if tool.namespace not in namespaces:
                inner = namespaces[tool.namespace] = []
                tools.append({"type": "namespace", "name": tool.namespace, "tools": inner})
            namespaces[tool.namespace].append(encode_tool(tool, request.losses))
        else:
            tools.append(encode_tool(tool, request.losses))
    return tools


def _choice(choice: ToolChoice, tools: list[Tool]) -> Any:
    """Encode `tool_choice`: a word, one tool, or a list of allowed tools."""
    if choice.mode != "tool" and not choice.names:
        return "required" if choice.mode == "any" else choice.mode
    if choice.mode == "tool" and len(choice.names) == 1:
        return _named(choice.names[0], tools)
    # https://platform.openai.com/docs/guides/function-calling#allowed-tools
    named = [_named(name, tools) for name in choice.names]
    mode = "required" if choice.mode in ("tool", "any") else "auto"
    return {"type": "allowed_tools", "mode": mode, "tools": named}


def _named(name: str, tools: list[Tool]) -> JsonObject:
    found = next((tool for tool in tools if name in (tool.name, tool.native)), None)
    # OpenAI's own tools are chosen by their type and have no name.
    if found is not None and found.raw is not None:
        return {"type": name}
    if found is not None and found.custom:
        return {"type": "custom", "name": name}
    return {"type": "function", "name": name}


def encode_tool(tool: Tool, losses: Losses) -> JsonObject:
    """Encode a function or custom tool.

    Always sends `strict`: OpenAI takes a missing one for true and changes the schema.
    """
    body: JsonObject = {"type": "custom" if tool.custom else "function", "name": tool.name}
    if tool.description is not None:
        body["description"] = tool.description
    if not tool.custom:
        body["parameters"] = function_schema(tool.schema, losses, f"tools.{tool.name}")
        body["strict"] = bool(tool.strict)
    return {**body, **tool.extras} if tool.extras else body


def _put_limit(body: JsonObject, request: Request, own: bool) -> None:
    limit = request.sampling.max_tokens
    if limit is None:
        return
    if limit < _MIN_TOKENS and not own:
        request.losses.add(
            "max_tokens", f"OpenAI Responses answers with {_MIN_TOKENS} tokens at least."
        )
        limit = _MIN_TOKENS
    body["max_output_tokens"] = limit


def _put_text(body: JsonObject, request: Request) -> None:
    text: JsonObject = {}
    if request.output is not None:
        text["format"] = _format(request.output)
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    if text:
        body["text"] = text


def _format(output: OutputFormat) -> JsonObject:
    if output.kind != "schema" or output.schema is None:
        return {"type": "text" if output.kind == "text" else "json_object"}
    body = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema}
    return {**body, **drop_none({"description": output.description, "strict": output.strict})}


def _put_reasoning(body: JsonObject, request: Request, facts: ModelFacts, own: bool) -> None:
    effort = to_effort(request.reasoning, body["model"], facts, request.losses)
    wanted = request.reasoning
    reasoning: JsonObject
    include: list[str] = []
    if own:
        reasoning = dict(wanted.raw or {}) if wanted is not None else {}
    else:
        reasoning = _reasoning(wanted, effort, facts)
        if request.sampling.logprobs:
            include.append("message.output_text.logprobs")
        if any(is_search(tool) for tool in request.tools):
            include.append("web_search_call.action.sources")
        # Nothing is stored, so the reasoning comes back encrypted and the client returns it:
        # https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items
        if facts.always_reasons or (reasoning and effort != "none"):
            include.append(_ENCRYPTED)
    if reasoning:
        body["reasoning"] = reasoning
    if include:
        body["include"] = include
    if request.sampling.top_logprobs:
        body["top_logprobs"] = request.sampling.top_logprobs


def _reasoning(wanted: Reasoning | None, effort: str | None, facts: ModelFacts) -> JsonObject:
    reasoning: JsonObject = {"effort": effort} if effort else {}
    if wanted is None or effort == "none":
        return reasoning
    summary = wanted.summary
    # OpenAI shows reasoning only as a summary, and refuses the field for models without any.
    if not summary and wanted.include and (effort or facts.always_reasons):
        summary = "auto"
    if summary:
        reasoning["summary"] = summary
    return reasoning
