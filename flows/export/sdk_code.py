"""A recorded request as a call of the vendor's Python SDK. Pure.

Parameters' names are those of the SDKs (anthropic 2, openai 3, google-genai 3). Further fields of a
body go into `extra_body`, which the SDKs send unchanged. Example:

    answer = client.messages.create(
        model='claude-haiku-4-5',
        messages=[{'role': 'user', 'content': 'Hi'}],
        extra_body={'future': 1},
    )
"""

from __future__ import annotations

import json
import pprint
from typing import Any, Final
from urllib.parse import urlsplit

from flows.sides import FlowSide, header
from providers.auth.sentinel import find_sentinel
from providers.base.errors import CcproxyError
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WIRE_FORMATS,
    WireFormatName,
)
from providers.wire.detect import client_format, endpoint_suffix, is_stream, model_of

_KIND_OF: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: "anthropic",
    OPENAI_CHAT: "openai",
    OPENAI_RESPONSES: "openai",
    GOOGLE_GENERATE: "google",
}
_PARAMS: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: (
        "model messages max_tokens system tools tool_choice temperature top_p top_k stop_sequences "
        "metadata stream thinking service_tier"
    ),
    OPENAI_CHAT: (
        "model messages max_tokens max_completion_tokens temperature top_p n stream stream_options"
        " stop seed tools tool_choice parallel_tool_calls response_format presence_penalty"
        " frequency_penalty logit_bias logprobs top_logprobs user store metadata modalities"
        " reasoning_effort service_tier"
    ),
    OPENAI_RESPONSES: (
        "model input instructions tools tool_choice parallel_tool_calls stream temperature top_p"
        " max_output_tokens previous_response_id reasoning store metadata include text truncation"
        " user service_tier prompt_cache_key"
    ),
}
_METHOD: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: "client.messages.create",
    OPENAI_CHAT: "client.chat.completions.create",
    OPENAI_RESPONSES: "client.responses.create",
}
_GOOGLE_CONFIG: Final = {
    "systemInstruction": "system_instruction",
    "safetySettings": "safety_settings",
    "toolConfig": "tool_config",
    "tools": "tools",
    "cachedContent": "cached_content",
}
_CLIENT_CLASS: Final = {"anthropic": "Anthropic", "openai": "OpenAI"}
_OWN_HOST: Final = {
    "anthropic": "api.anthropic.com",
    "openai": "api.openai.com",
    "google": "generativelanguage.googleapis.com",
}
_ENDPOINT: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: "/v1/messages",
    OPENAI_CHAT: "/chat/completions",
    OPENAI_RESPONSES: "/responses",
}


class SdkError(CcproxyError):
    """A request that this SDK cannot send; the message gives the reason."""


def sdk_code(kind: str, side: FlowSide, plain: bytes, key_variable: str) -> str:
    """Write a program that sends the request with the vendor's SDK.

    Raises:
        SdkError: another vendor's request, an endpoint beside the main one, or a body that is not a
            JSON object.
    """
    path = _path(side.url)
    fmt = client_format(path, lambda name: header(side.headers, name) or None)
    # Of count_tokens and the like the SDKs have methods of their own.
    if fmt is None or endpoint_suffix(path, fmt):
        raise SdkError(
            "Only a call of a model can be written for an SDK; this request is something else."
        )
    if _KIND_OF[fmt] != kind:
        raise SdkError(f"This request is {WIRE_FORMATS[fmt]}; the {kind} SDK does not send that.")
    body = _parsed(plain)
    client = _client(kind, fmt, side, key_variable)
    is_google = fmt == GOOGLE_GENERATE
    call = _google_call(path, body) if is_google else _call(fmt, side, body)
    return "\n".join([*client, "", *call]) + "\n"


def _parsed(plain: bytes) -> dict[str, Any]:
    try:
        body = json.loads(plain, parse_constant=_refuse)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise SdkError("The body of this request is not a JSON object.")
    return body


def _refuse(constant: str) -> Any:
    # NaN and Infinity are neither JSON nor Python.
    raise ValueError(constant)


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _client(kind: str, fmt: WireFormatName, side: FlowSide, key_variable: str) -> list[str]:
    key = f"os.environ[{key_variable!r}]"
    lines = ["import os", ""]
    # A sentinel key is public, so the program can name it.
    sentinel = find_sentinel(lambda name: header(side.headers, name) or None)
    if sentinel:
        literal = header(side.headers, sentinel.header).rpartition(" ")[2]
        key = repr(literal)
        lines = []
    base = _base_url(kind, fmt, side.url)
    if kind == "google":
        options = f", http_options={{'base_url': {base!r}}}" if base else ""
        lines += ["from google import genai", ""]
        lines.append(f"client = genai.Client(api_key={key}{options})")
        return lines
    options = f", base_url={base!r}" if base else ""
    lines += [f"import {kind}", ""]
    lines.append(f"client = {kind}.{_CLIENT_CLASS[kind]}(api_key={key}{options})")
    return lines


def _base_url(kind: str, fmt: WireFormatName, url: str) -> str:
    """Return the base URL, "" when it is the SDK's own.

    Example: "http://127.0.0.1:4000/v1/messages" for anthropic → "http://127.0.0.1:4000".
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.hostname in (None, _OWN_HOST[kind]):
        return ""
    path = ""
    # Google's path has the model in it, and its SDK builds all of it.
    if fmt != GOOGLE_GENERATE:
        path = parts.path.rstrip("/").removesuffix(_ENDPOINT[fmt])
    return f"{parts.scheme}://{parts.netloc}{path}"


def _call(fmt: WireFormatName, side: FlowSide, body: dict[str, Any]) -> list[str]:
    parameters = frozenset(_PARAMS[fmt].split())
    extra: dict[str, Any] = {}
    lines = [f"answer = {_METHOD[fmt]}("]
    for name, value in body.items():
        if name in parameters:
            lines.append(f"    {name}={_literal(value)},")
        else:
            extra[name] = value
    if extra:
        lines.append(f"    extra_body={_literal(extra)},")
    beta = header(side.headers, "anthropic-beta")
    if beta:
        headers = {"anthropic-beta": beta}
        lines.append(f"    extra_headers={_literal(headers)},")
    lines.append(")")
    if body.get("stream") is True:
        return [*lines, "for event in answer:", "    print(event)"]
    return [*lines, "print(answer)"]


def _google_call(path: str, body: dict[str, Any]) -> list[str]:
    generation = body.get("generationConfig")
    config = dict(generation) if isinstance(generation, dict) else {}
    for body_name, sdk_name in _GOOGLE_CONFIG.items():
        if body_name in body:
            config[sdk_name] = body[body_name]
    stream = is_stream(GOOGLE_GENERATE, path, body)
    method = "generate_content_stream" if stream else "generate_content"
    lines = [
        f"answer = client.models.{method}(",
        f"    model={model_of(path, body) or ''!r},",
        f"    contents={_literal(body.get('contents', []))},",
    ]
    if config:
        lines.append(f"    config={_literal(config)},")
    lines.append(")")
    if stream:
        return [*lines, "for chunk in answer:", "    print(chunk)"]
    return [*lines, "print(answer)"]


def _literal(value: Any) -> str:
    """Write a Python literal, over several lines if it is long.

    repr() escapes everything that is not printable.
    """
    try:
        text = pprint.pformat(value, width=100, sort_dicts=False)
    except RecursionError:
        raise SdkError("The body of this request is nested too deeply.") from None
    return text.replace("\n", "\n        ")
