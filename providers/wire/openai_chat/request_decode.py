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
    JsonObject,
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    Tool,
    ToolChoice,
)
from providers.wire.core.shape import (
    a_string,
    an_object,
    maybe_bool,
    maybe_int,
    maybe_number,
    maybe_object,
    maybe_string,
    objects,
    strings,
    without,
)
from providers.wire.openai_chat.message_decode import read_messages

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
    read_messages(request, objects(body.get("messages"), "messages"))
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
