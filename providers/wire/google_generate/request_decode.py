"""Google generateContent request → `Request`.

Source: Gemini API reference `GenerateContentRequest`, `Content`, `Part`, `GenerationConfig`; Vertex
AI adds fields. Code Assist's envelope (`{"model", "project", "request": {...}}`) is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers.base.errors import BadUpstreamStream, MalformedBody
from providers.base.names import GOOGLE_GENERATE
from providers.wire.core.google_keys import camel, camel_object, set_fields
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
from providers.wire.core.jsonio import dumps_text
from providers.wire.core.shape import (
    a_string,
    an_object,
    maybe_bool,
    maybe_int,
    maybe_number,
    maybe_object,
    maybe_string,
    object_in,
    objects,
    read_each,
    string_in,
    strings,
    without,
)
from providers.wire.google_generate.partial_args import PartialArguments
from providers.wire.rules.media import kind_of_type
from providers.wire.rules.schema import from_google

_KNOWN: Final = frozenset(
    {
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "labels",
        "serviceTier",
    }
)
_CONFIG: Final = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "presencePenalty",
        "seed",
    }
    | {
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
    }
    | {"thinkingConfig", "responseModalities"}
)
_DECLARATION: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "model": "assistant",
    "function": "user",
    "tool": "user",
    "system": "system",
}
_FOREIGN_PARTS: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


def unwrapped(body: JsonObject) -> JsonObject:
    """Return the request inside Code Assist's envelope, or the body itself."""
    inner = body.get("request")
    if isinstance(inner, dict) and "contents" not in body:
        inner = {
            key: value for key, value in inner.items() if key not in ("session_id", "sessionId")
        }
        return {"model": body.get("model"), **inner} if "model" in body else inner
    return body


def decode_request(body: JsonObject, *, model: str | None, stream: bool | None) -> Request:
    """Decode a request body.

    Raises `MalformedBody` if it does not follow the API reference.
    """
    body = camel(unwrapped(body))
    named = maybe_string(body, "model")
    config = camel(maybe_object(body, "generationConfig") or {})
    request = Request(
        GOOGLE_GENERATE,
        model=model or (named.removeprefix("models/") if named else None),
        system=_system(body.get("systemInstruction")),
        tools=decode_tools(body),
        sampling=_sampling(config),
        stream=bool(stream),
        include_usage=True,
        metadata=maybe_object(body, "labels"),
        modalities=strings(config.get("responseModalities"), "responseModalities") or None,
        service_tier=maybe_string(body, "serviceTier"),
        extras=without(body, _KNOWN) or {},
    )
    if rest := without(config, _CONFIG):
        request.extras["generationConfig"] = rest
    request.turns = _Contents().decode(body.get("contents"))
    _read_tool_config(request, maybe_object(body, "toolConfig"))
    _read_reasoning(request, config)
    _read_output(request, config)
    return request


def _system(value: Any) -> list[Text]:
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value)]
    parts = camel_object(value, "systemInstruction").get("parts")
    if isinstance(parts, dict):
        parts = [parts]
    found = objects(parts or [], "systemInstruction.parts")
    return [
        Text(a_string(part["text"], "systemInstruction.parts.text"))
        for part in map(set_fields, found)
        if "text" in part
    ]


def _sampling(config: JsonObject) -> Sampling:
    return Sampling(
        max_tokens=maybe_int(config, "maxOutputTokens"),
        temperature=maybe_number(config, "temperature"),
        top_p=maybe_number(config, "topP"),
        top_k=maybe_number(config, "topK"),
        frequency_penalty=maybe_number(config, "frequencyPenalty"),
        presence_penalty=maybe_number(config, "presencePenalty"),
        seed=maybe_int(config, "seed"),
        stop=strings(config.get("stopSequences"), "stopSequences"),
        candidates=maybe_int(config, "candidateCount"),
        logprobs=maybe_bool(config, "responseLogprobs"),
        top_logprobs=maybe_int(config, "logprobs"),
    )


class _Contents:
    """Decoder of turns.

    Calls without ids get one from their position, so that every resend has the same.
    """

    def __init__(self) -> None:
        self._unanswered: list[ToolCall] = []
        self._calls = 0

    def decode(self, contents: Any) -> list[Turn]:
        if isinstance(contents, str):
            return [Turn("user", [Text(contents)])]
        if isinstance(contents, dict):
            contents = [contents]
        return read_each(objects(contents, "contents"), "contents", self._turn)

    def _turn(self, content: JsonObject) -> Turn:
        content = camel(content)
        role = content.get("role") or "user"
        if not isinstance(role, str) or role not in _ROLES:
            raise MalformedBody(f".role must be user or model, not {str(role)[:40]!r}.")
        parts = content.get("parts")
        parts = objects([parts] if isinstance(parts, dict) else parts or [], ".parts")
        if role == "model":
            self._unanswered = []
        return Turn(_ROLES[role], read_each(parts, ".parts", self._part))

    def _part(self, part: JsonObject) -> Block:
        part = set_fields(part)
        if "functionCall" in part:
            call = decode_call(part, ".functionCall", f"call_{self._calls}")
            self._calls += 1
            self._unanswered.append(call)
            return call
        if "functionResponse" in part:
            return self._result(camel_object(part["functionResponse"], ".functionResponse"))
        return decode_part(part, "")

    def _result(self, raw: JsonObject) -> ToolResult:
        path = ".functionResponse"
        name = string_in(raw, "name", path)
        call_id = self._match(maybe_string(raw, "id"), name)
        response = object_in(raw, "response", path)
        text, is_error = _response_text(response)
        content: list[Text | Media | Foreign] = [Text(text)]
        for n, inner in enumerate(objects(raw.get("parts") or [], ".functionResponse.parts")):
            block = decode_part(set_fields(inner), f"{path}.parts[{n}]")
            if isinstance(block, Media):
                content.append(block)
        return ToolResult(call_id, content, name, is_error, response=response)

    def _match(self, call_id: str | None, name: str) -> str:
        """Return the id of the call that a result belongs to: by its id, else by its name."""
        for key, wanted in (("id", call_id), ("name", name)):
            for index, call in enumerate(self._unanswered):
                if getattr(call, key) == wanted:
                    del self._unanswered[index]
                    return call.id
        return call_id or f"call_without_id_{name}"


def _response_text(response: JsonObject) -> tuple[str, bool | None]:
    """Return a tool's result as text, from the one key Google suggests or as JSON."""
    if len(response) == 1:
        key, value = next(iter(response.items()))
        if key in ("output", "result", "error"):
            text = value if isinstance(value, str) else dumps_text(value)
            return text, True if key == "error" else None
    return dumps_text(response), None


def decode_call(part: JsonObject, path: str, default_id: str) -> ToolCall:
    """Decode a `functionCall` part."""
    raw = camel_object(part["functionCall"], path)
    signature = maybe_string(part, "thoughtSignature")
    # A client that streamed arguments keeps them as they came.
    if raw.get("partialArgs") and not raw.get("args"):
        return _joined_call(raw, signature, default_id)
    return ToolCall(
        maybe_string(raw, "id") or default_id,
        string_in(raw, "name", path),
        an_object(raw.get("args") or {}, f"{path}.args"),
        signature=signature,
    )


def _joined_call(raw: JsonObject, signature: str | None, default_id: str) -> ToolCall:
    partial = PartialArguments(raw, signature)
    try:
        partial.add(raw)
    except BadUpstreamStream as error:
        text = str(error).replace("The provider's argument path", "The argument path")
        raise MalformedBody(text) from error
    return partial.call(default_id)


def decode_part(part: JsonObject, path: str) -> Block:
    """Decode any part but calls and their results."""
    signature = maybe_string(part, "thoughtSignature")
    if "text" in part:
        text = string_in(part, "text", path)
        if part.get("thought") is True:
            return Thinking(text, signature, GOOGLE_GENERATE)
        return Text(text, signature=signature)
    if "inlineData" in part:
        blob = camel_object(part["inlineData"], f"{path}.inlineData")
        media_type = maybe_string(blob, "mimeType")
        return Media(
            kind_of_type(media_type),
            data=a_string(blob.get("data"), f"{path}.inlineData.data"),
            media_type=media_type,
            title=maybe_string(blob, "displayName"),
            signature=signature,
            extras=without(part, frozenset({"inlineData", "thoughtSignature"})),
        )
    if "fileData" in part:
        file = camel_object(part["fileData"], f"{path}.fileData")
        return _file(file, part, path)
    kinds: list[str] = [key for key in _FOREIGN_PARTS if key in part] or list(part)
    return Foreign(GOOGLE_GENERATE, kinds[0] if kinds else "empty part", part)


def _file(file: JsonObject, part: JsonObject, path: str) -> Media:
    uri = a_string(file.get("fileUri"), f"{path}.fileData.fileUri")
    media_type = maybe_string(file, "mimeType")
    media = Media(kind_of_type(media_type), media_type=media_type)
    # Uploaded files and storage buckets are only readable for Google; other addresses are the
    # web's.
    if (
        uri.startswith("gs://")
        or "generativelanguage.googleapis.com" in uri
        or not uri.startswith("http")
    ):
        media.file_id = uri
    else:
        media.url = uri
    media.extras = without(part, frozenset({"fileData", "thoughtSignature"}))
    return media


def decode_tools(body: Mapping[str, Any]) -> list[Tool]:
    """Decode function declarations. All other tools are Google's own."""
    raw_tools = unwrapped(dict(body)).get("tools") or []
    tools: list[Tool] = []
    for index, raw in enumerate(
        objects([raw_tools] if isinstance(raw_tools, dict) else raw_tools, "tools")
    ):
        entry = set_fields(raw)
        declarations = objects(
            entry.get("functionDeclarations") or [], f"tools[{index}].functionDeclarations"
        )
        for n, declaration in enumerate(declarations):
            tools.append(
                _declaration(set_fields(declaration), f"tools[{index}].functionDeclarations[{n}]")
            )
        for key in entry:
            if key != "functionDeclarations":
                tools.append(Tool(key, vendor=GOOGLE_GENERATE, raw={key: entry[key]}))
    return tools


def _declaration(raw: JsonObject, path: str) -> Tool:
    schema = maybe_object(raw, "parametersJsonSchema")
    own = maybe_object(raw, "parameters")
    if schema is None and own is not None:
        schema = from_google(own)
    return Tool(
        a_string(raw.get("name"), f"{path}.name"),
        maybe_string(raw, "description"),
        schema,
        extras=without(raw, _DECLARATION),
    )


def _read_tool_config(request: Request, config: JsonObject | None) -> None:
    if config is None:
        return
    config = camel(config)
    calling = camel(maybe_object(config, "functionCallingConfig") or {})
    mode = str(calling.get("mode") or "").upper()
    names = strings(calling.get("allowedFunctionNames"), "allowedFunctionNames")
    if mode in ("AUTO", "VALIDATED"):
        request.tool_choice = ToolChoice("auto", names)
    elif mode == "NONE":
        request.tool_choice = ToolChoice("none")
    elif mode == "ANY":
        request.tool_choice = ToolChoice("tool", names) if names else ToolChoice("any")
    if rest := without(config, frozenset({"functionCallingConfig"})):
        request.extras["toolConfig"] = rest


def _read_reasoning(request: Request, config: JsonObject) -> None:
    thinking = maybe_object(config, "thinkingConfig")
    if thinking is None:
        return
    thinking = camel(thinking)
    budget = maybe_int(thinking, "thinkingBudget")
    level = maybe_string(thinking, "thinkingLevel")
    include = maybe_bool(thinking, "includeThoughts")
    effort = level.lower() if level and level != "THINKING_LEVEL_UNSPECIFIED" else None
    if budget == 0:
        request.reasoning = Reasoning(False, effort, 0, include=include, raw=thinking)
    else:
        positive = None if budget is None or budget < 0 else budget
        request.reasoning = Reasoning(
            None, effort, positive, adaptive=budget == -1, include=include, raw=thinking
        )


def _read_output(request: Request, config: JsonObject) -> None:
    media_type = maybe_string(config, "responseMimeType")
    schema = maybe_object(config, "responseJsonSchema")
    own = maybe_object(config, "responseSchema")
    if schema is None and own is not None:
        schema = from_google(own)
    if schema is not None:
        request.output = OutputFormat("schema", schema, media_type=media_type)
    elif media_type is not None:
        kind = "json" if media_type == "application/json" else "text"
        request.output = OutputFormat(kind, media_type=media_type)  # type: ignore[arg-type]
