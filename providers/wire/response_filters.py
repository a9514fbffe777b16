"""Filters between a provider's response and a client, as the client's request wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base.errors import TranslationError
from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_RESPONSES, WireFormatName
from providers.wire.core.base import AnswerContext
from providers.wire.core.formats import client_codec
from providers.wire.core.ir import Tool
from providers.wire.losses.unknown_answer_fields import AnswerWatch
from providers.wire.rules.answers import AnswerFilter
from providers.wire.rules.toolnames import by_wire_name
from providers.wire.tools.object_arguments import ObjectArguments
from providers.wire.tools.web_search import is_search


def watch_for(src: WireFormatName, dst: WireFormatName) -> AnswerWatch | None:
    """Return what lists the fields that no decoder reads; None where a body stays as it is."""
    return AnswerWatch(src) if src != dst and AnswerWatch.knows(src) else None


def _client_tools(dst: WireFormatName, client_body: Mapping[str, Any]) -> dict[str, Tool]:
    """Return the client's tools that have another name or kind at the provider."""
    if not client_body.get("tools"):
        return {}
    try:
        return by_wire_name(client_codec(dst).decode_tools(client_body))
    except TranslationError:
        return {}


def _wants_searches(dst: WireFormatName, client_body: Mapping[str, Any]) -> bool:
    """Return whether the client declared a web search, and reads reports of it."""
    if dst not in (ANTHROPIC_MESSAGES, OPENAI_RESPONSES) or not client_body.get("tools"):
        return False
    try:
        return any(is_search(tool) for tool in client_codec(dst).decode_tools(client_body))
    except TranslationError:
        return False


def _wants_thinking(dst: WireFormatName, client_body: Mapping[str, Any]) -> bool:
    """Return whether the client expects reasoning among the blocks of a response.

    A simple Anthropic client reads `content[0].text`. Its own vendor sends thinking only if the
    request enabled it. With tools the reasoning has to return, so it is sent in any case.
    """
    if dst != ANTHROPIC_MESSAGES or "messages" not in client_body:
        return True
    thinking = client_body.get("thinking")
    enabled = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    return enabled or bool(client_body.get("tools"))


def arguments_for(src: WireFormatName, dst: WireFormatName) -> ObjectArguments | None:
    """Return the filter for clients that read arguments as an object.

    OpenAI's read text, which OpenAI does not promise to be JSON. Google's get each call complete.
    """
    return ObjectArguments() if src != dst == ANTHROPIC_MESSAGES else None


def filter_for(src: WireFormatName, dst: WireFormatName, context: AnswerContext) -> AnswerFilter:
    """Return the filter for the response to one request of the client's."""
    if src == dst:
        return AnswerFilter(src, dst, {})
    asked = context.client_body
    tools = _client_tools(dst, asked)
    with_thinking = _wants_thinking(dst, asked)
    return AnswerFilter(
        src,
        dst,
        tools,
        with_thinking=with_thinking,
        host=context.host,
        with_searches=_wants_searches(dst, asked),
    )
