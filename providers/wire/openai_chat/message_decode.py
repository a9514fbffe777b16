"""Messages of an OpenAI Chat Completions request, decoded into turns.

Source: OpenAI's OpenAPI file, `CreateChatCompletionRequest`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import OPENAI_CHAT
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Media,
    Request,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.wire.core.shape import (
    a_string,
    an_object,
    id_in,
    maybe_object,
    maybe_string,
    objects,
    plain_text,
    read_each,
    string_in,
    without,
)
from providers.wire.rules.media import audio_type, from_url

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


def read_messages(request: Request, messages: list[JsonObject]) -> None:
    """Read messages. Leading system messages are the system prompt; later ones keep their index."""
    function_ids: dict[str, str] = {}
    read_each(messages, "messages", partial(_read_message, request, function_ids))


def _read_message(request: Request, function_ids: dict[str, str], message: JsonObject) -> None:
    role = message.get("role")
    if role == "user" and (text := _only_content(message)) is not None:
        request.turns.append(Turn("user", [Text(text)]))
    elif role == "assistant":
        _append(request, "assistant", _assistant(message, "", function_ids), message)
    elif role in ("tool", "function"):
        request.turns.append(Turn("user", [_result(message, "", function_ids)]))
    elif role == "user":
        _append(request, "user", _content(message.get("content"), ""), message)
    elif role in ("system", "developer"):
        blocks = _content(message.get("content"), "")
        texts = [block for block in blocks if isinstance(block, Text)]
        if request.turns:
            request.turns.append(Turn("system", list(texts), maybe_string(message, "name")))
        else:
            request.system.extend(texts)
    else:
        raise MalformedBody(f".role {str(role)[:40]!r} is not known.")


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
