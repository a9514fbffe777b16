"""OpenAI Chat Completions request → `Request`.

Source: OpenAI's OpenAPI file, `CreateChatCompletionRequest`. Understands common fields of
compatible servers too: `reasoning_content`, `reasoning`, `top_k`, `cache_control` on text parts
(OpenRouter), `thinking` and `enable_thinking` (DeepSeek, Z.AI, Qwen).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import OPENAI_CHAT
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Media,
    OutputFormat,
    Reasoning,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from providers.wire.core.shape import (
    a_string,
    an_object,
    id_in,
    maybe_bool,
    maybe_int,
    maybe_number,
    maybe_object,
    maybe_string,
    objects,
    plain_text,
    string_in,
    strings,
    without,
)
from providers.wire.rules.media import audio_type, from_url

_KNOWN: Final = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "frequency_penalty",
    }
    | {
        "presence_penalty",
        "seed",
        "stop",
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "stream",
        "stream_options",
    }
    | {
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "parallel_tool_calls",
        "reasoning_effort",
        "reasoning",
    }
    | {
        "response_format",
        "user",
        "safety_identifier",
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "store",
    }
    | {"verbosity", "modalities", "thinking", "enable_thinking"}
)
_INNER: Final = (Text, Media, Foreign)
_MESSAGE: Final = frozenset(
    {
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "refusal",
        "reasoning_content",
        "reasoning",
        "function_call",
    }
    | {"annotations", "audio"}
)
_REASONING: Final = ("reasoning_content", "reasoning")
_EFFORTLESS: Final = frozenset({"none"})


def decode_request(body: JsonObject, *, model: str | None, stream: bool | None) -> Request:
    """Decode a request body.

    Raises `MalformedBody` if it does not follow the API reference.
    """
    request = Request(
        OPENAI_CHAT,
        model=model or maybe_string(body, "model"),
        tools=decode_tools(body),
        parallel_tools=maybe_bool(body, "parallel_tool_calls"),
        sampling=_sampling(body),
        stream=bool(maybe_bool(body, "stream")) if stream is None else stream,
        user=maybe_string(body, "user") or maybe_string(body, "safety_identifier"),
        metadata=maybe_object(body, "metadata"),
        service_tier=maybe_string(body, "service_tier"),
        cache_key=maybe_string(body, "prompt_cache_key"),
        store=maybe_bool(body, "store"),
        verbosity=maybe_string(body, "verbosity"),
        modalities=strings(body.get("modalities"), "modalities") or None,
        extras=without(body, _KNOWN) or {},
    )
    options = maybe_object(body, "stream_options") or {}
    request.include_usage = options.get("include_usage") is True
    _read_messages(request, objects(body.get("messages"), "messages"))
    _read_choice(request, body.get("tool_choice"))
    _read_reasoning(request, body)
    request.output = _output(maybe_object(body, "response_format"))
    return request


def _sampling(body: JsonObject) -> Sampling:
    limit = maybe_int(body, "max_completion_tokens")
    return Sampling(
        max_tokens=maybe_int(body, "max_tokens") if limit is None else limit,
        temperature=maybe_number(body, "temperature"),
        top_p=maybe_number(body, "top_p"),
        top_k=maybe_number(body, "top_k"),
        frequency_penalty=maybe_number(body, "frequency_penalty"),
        presence_penalty=maybe_number(body, "presence_penalty"),
        seed=maybe_int(body, "seed"),
        stop=strings(body.get("stop"), "stop"),
        candidates=maybe_int(body, "n"),
        logprobs=maybe_bool(body, "logprobs"),
        top_logprobs=maybe_int(body, "top_logprobs"),
        logit_bias=maybe_object(body, "logit_bias"),
    )


def _read_messages(request: Request, messages: list[JsonObject]) -> None:
    """Read messages. Leading system messages are the system prompt; later ones keep their index."""
    function_ids: dict[str, str] = {}
    for index, message in enumerate(messages):
        role = message.get("role")
        if role == "user" and (text := _only_content(message)) is not None:
            request.turns.append(Turn("user", [Text(text)]))
            continue
        path = f"messages[{index}]"
        if role in ("system", "developer"):
            texts = [
                block for block in _content(message.get("content"), path) if isinstance(block, Text)
            ]
            if request.turns:
                request.turns.append(Turn("system", list(texts), maybe_string(message, "name")))
            else:
                request.system.extend(texts)
        elif role == "user":
            blocks = _content(message.get("content"), path)
            _append(request, "user", blocks, message)
        elif role == "assistant":
            _append(request, "assistant", _assistant(message, path, function_ids), message)
        elif role in ("tool", "function"):
            request.turns.append(Turn("user", [_result(message, path, function_ids)]))
        else:
            raise MalformedBody(f"{path}.role {str(role)[:40]!r} is not known.")


def _only_content(message: JsonObject) -> str | None:
    """Return the text of a message that has nothing else, as most messages of users."""
    content = message.get("content")
    return content if len(message) == 2 and isinstance(content, str) else None


def _append(request: Request, role: Role, blocks: list[Block], message: JsonObject) -> None:
    request.turns.append(
        Turn(role, blocks, maybe_string(message, "name"), without(message, _MESSAGE))
    )


def _content(value: Any, path: str) -> list[Block]:
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value)]
    parts = objects(value, f"{path}.content")
    blocks: list[Block] = []
    for index, part in enumerate(parts):
        text = plain_text(part, "text")
        if text is None:
            blocks += _part(part, f"{path}.content[{index}]")
        else:
            blocks.append(Text(text))
    return blocks


def _part(part: JsonObject, path: str) -> list[Block]:
    kind = part.get("type")
    cache = part.get("cache_control")
    if kind == "text":
        return [Text(string_in(part, "text", path), cache=cache)]
    if kind == "refusal":
        return [Text(a_string(part.get("refusal"), f"{path}.refusal"), refusal=True)]
    if kind == "image_url":
        image = part.get("image_url")
        image = {"url": image} if isinstance(image, str) else an_object(image, f"{path}.image_url")
        media = from_url(a_string(image.get("url"), f"{path}.image_url.url"), "image")
        media.detail, media.cache = maybe_string(image, "detail"), cache
        return [media]
    if kind == "input_audio":
        audio = an_object(part.get("input_audio"), f"{path}.input_audio")
        media_type = audio_type(str(audio.get("format") or "wav"))
        return [
            Media(
                "audio",
                data=a_string(audio.get("data"), f"{path}.input_audio.data"),
                media_type=media_type,
            )
        ]
    if kind == "file":
        return [_file(an_object(part.get("file"), f"{path}.file"), path)]
    if kind == "thinking":
        # Mistral: https://docs.mistral.ai/capabilities/reasoning/
        inner = part.get("thinking")
        if not isinstance(inner, str):
            inner = "".join(str(text.get("text", "")) for text in objects(inner or [], path))
        return [Thinking(inner, vendor=OPENAI_CHAT, id="thinking", raw=part)]
    return [Foreign(OPENAI_CHAT, a_string(kind, f"{path}.type"), part)]


def _file(file: JsonObject, path: str) -> Media:
    title = maybe_string(file, "filename")
    data = maybe_string(file, "file_data")
    if data is None:
        file_id = a_string(file.get("file_id"), f"{path}.file.file_id")
        return Media("document", file_id=file_id, title=title)
    # OpenAI wants a data URL; clients also send bare base64.
    if data[:5].lower().startswith(("data:", "http")):
        media = from_url(data, "document")
    else:
        media = Media("document", data=data)
    media.title = title
    return media


def _assistant(message: JsonObject, path: str, function_ids: dict[str, str]) -> list[Block]:
    blocks: list[Block] = []
    for key in _REASONING:
        if reasoning := message.get(key):
            if isinstance(reasoning, str):
                blocks.append(Thinking(reasoning, vendor=OPENAI_CHAT, id=key))
            break
    blocks += _content(message.get("content"), path)
    if refusal := maybe_string(message, "refusal"):
        blocks.append(Text(refusal, refusal=True))
    if calls := message.get("tool_calls"):
        path = f"{path}.tool_calls"
        blocks += [_call(call, f"{path}[{n}]") for n, call in enumerate(objects(calls, path))]
    # The deprecated form has no ids: a result is paired with its call by the function's name.
    if legacy := maybe_object(message, "function_call"):
        name = string_in(legacy, "name", "function_call")
        function_ids[name] = f"call_{name}_{len(function_ids)}"
        blocks.append(ToolCall(function_ids[name], name, str(legacy.get("arguments") or "")))
    return blocks


def _call(call: JsonObject, path: str) -> ToolCall:
    call_id = id_in(call, "id", path)
    if call.get("type") == "custom":
        custom = an_object(call.get("custom"), f"{path}.custom")
        text = a_string(custom.get("input"), f"{path}.custom.input")
        return ToolCall(
            call_id, a_string(custom.get("name"), f"{path}.custom.name"), text, custom=True
        )
    function = call.get("function")
    if not isinstance(function, dict):
        function = an_object(function, f"{path}.function")
    arguments = function.get("arguments")
    if not isinstance(arguments, (str, dict)):
        arguments = "" if arguments is None else a_string(arguments, f"{path}.function.arguments")
    name = function.get("name")
    return ToolCall(
        call_id,
        name if isinstance(name, str) else a_string(name, f"{path}.function.name"),
        arguments,
    )


def _result(message: JsonObject, path: str, function_ids: dict[str, str]) -> ToolResult:
    name = maybe_string(message, "name")
    call_id = id_in(message, "tool_call_id", path)
    if not call_id and message.get("role") == "function":
        call_id = function_ids.get(name or "", "")
    content = message.get("content")
    if isinstance(content, str):
        return ToolResult(call_id, [Text(content)], name)
    inner = [block for block in _content(content, path) if isinstance(block, _INNER)]
    return ToolResult(call_id, inner, name)


def decode_tools(body: Mapping[str, Any]) -> list[Tool]:
    """Decode `tools` and the older `functions`.

    Types other than function and custom are the server's own.
    """
    tools: list[Tool] = []
    for index, raw in enumerate(objects(body.get("tools") or [], "tools")):
        path = f"tools[{index}]"
        kind = raw.get("type")
        if kind == "custom" and isinstance(raw.get("custom"), dict):
            custom = raw["custom"]
            name = a_string(custom.get("name"), f"{path}.custom.name")
            tools.append(
                Tool(
                    name,
                    maybe_string(custom, "description"),
                    custom=True,
                    extras=custom.get("format"),
                )
            )
        elif "function" in raw:
            tools.append(
                _function(
                    an_object(raw["function"], f"{path}.function"), path, raw.get("cache_control")
                )
            )
        else:
            tools.append(Tool(a_string(kind, f"{path}.type"), vendor=OPENAI_CHAT, raw=raw))
    for index, raw in enumerate(objects(body.get("functions") or [], "functions")):
        tools.append(_function(raw, f"functions[{index}]", None))
    if body.get("web_search_options") is not None:
        tools.append(Tool("web_search_options", vendor=OPENAI_CHAT, raw={}))
    return tools


def _function(function: JsonObject, path: str, cache: JsonObject | None) -> Tool:
    return Tool(
        a_string(function.get("name"), f"{path}.function.name"),
        maybe_string(function, "description"),
        maybe_object(function, "parameters"),
        maybe_bool(function, "strict"),
        cache=cache,
        extras=without(function, frozenset({"name", "description", "parameters", "strict"})),
    )


def _read_choice(request: Request, choice: Any) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        choice = "required" if choice == "any" else choice  # Mistral's word for it
        if choice not in ("auto", "none", "required"):
            raise MalformedBody(
                f"tool_choice must be auto, none, required or an object, not {choice[:40]!r}."
            )
        request.tool_choice = ToolChoice("any" if choice == "required" else choice)
        return
    choice = an_object(choice, "tool_choice")
    if choice.get("type") == "allowed_tools":
        allowed = an_object(choice.get("allowed_tools") or choice, "tool_choice.allowed_tools")
        names = [
            _choice_name(tool) for tool in objects(allowed.get("tools") or [], "tool_choice.tools")
        ]
        request.tool_choice = ToolChoice(
            "tool" if allowed.get("mode") == "required" else "auto", names
        )
        return
    request.tool_choice = ToolChoice("tool", [_choice_name(choice)])


def _choice_name(choice: JsonObject) -> str:
    inner = choice.get("function") or choice.get("custom") or choice
    return a_string(
        an_object(inner, "tool_choice.function").get("name"), "tool_choice.function.name"
    )


def _read_reasoning(request: Request, body: JsonObject) -> None:
    effort = maybe_string(body, "reasoning_effort")
    router = body.get("reasoning") if isinstance(body.get("reasoning"), dict) else {}
    effort = effort or maybe_string(router or {}, "effort")
    budget = maybe_int(router or {}, "max_tokens")
    thinking = body.get("thinking")
    switch = thinking.get("type") if isinstance(thinking, dict) else None
    enabled = body["enable_thinking"] is True if body.get("enable_thinking") is not None else None
    if switch in ("enabled", "disabled"):
        enabled = switch == "enabled"
    if (router or {}).get("enabled") is not None:
        enabled = bool((router or {})["enabled"])
    if effort or budget is not None or enabled is not None:
        request.reasoning = Reasoning(
            False if effort in _EFFORTLESS else enabled, effort, budget, include=True
        )
        own = ("reasoning_effort", "reasoning", "thinking", "enable_thinking")
        request.reasoning.raw = {key: body[key] for key in own if body.get(key) is not None}


def _output(wanted: JsonObject | None) -> OutputFormat | None:
    if wanted is None:
        return None
    kind = wanted.get("type")
    if kind == "json_object":
        return OutputFormat("json")
    if kind == "json_schema":
        inner = an_object(wanted.get("json_schema"), "response_format.json_schema")
        return OutputFormat(
            "schema",
            maybe_object(inner, "schema"),
            maybe_string(inner, "name"),
            maybe_string(inner, "description"),
            maybe_bool(inner, "strict"),
        )
    return OutputFormat("text")
