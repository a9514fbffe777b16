"""Anthropic Messages request → `Request`. Source: Anthropic API reference, "Create a Message"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import ANTHROPIC_MESSAGES
from providers.wire.core.ir import (
    Block,
    Citation,
    Foreign,
    JsonObject,
    Media,
    MediaKind,
    OutputFormat,
    Reasoning,
    Request,
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
    object_in,
    objects,
    plain_text,
    read_each,
    string_in,
    strings,
    without,
)
from providers.wire.rules.replay import unseal
from providers.wire.tools.client_run import vendor_tool

_KNOWN: Final = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "stream",
        "tools",
    }
    | {
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "service_tier",
        "cache_control",
    }
)
_MESSAGE: Final = frozenset({"role", "content"})
_TEXT: Final = frozenset({"type", "text", "cache_control", "citations"})
_MEDIA: Final = frozenset({"type", "source", "cache_control", "title"})
_TOOL: Final = frozenset({"type", "name", "description", "input_schema", "cache_control", "strict"})
_CALL: Final = frozenset({"type", "id", "name", "input", "cache_control"})
_RESULT: Final = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
_INNER: Final = (Text, Media, Foreign)
_ROLES: Final = ("user", "assistant", "system")


def decode_request(body: JsonObject, *, model: str | None, stream: bool | None) -> Request:
    """Decode a request body.

    Raises `MalformedBody` if it does not follow the API reference.
    """
    request = Request(
        ANTHROPIC_MESSAGES,
        model=model or maybe_string(body, "model"),
        system=_system(body.get("system")),
        turns=read_each(objects(body.get("messages"), "messages"), "messages", _turn),
        tools=decode_tools(body),
        sampling=_sampling(body),
        stream=bool(maybe_bool(body, "stream")) if stream is None else stream,
        include_usage=True,
        service_tier=maybe_string(body, "service_tier"),
        cache=maybe_object(body, "cache_control"),
        extras=without(body, _KNOWN) or {},
    )
    _read_choice(request, maybe_object(body, "tool_choice"))
    _read_reasoning(
        request, maybe_object(body, "thinking"), maybe_object(body, "output_config") or {}
    )
    _read_output(request, body)
    _read_metadata(request, maybe_object(body, "metadata"))
    return request


def _system(value: Any) -> list[Text]:
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value)]
    return [
        _text(block, f"system[{index}]") for index, block in enumerate(objects(value, "system"))
    ]


def _sampling(body: JsonObject) -> Sampling:
    return Sampling(
        max_tokens=maybe_int(body, "max_tokens"),
        temperature=maybe_number(body, "temperature"),
        top_p=maybe_number(body, "top_p"),
        top_k=maybe_number(body, "top_k"),
        stop=strings(body.get("stop_sequences"), "stop_sequences"),
    )


def _turn(message: JsonObject) -> Turn:
    role = message.get("role")
    if role not in _ROLES:
        raise MalformedBody(f".role must be user, assistant or system, not {str(role)[:40]!r}.")
    content = message.get("content")
    extras = without(message, _MESSAGE)
    if type(content) is str:
        return Turn(role, [Text(content)], None, extras)
    return Turn(role, decode_blocks(content, ".content"), None, extras)


def decode_blocks(content: Any, path: str) -> list[Block]:
    """Decode a message's content blocks. Unknown types become `Foreign`."""
    blocks: list[Block] = []
    for index, raw in enumerate(objects(content, path)):
        text = plain_text(raw, "text")
        blocks.append(_block(raw, f"{path}[{index}]") if text is None else Text(text))
    return blocks


def _block(block: JsonObject, path: str) -> Block:
    kind = block.get("type")
    if kind == "text":
        return _text(block, path)
    if kind == "tool_use":
        return ToolCall(
            id_in(block, "id", path),
            string_in(block, "name", path),
            object_in(block, "input", path),
            cache=block.get("cache_control"),
            extras=without(block, _CALL),
        )
    if kind == "tool_result":
        return _tool_result(block, path)
    if kind == "thinking":
        return _thinking(block, path)
    if kind == "redacted_thinking":
        return _redacted(block, path)
    if kind in ("image", "document"):
        return _media(block, kind, path)
    return Foreign(ANTHROPIC_MESSAGES, a_string(kind, f"{path}.type"), block)


def _text(block: JsonObject, path: str) -> Text:
    citations = block.get("citations")
    return Text(
        string_in(block, "text", path),
        citations=_citations(citations, path) if citations else (),
        cache=block.get("cache_control"),
        extras=without(block, _TEXT),
    )


def _citations(raw: Any, path: str) -> list[Citation]:
    return [decode_citation(one) for one in objects(raw, f"{path}.citations")]


def decode_citation(raw: JsonObject) -> Citation:
    """Decode any of Anthropic's citation types."""
    title = raw.get("title") or raw.get("document_title")
    return Citation(
        raw.get("url") or raw.get("source"),
        title,
        raw.get("cited_text"),
        raw=raw,
        vendor=ANTHROPIC_MESSAGES,
    )


def _thinking(block: JsonObject, path: str) -> Thinking:
    text = a_string(block.get("thinking", ""), f"{path}.thinking")
    signature = block.get("signature")
    if isinstance(signature, str) and (sealed := unseal(signature)):
        # Another vendor's reasoning, sealed in an earlier response of ours.
        inner = sealed.signature or None
        return Thinking(text, inner, sealed.vendor, sealed.redacted, sealed.block_id)
    return Thinking(text, signature or None, ANTHROPIC_MESSAGES, raw=block)


def _redacted(block: JsonObject, path: str) -> Thinking:
    data = a_string(block.get("data"), f"{path}.data")
    if sealed := unseal(data):
        return Thinking("", sealed.signature, sealed.vendor, redacted=True, id=sealed.block_id)
    return Thinking("", data, ANTHROPIC_MESSAGES, redacted=True, raw=block)


def _tool_result(block: JsonObject, path: str) -> ToolResult:
    content = block.get("content")
    blocks: list[Text | Media | Foreign] = []
    if isinstance(content, str):
        blocks = [Text(content)]
    elif content is not None:
        for inner in decode_blocks(content, f"{path}.content"):
            blocks.append(inner if isinstance(inner, _INNER) else _as_foreign(inner, path))
    return ToolResult(
        id_in(block, "tool_use_id", path),
        blocks,
        is_error=maybe_bool(block, "is_error"),
        cache=block.get("cache_control"),
        extras=without(block, _RESULT),
    )


def _as_foreign(block: Block, path: str) -> Foreign:
    raise MalformedBody(f"{path}.content takes no {type(block).__name__} block.")


def _media(block: JsonObject, kind: MediaKind, path: str) -> Block:
    source = an_object(block.get("source"), f"{path}.source")
    media = Media(
        kind,
        media_type=maybe_string(source, "media_type"),
        title=maybe_string(block, "title"),
        cache=block.get("cache_control"),
        extras=without(block, _MEDIA),
    )
    how = source.get("type")
    if how == "base64":
        media.data = a_string(source.get("data"), f"{path}.source.data")
    elif how == "url":
        media.url = a_string(source.get("url"), f"{path}.source.url")
    elif how == "file":
        media.file_id = a_string(source.get("file_id"), f"{path}.source.file_id")
    elif how == "text":
        media.text = a_string(source.get("data"), f"{path}.source.data")
    elif how == "content":
        inner = source.get("content")
        parts = (
            [Text(inner)]
            if isinstance(inner, str)
            else decode_blocks(inner, f"{path}.source.content")
        )
        media.text = "\n".join(part.text for part in parts if isinstance(part, Text))
        media.media_type = "text/plain"
        media.extras = {**(media.extras or {}), "source": source}
    else:
        return Foreign(ANTHROPIC_MESSAGES, f"{kind} source {str(how)[:40]!r}", block)
    return media


def decode_tools(body: Mapping[str, Any]) -> list[Tool]:
    """Decode the tools. All but plain functions are the vendor's own."""
    tools: list[Tool] = []
    for index, raw in enumerate(objects(body.get("tools") or [], "tools")):
        path = f"tools[{index}]"
        name = raw.get("name")
        if raw.get("type") not in (None, "custom"):
            tools.append(vendor_tool(ANTHROPIC_MESSAGES, str(raw["type"]), raw))
            continue
        tools.append(
            Tool(
                a_string(name, f"{path}.name"),
                maybe_string(raw, "description"),
                maybe_object(raw, "input_schema"),
                maybe_bool(raw, "strict"),
                cache=raw.get("cache_control"),
                extras=without(raw, _TOOL),
            )
        )
    return tools


def _read_choice(request: Request, choice: JsonObject | None) -> None:
    if choice is None:
        return
    kind = choice.get("type")
    if kind in ("auto", "any", "none"):
        request.tool_choice = ToolChoice(kind)
    elif kind == "tool":
        request.tool_choice = ToolChoice("tool", [a_string(choice.get("name"), "tool_choice.name")])
    else:
        raise MalformedBody(
            f"tool_choice.type must be auto, any, tool or none, not {str(kind)[:40]!r}."
        )
    if (disabled := maybe_bool(choice, "disable_parallel_tool_use")) is not None:
        request.parallel_tools = not disabled


def _read_reasoning(request: Request, thinking: JsonObject | None, config: JsonObject) -> None:
    effort = maybe_string(config, "effort")
    if thinking is None:
        request.reasoning = Reasoning(effort=effort) if effort else None
        return
    kind = thinking.get("type")
    include = {"summarized": True, "omitted": False}.get(str(thinking.get("display")))
    if kind == "disabled":
        request.reasoning = Reasoning(enabled=False, effort=effort, raw=thinking)
    elif kind == "enabled":
        budget = maybe_int(thinking, "budget_tokens")
        request.reasoning = Reasoning(True, effort, budget, include=include, raw=thinking)
    elif kind in ("adaptive", "between_tools"):
        request.reasoning = Reasoning(True, effort, adaptive=True, include=include, raw=thinking)
    else:
        raise MalformedBody(
            f"thinking.type must be enabled, disabled or adaptive, not {str(kind)[:40]!r}."
        )


def _read_output(request: Request, body: JsonObject) -> None:
    config = body.get("output_config") or {}
    wanted = config.get("format") or body.get("output_format")
    if wanted is None:
        return
    wanted = an_object(wanted, "output_config.format")
    if wanted.get("type") != "json_schema":
        raise MalformedBody("output_config.format.type must be json_schema.")
    request.output = OutputFormat(
        "schema", an_object(wanted.get("schema"), "output_config.format.schema"), strict=True
    )


def _read_metadata(request: Request, metadata: JsonObject | None) -> None:
    if metadata is None:
        return
    request.user = maybe_string(metadata, "user_id")
    if rest := without(metadata, frozenset({"user_id"})):
        request.metadata = rest
