"""Web search that runs at a vendor, declared and reported in the words of another one.

Sources: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool,
https://platform.openai.com/docs/guides/tools-web-search,
https://ai.google.dev/gemini-api/docs/google-search
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_RESPONSES,
    WireFormatName,
    format_label,
)
from providers.wire.core.ir import Foreign, JsonObject, Losses, Tool
from providers.wire.core.shape import drop_none

_SEARCH: Final = re.compile(
    r"web_search|web_search_preview.*|web_search_\d.*|web_search_options"
    r"|googleSearch|googleSearchRetrieval|openrouter:web_search"
)
OWN_RESULT: Final = "ccproxy1_"
"""Part of the ids of searches that ccproxy reports; their own vendor never sees them again."""
SEALED_SOURCE: Final = "ccproxy1:"
"""Stands where Anthropic has the encrypted content of a source."""
QUERIES: Final = "webSearchQueries"
"""Kind of the block for a search that Google reports in `groundingMetadata`."""


def is_search(tool: Tool) -> bool:
    """Check whether a tool is some vendor's web search."""
    return tool.raw is not None and _SEARCH.fullmatch(tool.name) is not None


def is_own_search(block_id: Any) -> bool:
    """Check for the id of a search that ccproxy reported: srvtoolu_ccproxy1_…, ws_ccproxy1_…."""
    return isinstance(block_id, str) and block_id.partition("_")[2].startswith(OWN_RESULT)


@dataclass(slots=True)
class _Wanted:
    """Limits of a search; None where the client names none."""

    allowed: list[str] | None = None
    blocked: list[str] | None = None
    location: JsonObject | None = None
    max_uses: int | None = None


def _wanted(tool: Tool) -> _Wanted:
    raw = tool.raw or {}
    filters = raw.get("filters") if isinstance(raw.get("filters"), dict) else raw
    inner = raw.get("googleSearch")
    blocked = inner.get("excludeDomains") if isinstance(inner, dict) else None
    return _Wanted(
        allowed=(filters or {}).get("allowed_domains"),
        blocked=(filters or {}).get("blocked_domains") or blocked,
        location=raw.get("user_location"),
        max_uses=raw.get("max_uses"),
    )


def mapped_search(
    tool: Tool, dst: WireFormatName, losses: Losses, *, beside_functions: bool
) -> Tool | None:
    """Return the target's own search for a client's; None if it has none, which is a loss."""
    path, label = f"tools.{tool.name}", format_label(dst)
    if dst == GOOGLE_GENERATE and beside_functions:
        losses.add(path, "Google takes its search only without functions beside it.")
        return None
    wanted = _wanted(tool)
    if dst == ANTHROPIC_MESSAGES:
        raw: JsonObject = {"type": "web_search_20250305", "name": "web_search"}
        raw |= _limits(wanted, losses, path, label)
    elif dst == OPENAI_RESPONSES:
        allowed = {"allowed_domains": wanted.allowed} if wanted.allowed else None
        raw = {"type": "web_search", "filters": allowed, "user_location": wanted.location}
        _lose(losses, path, label, blocked_domains=wanted.blocked, max_uses=wanted.max_uses)
    elif dst == GOOGLE_GENERATE:
        raw = {"googleSearch": {}}
        _lose(losses, path, label, allowed_domains=wanted.allowed, blocked_domains=wanted.blocked)
        _lose(losses, path, label, user_location=wanted.location, max_uses=wanted.max_uses)
    else:
        losses.add(path, f"It runs at the client's own vendor; {label} has no such tool.")
        return None
    losses.add(path, f"The search of {label} takes its place.")
    return Tool("web_search", vendor=dst, raw=drop_none(raw))


def _limits(wanted: _Wanted, losses: Losses, path: str, label: str) -> JsonObject:
    blocked = wanted.blocked
    if wanted.allowed and blocked:
        # Anthropic takes one of the two lists.
        _lose(losses, path, label, blocked_domains=blocked)
        blocked = None
    return {
        "allowed_domains": wanted.allowed,
        "blocked_domains": blocked,
        "user_location": wanted.location,
        "max_uses": wanted.max_uses,
    }


def _lose(losses: Losses, path: str, label: str, **fields: Any) -> None:
    for name, value in fields.items():
        if value:
            losses.add(f"{path}.{name}", f"The search of {label} knows no such limit.")


class _Source(NamedTuple):
    url: str
    title: str


@dataclass(slots=True)
class _Found:
    """One search: what was asked, and the sources."""

    queries: list[str] = field(default_factory=list)
    sources: list[_Source] = field(default_factory=list)


class SearchReports:
    """Converter of the searches in one response into blocks of the client's vendor."""

    def __init__(self, dst: WireFormatName) -> None:
        self._dst = dst
        self._asked: dict[str, list[str]] = {}  # Anthropic's call id → query

    def convert(self, block: Foreign) -> list[Foreign] | None:
        """Return the client's blocks for a search; None for any other block.

        Anthropic reports a search in two blocks; the first one becomes nothing yet.
        """
        raw = block.raw
        if block.kind == "server_tool_use" and raw.get("name") == "web_search":
            query = (raw.get("input") or {}).get("query")
            self._asked[str(raw.get("id"))] = [str(query)] if query else []
            return []
        if block.kind == "web_search_tool_result":
            queries = self._asked.pop(str(raw.get("tool_use_id")), [])
            return self._blocks(_Found(queries, _sources(raw.get("content"))))
        if block.kind == "web_search_call":
            return self._blocks(_of_action(raw.get("action")))
        if block.kind == QUERIES:
            return self._blocks(_of_grounding(raw))
        return None

    def _blocks(self, found: _Found) -> list[Foreign] | None:
        if self._dst == ANTHROPIC_MESSAGES:
            return _for_anthropic(found)
        return [_for_openai(found)] if self._dst == OPENAI_RESPONSES else None


def _sources(entries: Any, url_key: str = "url") -> list[_Source]:
    """Return the sources in a list of a provider's; what has no URL is left out.

    `[{"url": "https://a.example", "title": "A"}, {"title": "B"}]` → the source A
    """
    found: list[_Source] = []
    if not isinstance(entries, list):
        return found
    for entry in entries:
        url = entry.get(url_key) if isinstance(entry, dict) else None
        if url:
            found.append(_Source(str(url), str(entry.get("title") or "")))
    return found


def _of_action(action: Any) -> _Found:
    action = action if isinstance(action, dict) else {}
    queries = action.get("queries")
    if not queries:
        # One action has one query; opening a page has none, and is named by its address.
        queries = [action.get("query") or action.get("url")]
    return _Found(_queries(queries), _sources(action.get("sources")))


def _of_grounding(raw: JsonObject) -> _Found:
    """Return the search that Google reports as the grounding of a response.

    `{"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "https://a.example"}}]}` →
    the query q and one source. Chunks that are no pages, such as maps, are left out.
    """
    chunks = raw.get("groundingChunks")
    pages: list[Any] = []
    for chunk in chunks if isinstance(chunks, list) else []:
        if isinstance(chunk, dict):
            pages.append(chunk.get("web"))
    return _Found(_queries(raw.get(QUERIES)), _sources(pages, "uri"))


def _queries(listed: Any) -> list[str]:
    """Return the queries that say something."""
    return [str(query) for query in listed if query] if isinstance(listed, list) else []


def _for_anthropic(found: _Found) -> list[Foreign]:
    call_id = f"srvtoolu_{OWN_RESULT}{secrets.token_hex(10)}"
    call = {
        "type": "server_tool_use",
        "id": call_id,
        "name": "web_search",
        "input": {"query": "; ".join(found.queries)},
    }
    content = [
        {
            "type": "web_search_result",
            "url": source.url,
            "title": source.title or source.url,
            "page_age": None,
            "encrypted_content": SEALED_SOURCE,
        }
        for source in found.sources
    ]
    result = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": content}
    return [
        Foreign(ANTHROPIC_MESSAGES, "server_tool_use", call),
        Foreign(ANTHROPIC_MESSAGES, "web_search_tool_result", result),
    ]


def _for_openai(found: _Found) -> Foreign:
    action: JsonObject = {
        "type": "search",
        "query": "; ".join(found.queries),
        "queries": found.queries,
        "sources": [{"type": "url", "url": source.url} for source in found.sources],
    }
    item: JsonObject = {
        "id": f"ws_{OWN_RESULT}{secrets.token_hex(20)}",
        "type": "web_search_call",
        "status": "completed",
        "action": action,
    }
    return Foreign(OPENAI_RESPONSES, "web_search_call", item)
