"""A recorded request as a call of the vendor's Python SDK. Pure.

Parameters' names are those of the SDKs (anthropic 2, openai 3, google-genai 3); what a body has
beyond them goes into `extra_body`, which the SDKs send as it is.
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

SDK_KINDS: Final[dict[str, str]] = {
    "anthropic": "Python, anthropic",
    "openai": "Python, openai",
    "google": "Python, google-genai",
}
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
    """This SDK cannot send the request; the message says why."""


def sdk_code(kind: str, side: FlowSide, plain: bytes, key_variable: str) -> str:
    """A program that makes the same call.

    Raises:
        SdkError: another vendor's request, a side call, or a body that is no JSON object.
    """
    path = _path(side.url)
    fmt = client_format(path, lambda name: header(side.headers, name) or None)
    if fmt is None or endpoint_suffix(path, fmt):
        raise SdkError(
            "Only a call of a model can be written for an SDK; this request is something else."
        )
    if _KIND_OF[fmt] != kind:
        raise SdkError(f"This request is {WIRE_FORMATS[fmt]}; the {kind} SDK does not send that.")
    body = _parsed(plain)
    client = _client(kind, fmt, side, key_variable)
    call = _google_call(path, body) if fmt == GOOGLE_GENERATE else _call(fmt, side, body)
    return "\n".join([*client, "", *call]) + "\n"


def _parsed(plain: bytes) -> dict[str, Any]:
    try:
        found = json.loads(plain, parse_constant=_refuse)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SdkError("The body of this request is no JSON object.")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity are no JSON and no Python


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _client(kind: str, fmt: WireFormatName, side: FlowSide, key_variable: str) -> list[str]:
    sentinel = find_sentinel(lambda name: header(side.headers, name) or None)
    literal = header(side.headers, sentinel.header) if sentinel else ""
    key = repr(literal.rpartition(" ")[2]) if literal else f"os.environ[{key_variable!r}]"
    base = _base_url(kind, fmt, side.url)
    names = [] if literal else ["import os", ""]
    if kind == "google":
        options = f", http_options={{'base_url': {base!r}}}" if base else ""
        return [
            *names,
            "from google import genai",
            "",
            f"client = genai.Client(api_key={key}{options})",
        ]
    options = f", base_url={base!r}" if base else ""
    name = {"anthropic": "Anthropic", "openai": "OpenAI"}[kind]
    return [*names, f"import {kind}", "", f"client = {kind}.{name}(api_key={key}{options})"]


def _base_url(kind: str, fmt: WireFormatName, url: str) -> str:
    """The base URL, empty when it is the SDK's own."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.hostname in (None, _OWN_HOST[kind]):
        return ""
    path = "" if fmt == GOOGLE_GENERATE else parts.path.rstrip("/").removesuffix(_ENDPOINT[fmt])
    return f"{parts.scheme}://{parts.netloc}{path}"


def _call(fmt: WireFormatName, side: FlowSide, body: dict[str, Any]) -> list[str]:
    names = frozenset(_PARAMS[fmt].split())
    known = {name: value for name, value in body.items() if name in names}
    extra = {name: value for name, value in body.items() if name not in names}
    lines = [f"answer = {_METHOD[fmt]}("]
    lines += [f"    {name}={_literal(value)}," for name, value in known.items()]
    if extra:
        lines.append(f"    extra_body={_literal(extra)},")
    if beta := header(side.headers, "anthropic-beta"):
        lines.append(f"    extra_headers={_literal({'anthropic-beta': beta})},")
    lines.append(")")
    return [
        *lines,
        *(
            ["for event in answer:", "    print(event)"]
            if body.get("stream") is True
            else ["print(answer)"]
        ),
    ]


def _google_call(path: str, body: dict[str, Any]) -> list[str]:
    config = (
        dict(body.get("generationConfig") or {})
        if isinstance(body.get("generationConfig"), dict)
        else {}
    )
    config |= {ours: body[theirs] for theirs, ours in _GOOGLE_CONFIG.items() if theirs in body}
    stream = is_stream(GOOGLE_GENERATE, path, body)
    lines = [
        f"answer = client.models.{'generate_content_stream' if stream else 'generate_content'}(",
        f"    model={model_of(path, body) or ''!r},",
        f"    contents={_literal(body.get('contents', []))},",
    ]
    if config:
        lines.append(f"    config={_literal(config)},")
    return [
        *lines,
        ")",
        *(["for chunk in answer:", "    print(chunk)"] if stream else ["print(answer)"]),
    ]


def _literal(value: Any) -> str:
    """A Python literal over several lines where it is long; whatever is not printable is
    escaped.
    """
    try:
        return pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n        ")
    except RecursionError:
        raise SdkError("The body of this request is nested too deeply.") from None
