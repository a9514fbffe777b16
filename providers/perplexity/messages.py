"""A thread as chat messages: questions with their attachments, and texts with their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from providers.wire.core.ir import JsonObject
from providers.wire.perplexity.ask_conf import CitationMode
from providers.wire.perplexity.plan_text import PlanText
from providers.wire.perplexity.web_sources import WebSources, replace_marks

_USUAL: Final = "ask_text_0_markdown"


def thread_as_messages(
    entries: Sequence[JsonObject],
    slug: str,
    *,
    citation_mode: CitationMode,
    with_reasoning: bool = True,
) -> JsonObject:
    """Return the messages of a thread, with what identifies it.

    Example: one entry → {"messages": [user, assistant], "metadata": {"session_id": slug},
    "thread_info": {"slug", "context_uuid", "title", "entry_count"}}.
    """
    messages: list[JsonObject] = []
    for entry in entries:
        messages.append({"role": "user", "content": _question(entry)})
        messages.append(_answer(entry, citation_mode, with_reasoning=with_reasoning))
    first: Mapping[str, Any] = entries[0] if entries else {}
    return {
        "messages": messages,
        "metadata": {"session_id": slug},
        "thread_info": {
            "slug": first.get("thread_url_slug") or slug,
            "context_uuid": first.get("context_uuid"),
            "title": first.get("thread_title"),
            "entry_count": len(entries),
        },
    }


def _question(entry: JsonObject) -> str:
    text = str(entry.get("query_str") or "")
    attachments = entry.get("attachments")
    urls = [str(one) for one in attachments] if isinstance(attachments, list) else []
    if not urls:
        return text
    listed = "\n".join([f"- {url}" for url in urls])
    return f"{text}\n\nAttachments:\n{listed}"


def _answer(entry: JsonObject, mode: CitationMode, *, with_reasoning: bool) -> JsonObject:
    sources, plan = WebSources(), PlanText()
    texts: dict[str, str] = {}
    reasoning = ""
    blocks = entry.get("blocks")
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, dict):
            continue
        markdown = block.get("markdown_block")
        if isinstance(markdown, dict) and isinstance(markdown.get("answer"), str):
            texts[str(block.get("intended_usage"))] = markdown["answer"]
        sources.take(block)
        reasoning += plan.take(block)
    usages = entry.get("structured_answer_block_usages")
    usage = usages[0] if isinstance(usages, list) and usages else _USUAL
    text = texts.get(str(usage), texts.get(_USUAL, ""))
    found: JsonObject = {"role": "assistant", "content": replace_marks(text, sources, mode)}
    if with_reasoning and reasoning.strip():
        found["reasoning_content"] = reasoning.strip()
    return found
