"""OpenAI Responses request → `Request`.

Source: OpenAI's OpenAPI file, `CreateResponse` and `InputItem`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from providers.base.errors import MalformedBody
from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.ir import (
    Block,
    Citation,
    Foreign,
    JsonObject,
    Media,
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
    count,
    id_in,
    maybe_bool,
    maybe_int,
    maybe_number,
    maybe_object,
    maybe_string,
    objects,
    plain_text,
    read_each,
    string_in,
    strings,
    text_in,
    without,
)
from providers.wire.rules.media import audio_type, from_url
from providers.wire.rules.replay import unseal
from providers.wire.tools.client_run import named_apart, vendor_tool

_KNOWN: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "stream",
        "tools",
    }
    | {
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "user",
        "safety_identifier",
        "metadata",
        "store",
    }
    | {
        "service_tier",
        "prompt_cache_key",
        "include",
        "stream_options",
        "truncation",
        "frequency_penalty",
    }
    | {"presence_penalty"}
)
_INNER: Final = (Text, Media, Foreign)
_ROLES: Final = ("user", "assistant", "system", "developer")


def decode_request(body: JsonObject, *, model: str | None, stream: bool | None) -> Request:
    """Decode a request body.

    Raises `MalformedBody` if it does not follow the API reference.
    """
    include = strings(body.get("include"), "include")
    request = Request(
        OPENAI_RESPONSES,
        model=model or maybe_string(body, "model"),
        tools=decode_tools(body),
        parallel_tools=maybe_bool(body, "parallel_tool_calls"),
        sampling=Sampling(
            max_tokens=maybe_int(body, "max_output_tokens"),
            temperature=maybe_number(body, "temperature"),
            top_p=maybe_number(body, "top_p"),
            frequency_penalty=maybe_number(body, "frequency_penalty"),
            presence_penalty=maybe_number(body, "presence_penalty"),
            logprobs=True
            if "message.output_text.logprobs" in include or body.get("top_logprobs")
            else None,
            top_logprobs=maybe_int(body, "top_logprobs") or None,
        ),
        stream=bool(maybe_bool(body, "stream")) if stream is None else stream,
        include_usage=True,
        user=maybe_string(body, "user") or maybe_string(body, "safety_identifier"),
        metadata=maybe_object(body, "metadata"),
        service_tier=maybe_string(body, "service_tier"),
        cache_key=maybe_string(body, "prompt_cache_key"),
        store=maybe_bool(body, "store"),
        extras=without(body, _KNOWN) or {},
    )
    if include:
        request.extras["include"] = include
    instructions = body.get("instructions")
    if isinstance(instructions, str):
        request.system.append(Text(instructions))
    _read_input(request, body.get("input"))
    _read_choice(request, body.get("tool_choice"))
    _read_reasoning(request, maybe_object(body, "reasoning"))
    _read_text(request, maybe_object(body, "text"))
    return request


def _read_input(request: Request, value: Any) -> None:
    if isinstance(value, str):
        request.turns.append(Turn("user", [Text(value)]))
        return
    if value is None:
        return
    read_each(objects(value, "input"), "input", partial(_item, request))


def _item(request: Request, item: JsonObject) -> None:
    kind = item.get("type")
    if kind == "function_call" or kind == "custom_tool_call":
        _add(request, "assistant", decode_call(item, ""))
    elif kind == "function_call_output" or kind == "custom_tool_call_output":
        _add(request, "user", _output(item, ""))
    elif kind is None and len(item) == 2 and _plain_message(request, item):
        return
    elif kind == "message" or (kind is None and "role" in item):
        _message(request, item, "")
    elif kind == "reasoning":
        _add(request, "assistant", decode_reasoning(item, ""))
    elif kind == "additional_tools":
        request.tools.extend(decode_tools(item))
    else:
        _add(request, "assistant", Foreign(OPENAI_RESPONSES, a_string(kind, ".type"), item))


def _add(request: Request, role: Any, block: Block) -> None:
    last = request.turns[-1] if request.turns else None
    if last is None or last.role != role:
        request.turns.append(Turn(role, [block]))
    elif role == "assistant" or (last.blocks and type(last.blocks[-1]) is ToolResult):
        last.blocks.append(block)
    else:
        request.turns.append(Turn(role, [block]))


def _plain_message(request: Request, item: JsonObject) -> bool:
    """Read a user's message that is one text, as most of them are; False for any other."""
    content = item.get("content")
    if item.get("role") != "user" or type(content) is not str:
        return False
    request.turns.append(Turn("user", [Text(content)]))
    return True


def _message(request: Request, item: JsonObject, path: str) -> None:
    role = item.get("role")
    if role not in _ROLES:
        raise MalformedBody(
            f"{path}.role must be user, assistant, system or developer, not {str(role)[:40]!r}."
        )
    content = item.get("content")
    if isinstance(content, str):
        blocks: list[Block] = [Text(content)]
    else:
        path = f"{path}.content"
        wanted = "output_text" if role == "assistant" else "input_text"
        blocks = []
        for n, part in enumerate(objects(content or [], path)):
            text = plain_text(part, wanted)
            blocks.append(decode_part(part, f"{path}[{n}]") if text is None else Text(text))
    if role in ("system", "developer"):
        texts = [block for block in blocks if isinstance(block, Text)]
        if request.turns:
            request.turns.append(Turn("system", list(texts)))
        else:
            request.system.extend(texts)
    elif role == "assistant" and request.turns and request.turns[-1].role == "assistant":
        request.turns[-1].blocks.extend(blocks)
    else:
        request.turns.append(Turn(role, blocks))


def decode_part(part: JsonObject, path: str) -> Block:
    """Decode a content part of a message, of a tool's output or of a response."""
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text", "summary_text"):
        citations = decode_annotations(part.get("annotations"))
        block = Text(string_in(part, "text", path), citations=citations or ())
        if isinstance(tokens := part.get("logprobs"), list):
            block.logprobs = tokens
        return block
    if kind == "refusal":
        return Text(a_string(part.get("refusal"), f"{path}.refusal"), refusal=True)
    if kind == "input_image":
        url = part.get("image_url")
        if url is None:
            media = Media("image", file_id=a_string(part.get("file_id"), f"{path}.file_id"))
        else:
            media = from_url(a_string(url, f"{path}.image_url"), "image")
        media.detail = maybe_string(part, "detail")
        return media
    if kind == "input_file":
        return _file(part, path)
    if kind == "input_audio":
        audio = an_object(part.get("input_audio"), f"{path}.input_audio")
        media_type = audio_type(str(audio.get("format") or "wav"))
        return Media(
            "audio",
            data=a_string(audio.get("data"), f"{path}.input_audio.data"),
            media_type=media_type,
        )
    return Foreign(OPENAI_RESPONSES, a_string(kind, f"{path}.type"), part)


def _file(part: JsonObject, path: str) -> Media:
    title = maybe_string(part, "filename")
    if data := maybe_string(part, "file_data"):
        media = (
            from_url(data, "document")
            if data[:5].lower() == "data:"
            else Media("document", data=data)
        )
    elif url := maybe_string(part, "file_url"):
        media = Media("document", url=url)
    else:
        media = Media("document", file_id=a_string(part.get("file_id"), f"{path}.file_id"))
    media.title = title
    return media


def decode_annotations(raw: Any) -> list[Citation]:
    """Decode `url_citation` annotations; other kinds are kept raw."""
    if not isinstance(raw, list):
        return []
    return [decode_annotation(item) for item in raw if isinstance(item, dict)]


def decode_annotation(item: JsonObject) -> Citation:
    """Decode one annotation of an output text."""
    url, title = item.get("url"), item.get("title") or item.get("filename")
    start, end = count(item.get("start_index")), count(item.get("end_index"))
    return Citation(
        url if isinstance(url, str) else None, title, None, start, end, item, OPENAI_RESPONSES
    )


def decode_call(item: JsonObject, path: str) -> ToolCall:
    """Decode a `function_call` or `custom_tool_call` item."""
    custom = item.get("type") == "custom_tool_call"
    written = "input" if custom else "arguments"
    call_id, name, text = item.get("call_id"), item.get("name"), item.get(written)
    # Nearly every call has these three; the functions explain what is wrong with another one.
    if type(call_id) is not str or type(name) is not str or type(text) is not str:
        call_id = id_in(item, "call_id", path)
        name = string_in(item, "name", path)
        text = text_in(item, written, path)
    return ToolCall(
        call_id,
        name,
        text,
        namespace=maybe_string(item, "namespace"),
        custom=custom,
        item_id=maybe_string(item, "id"),
    )


def _output(item: JsonObject, path: str) -> ToolResult:
    output = item.get("output")
    custom = item.get("type") == "custom_tool_call_output"
    call_id = item.get("call_id")
    if type(call_id) is not str:
        call_id = id_in(item, "call_id", path)
    if type(output) is str:
        return ToolResult(call_id, [Text(output)], custom=custom)
    content: list[Text | Media | Foreign] = []
    if output is not None:
        for index, part in enumerate(objects(output, f"{path}.output")):
            block = decode_part(part, f"{path}.output[{index}]")
            if isinstance(block, _INNER):
                content.append(block)
    return ToolResult(call_id, content, custom=custom)


def decode_reasoning(item: JsonObject, path: str) -> Thinking:
    """Decode a `reasoning` item.

    Summary and content become text, the encrypted content the signature.
    """
    parts = [
        *objects(item.get("summary") or [], f"{path}.summary"),
        *objects(item.get("content") or [], f"{path}.content"),
    ]
    text = "\n\n".join(
        part["text"] for part in parts if isinstance(part.get("text"), str) and part["text"]
    )
    encrypted = item.get("encrypted_content")
    if isinstance(encrypted, str) and (sealed := unseal(encrypted)):
        # Another vendor's reasoning, sealed in an earlier response of ours.
        signature = sealed.signature or None
        return Thinking(text, signature, sealed.vendor, sealed.redacted, sealed.block_id)
    own = encrypted if isinstance(encrypted, str) and encrypted else None
    return Thinking(text, own, OPENAI_RESPONSES, id=maybe_string(item, "id"), raw=item)


def decode_tools(body: Mapping[str, Any]) -> list[Tool]:
    """Decode functions, custom tools and the functions of namespaces.

    All other types are the vendor's own.
    """
    tools: list[Tool] = []
    for index, raw in enumerate(objects(body.get("tools") or [], "tools")):
        path = f"tools[{index}]"
        kind = raw.get("type")
        if kind in ("function", "custom"):
            tools.append(_tool(raw, path, None))
        elif kind == "namespace":
            namespace = a_string(raw.get("name"), f"{path}.name")
            inner = objects(raw.get("tools") or [], f"{path}.tools")
            tools.extend(
                _tool(tool, f"{path}.tools[{n}]", namespace) for n, tool in enumerate(inner)
            )
        else:
            tools.append(vendor_tool(OPENAI_RESPONSES, a_string(kind, f"{path}.type"), raw))
    named_apart(tools)
    return tools


_TOOL: Final = frozenset({"type", "name", "description", "parameters", "strict"})


def _tool(raw: JsonObject, path: str, namespace: str | None) -> Tool:
    return Tool(
        a_string(raw.get("name"), f"{path}.name"),
        maybe_string(raw, "description"),
        maybe_object(raw, "parameters"),
        maybe_bool(raw, "strict"),
        namespace=namespace,
        custom=raw.get("type") == "custom",
        extras=without(raw, _TOOL),
    )


def _read_choice(request: Request, choice: Any) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise MalformedBody(
                f"tool_choice must be auto, none, required or an object, not {choice[:40]!r}."
            )
        request.tool_choice = ToolChoice("any" if choice == "required" else choice)  # type: ignore[arg-type]
        return
    choice = an_object(choice, "tool_choice")
    kind = choice.get("type")
    if kind == "allowed_tools":
        tools = objects(choice.get("tools") or [], "tool_choice.tools")
        names = [str(tool.get("name") or tool.get("type")) for tool in tools]
        request.tool_choice = ToolChoice(
            "tool" if choice.get("mode") == "required" else "auto", names
        )
    else:
        request.tool_choice = ToolChoice("tool", [str(choice.get("name") or kind)])


def _read_reasoning(request: Request, reasoning: JsonObject | None) -> None:
    if reasoning is None:
        return
    effort = maybe_string(reasoning, "effort")
    summary = maybe_string(reasoning, "summary") or maybe_string(reasoning, "generate_summary")
    enabled = False if effort == "none" else None
    request.reasoning = Reasoning(
        enabled, effort, summary=summary, include=True if summary else None, raw=reasoning
    )


def _read_text(request: Request, text: JsonObject | None) -> None:
    if text is None:
        return
    request.verbosity = maybe_string(text, "verbosity")
    wanted = maybe_object(text, "format")
    if wanted is None:
        return
    kind = wanted.get("type")
    if kind == "json_schema":
        request.output = OutputFormat(
            "schema",
            maybe_object(wanted, "schema"),
            maybe_string(wanted, "name"),
            maybe_string(wanted, "description"),
            maybe_bool(wanted, "strict"),
        )
    else:
        request.output = OutputFormat("json" if kind == "json_object" else "text")
