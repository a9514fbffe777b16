"""Checks a JSON body against an official SDK's parameter types, extra keys forbidden, without the
SDK's leniency.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from functools import cache
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints

import typing_extensions
from anthropic.types.message_create_params import MessageCreateParamsBase
from google.genai import types as genai
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import BaseModel, ValidationError

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)

# Servers take these although the newest SDK no longer lists them (recorded); `stream` is in the
# SDKs' sub-types.
_ALSO = {
    ANTHROPIC_MESSAGES: {"temperature", "top_p", "top_k", "stream"},
    OPENAI_CHAT: {"stream"},
    OPENAI_RESPONSES: {"stream"},
}
_ROOTS = {
    ANTHROPIC_MESSAGES: MessageCreateParamsBase,
    OPENAI_CHAT: CompletionCreateParamsBase,
    OPENAI_RESPONSES: ResponseCreateParamsBase,
}
_SEQUENCES = (list, collections.abc.Iterable, collections.abc.Sequence)
_GOOGLE = {
    "contents": list[genai.Content],
    "systemInstruction": genai.Content,
    "tools": list[genai.Tool],
    "toolConfig": genai.ToolConfig,
    "generationConfig": genai.GenerationConfig,
}


def problems(wire_format: WireFormatName, body: dict[str, Any]) -> list[str]:
    """Where the body does not fit the SDK's types; empty when it does."""
    if wire_format == GOOGLE_GENERATE:
        return _google_problems(body)
    trimmed = {key: value for key, value in body.items() if key not in _ALSO[wire_format]}
    return _check(trimmed, _ROOTS[wire_format], "")


def _google_problems(body: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in body.items():
        if key not in _GOOGLE:
            found.append(f"{key}: unknown")
            continue
        found += _check(value, _GOOGLE[key], key)
    return found


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _check(value: Any, kind: Any, path: str) -> list[str]:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return []
    if origin in (Required, typing_extensions.Required, typing.NotRequired, typing.Annotated):
        return _check(value, get_args(kind)[0], path)
    if origin in (Union, types.UnionType):
        results = [_check(value, option, path) for option in get_args(kind)]
        return min(results, key=_badness)
    if origin is Literal:
        return (
            []
            if value in get_args(kind)
            else [f"{path}: {value!r} is none of {get_args(kind)}"[:200]]
        )
    if typing_extensions.is_typeddict(kind):
        return _check_dict(value, kind, path)
    if origin in _SEQUENCES or getattr(origin, "__name__", "") == "SequenceNotStr":
        if not isinstance(value, list):
            return [f"{path}: no array"]
        return [
            p
            for n, item in enumerate(value)
            for p in _check(item, get_args(kind)[0], f"{path}[{n}]")
        ]
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            return [f"{path}: no object"]
        return [
            p
            for key, item in value.items()
            for p in _check(item, get_args(kind)[1], f"{path}.{key}")
        ]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not kind.__module__.startswith("google."):
            return [f"{path}: no {kind.__name__}"]  # an answer's type; they allow any extra key
        try:
            kind.model_validate(value)
        except ValidationError as error:
            return [f"{path}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return []
    return _check_plain(value, kind, path)


def _badness(result: list[str]) -> tuple[int, int]:
    # A wrong `type` or `role` means that the option was not meant at all.
    other = any(
        ".type:" in problem or ".role:" in problem or ": no " in problem for problem in result
    )
    return (len(result) + 1000 * other, len(result)) if result else (0, 0)


def _required(hint: Any) -> bool:
    # The SDKs' annotations are strings, so that __required_keys__ does not know them.
    return get_origin(hint) in (Required, typing_extensions.Required)


def _check_dict(value: Any, kind: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    hints = _hints(kind)
    config = getattr(kind, "__pydantic_config__", {})
    found = [
        f"{path}.{key}: missing"
        for key, hint in hints.items()
        if _required(hint) and key not in value
    ]
    for key, item in value.items():
        if key in hints:
            found += _check(item, hints[key], f"{path}.{key}")
        elif config.get("extra") != "allow":
            found.append(f"{path}.{key}: unknown")
    return found


def _check_plain(value: Any, kind: Any, path: str) -> list[str]:
    if kind in (None, type(None)):
        return [] if value is None else [f"{path}: not null"]
    if isinstance(kind, typing_extensions.TypeAliasType):
        return _check(value, kind.__value__, path)
    kind = get_origin(kind) or kind
    if kind is float:
        return (
            []
            if isinstance(value, int | float) and not isinstance(value, bool)
            else [f"{path}: no number"]
        )
    if kind is int:
        return (
            []
            if isinstance(value, int) and not isinstance(value, bool)
            else [f"{path}: no whole number"]
        )
    return [] if isinstance(value, kind) else [f"{path}: no {kind.__name__}"]
