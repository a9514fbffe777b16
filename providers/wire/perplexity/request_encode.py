"""Neutral request → Perplexity's ask: one text and the parameters of its search.

Perplexity has no roles and no parameters of sampling. A new thread gets all texts, a continued one
the last message of the user alone.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from providers.base.errors import UnsupportedByTarget
from providers.wire.core.base import TargetInfo
from providers.wire.core.ir import (
    Block,
    JsonObject,
    Losses,
    Media,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.wire.perplexity.ask_conf import API_VERSION, BLOCK_USE_CASES, AskConf
from providers.wire.perplexity.ask_extras import FIELD, AskExtras

_TYPING_MS: Final = 18361
_FOLLOW_UP_TYPING_MS: Final = 8758
_FEATURES: Final = ("browser_agent_permission_banner_v1.1",)
_NO_SAMPLING: Final = "Perplexity has no such parameter."
_NO_TOOLS: Final = "Perplexity calls no tools of the client."


def encode_request(request: Request, target: TargetInfo) -> JsonObject:
    """Return the body of an ask. Raises `UnsupportedByTarget` and `MalformedBody`."""
    conf = target.options if isinstance(target.options, AskConf) else AskConf()
    extras = AskExtras(request.extras.get(FIELD))
    model = conf.model(target.model or request.model or "")
    is_follow_up = extras.text("last_backend_uuid") is not None
    text = _last_text(request) if is_follow_up else _all_text(request)
    if not text:
        raise UnsupportedByTarget("Perplexity needs a text to ask; the request has none.")
    _note_losses(request)
    params = {
        **_search(conf, extras),
        "mode": model.mode,
        "model_preference": model.identifier,
        **_session(text, extras, is_follow_up=is_follow_up),
        **_origin(extras, is_follow_up=is_follow_up),
    }
    return {"query_str": text, "params": params}


def _search(conf: AskConf, extras: AskExtras) -> JsonObject:
    """Return what is searched, and how: the request's own wishes, else the settings."""
    search = conf.search
    flags = (
        "is_incognito",
        "skip_search_enabled",
        "is_nav_suggestions_disabled",
        "always_search_override",
        "override_no_search",
    )
    position = extras.coordinates()
    return {
        "version": API_VERSION,
        "source": extras.text("source", "default"),
        "language": extras.text("language", search.language),
        "timezone": extras.text("timezone", search.timezone),
        "search_focus": extras.text("search_focus", search.search_focus),
        "sources": extras.texts("sources", search.sources),
        "search_recency_filter": extras.text("search_recency_filter", search.search_recency_filter),
        **{name: extras.flag(name, default=getattr(search, name)) for name in flags},
        "local_search_enabled": position is not None,
        "client_coordinates": position,
        "mentions": extras.items("mentions"),
        "attachments": extras.texts("attachments"),
    }


def _session(text: str, extras: AskExtras, *, is_follow_up: bool) -> JsonObject:
    """Return what the web page says of itself."""
    return {
        "frontend_uuid": str(uuid4()),
        "frontend_context_uuid": extras.context_uuid(),
        "use_schematized_api": True,
        "send_back_text_in_streaming_api": False,
        "prompt_source": "user",
        "dsl_query": text,
        "is_related_query": False,
        "is_sponsored": False,
        "time_from_first_type": _FOLLOW_UP_TYPING_MS if is_follow_up else _TYPING_MS,
        "should_ask_for_mcp_tool_confirmation": True,
        "browser_agent_allow_once_from_toggle": False,
        "force_enable_browser_agent": False,
        "supported_features": list(_FEATURES),
        "supported_block_use_cases": list(BLOCK_USE_CASES),
    }


def _origin(extras: AskExtras, *, is_follow_up: bool) -> JsonObject:
    """Return where the thread belongs: a space, an earlier entry, or nowhere."""
    if space := extras.text("space_uuid"):
        return {
            "query_source": "collection",
            "target_collection_uuid": space,
            "target_thread_access_level": 1,
            "is_incognito": False,
        }
    if not is_follow_up:
        return {"query_source": "home"}
    found: JsonObject = {
        "query_source": "followup",
        "followup_source": "link",
        "last_backend_uuid": extras.text("last_backend_uuid"),
    }
    if token := extras.text("read_write_token"):
        found["read_write_token"] = token
    return found


# -------------------------------------------------------------------------------------------------
# texts


def _all_text(request: Request) -> str:
    """Join all texts by blank lines, the system's in a tag and first.

    Example: system "Be brief", user "Hi", assistant "Hello", user "Why?" →
    "<system>\\nBe brief\\n</system>\\n\\nHi\\n\\nHello\\n\\nWhy?".
    """
    systems = [block.text for block in request.system]
    rest: list[str] = []
    for turn in request.turns:
        texts = _texts_of(turn, request.losses)
        if turn.role == "system":
            systems += texts
        else:
            rest += texts
    tagged = [f"<system>\n{text}\n</system>" for text in systems if text.strip()]
    return "\n\n".join([*tagged, *rest])


def _last_text(request: Request) -> str:
    """Return the text of the last message of the user; the thread has the others."""
    for turn in reversed(request.turns):
        if turn.role == "user" and (texts := _texts_of(turn, request.losses)):
            return "\n\n".join(texts)
    return ""


def _texts_of(turn: Turn, losses: Losses) -> list[str]:
    found: list[str] = []
    for block in turn.blocks:
        found += _texts_in(block, losses)
    return [text for text in found if text.strip()]


def _texts_in(block: Block, losses: Losses) -> list[str]:
    if isinstance(block, Text):
        return [block.text]
    if isinstance(block, ToolResult):
        inner: list[str] = []
        for part in block.content:
            inner += _texts_in(part, losses)
        return inner
    if isinstance(block, Media):
        if block.text is not None:
            return [block.text]
        losses.add(
            f"messages.{block.kind}",
            "Perplexity takes images alone, and those by the hook extract_pplx_files.",
        )
    elif isinstance(block, ToolCall):
        losses.add("messages.tool_calls", _NO_TOOLS)
    return []


def _note_losses(request: Request) -> None:
    """List the wishes that Perplexity knows nothing of."""
    losses = request.losses
    if request.tools:
        losses.add("tools", _NO_TOOLS)
    if request.tool_choice is not None:
        losses.add("tool_choice", _NO_TOOLS)
    for name in request.sampling.__slots__:
        if _is_set(getattr(request.sampling, name)):
            losses.add(name, _NO_SAMPLING)
    if request.output is not None and request.output.kind != "text":
        losses.add("response_format", "Perplexity answers with text alone.")
    if request.reasoning is not None:
        losses.add("reasoning", "At Perplexity the model decides how much it reasons.")


def _is_set(value: Any) -> bool:
    return value is not None and value != []
