"""Events of a scripted Perplexity answer: a plan, searches, sources, and text in every form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]

SOURCES = (
    {"name": "First source", "url": "https://one.example/a", "snippet": "Something was found."},
    {"name": "Second source", "url": "https://two.example/b", "snippet": "Something else."},
)
QUESTIONS = ("Which years shall the research cover?", "Which region do you mean?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One question of a thread with its response, and the thread's ids."""

    backend_uuid: str
    context_uuid: str
    slug: str
    query: str
    answer: str
    model: str
    attachments: tuple[str, ...] = ()

    @property
    def ids(self) -> Event:
        """The fields that every event carries."""
        return {
            "backend_uuid": self.backend_uuid,
            "context_uuid": self.context_uuid,
            "thread_url_slug": self.slug,
            "thread_title": self.query[:60],
            "read_write_token": f"rw-{self.slug}",
            "display_model": self.model,
            "status": "PENDING",
            "text_completed": False,
            "message_mode": "STREAMING",
        }


def events_of(entry: Entry) -> list[Event]:
    """Return the events of an entry, from its plan to its end."""
    chunks = re.findall(r"\S+\s*", entry.answer)
    half = max(1, len(chunks) // 2)
    so_far = "".join(chunks[:half])
    planned = [_plan(entry.query), _steps(entry.query), _sources()]
    said = [
        [_answer("", {"chunks": chunks[:half], "chunk_starting_offset": 0, "progress": "x"})],
        *[[_answer(f"/chunks/{n}", chunk)] for n, chunk in enumerate(chunks[half:-1], half)],
        [_answer("", {"answer": so_far + "".join(chunks[half:])}), *_mirror(entry.answer)],
    ]
    body = [{**entry.ids, "blocks": [block]} for block in planned]
    body += [{**entry.ids, "blocks": blocks} for blocks in said]
    return [*body, _followups(entry), last_event(entry)]


def last_event(entry: Entry) -> Event:
    """Return the event that ends a stream; it repeats the text."""
    bare = {"intended_usage": "ask_text_0_markdown", "markdown_block": {"answer": entry.answer}}
    return {
        **entry.ids,
        "status": "COMPLETED",
        "final": True,
        "final_sse_message": True,
        "blocks": [bare],
    }


def clarifying_events(entry: Entry) -> list[Event]:
    """Return the events of a research that asks before it begins."""
    step = {
        "uuid": "q1",
        "step_type": "RESEARCH_CLARIFYING_QUESTIONS",
        "research_clarifying_questions_content": {"questions": list(QUESTIONS)},
    }
    block = {"intended_usage": "pro_search_steps", "plan_block": {"goals": [], "steps": [step]}}
    return [{**entry.ids, "blocks": [block]}, {**entry.ids, "final_sse_message": True}]


def _plan(query: str) -> Event:
    goals = [{"id": "0", "description": f"Finding out about: {query[:40]}"}]
    return {"intended_usage": "plan", "plan_block": {"goals": goals, "steps": []}}


def _steps(query: str) -> Event:
    search = {
        "uuid": "s1",
        "step_type": "SEARCH_WEB",
        "search_web_content": {"queries": [{"query": query[:40]}]},
    }
    found = {
        "uuid": "s2",
        "step_type": "WEB_RESULTS",
        "web_results_content": {"web_results": list(SOURCES)},
    }
    patches = [{"op": "add", "path": "/steps/0", "value": search}]
    patches.append({"op": "add", "path": "/steps/1", "value": found})
    diff = {"field": "plan_block", "patches": patches}
    return {"intended_usage": "pro_search_steps", "diff_block": diff}


def _sources() -> Event:
    return {
        "intended_usage": "web_results",
        "web_result_block": {"progress": "DONE", "web_results": list(SOURCES)},
    }


def _answer(path: str, value: Any) -> Event:
    patches = [{"op": "replace", "path": "/progress", "value": "IN_PROGRESS"}]
    patches.append({"op": "add", "path": path, "value": value})
    diff = {"field": "markdown_block", "patches": patches}
    return {"intended_usage": "ask_text_0_markdown", "diff_block": diff}


def _mirror(answer: str) -> list[Event]:
    return [{"intended_usage": "ask_text", "markdown_block": {"answer": answer}}]


def _followups(entry: Entry) -> Event:
    followups = [{"text": "What came next?"}, {"text": "Who was it?"}]
    block = {"intended_usage": "pending_followups", "pending_followups": {"followups": followups}}
    return {**entry.ids, "blocks": [block]}
