"""Steps of a search as short lines of reasoning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from providers.wire.core.ir import JsonObject
from providers.wire.core.jsonio import dumps_text

SILENT: Final = ("INITIAL_QUERY", "FINAL")
QUESTIONS: Final = "RESEARCH_CLARIFYING_QUESTIONS"
_LISTED: Final = 8
_LINE_CHARS: Final = 400


def content_of(step: JsonObject) -> JsonObject:
    """Return a step's content: under its type's own name, else under `content`.

    Example: {"step_type": "SEARCH_WEB", "search_web_content": {...}} → the latter.
    """
    kind = str(step.get("step_type") or "").lower()
    found = step.get(f"{kind}_content", step.get("content"))
    return found if isinstance(found, dict) else {}


def questions_of(step: JsonObject) -> list[str]:
    """Return the questions that Perplexity asks before it begins a research."""
    return _texts(content_of(step).get("questions"), ("question", "text"))


class StepLines:
    """Writer of lines; knows the tools that were called for each goal."""

    def __init__(self) -> None:
        self._tools: dict[Any, str] = {}

    def line(self, step: JsonObject) -> str:
        """Return the line of a step; "" for one that says nothing (yet)."""
        kind = str(step.get("step_type") or "")
        if not kind or kind in SILENT:
            return ""
        content = content_of(step)
        if kind.startswith("MCP_TOOL_"):
            text = self._tool(kind, step, content)
        elif (write := _WRITERS.get(kind)) is not None:
            text = write(content)
        else:
            text = _plain(kind, content)
        return " ".join(text.split())[:_LINE_CHARS]

    def _tool(self, kind: str, step: JsonObject, content: JsonObject) -> str:
        goal = step.get("goal_id", content.get("goal_id"))
        name = str(content.get("tool_name") or "")
        if kind.endswith("_OUTPUT"):
            name = name or self._tools.get(goal, "a tool")
            return f"Result of {name}: {content.get('status') or 'done'}"
        self._tools[goal] = name
        words = [str(content[key]) for key in ("app", "tool_name", "summary") if content.get(key)]
        arguments = content.get("tool_args")
        if arguments:
            words.append(arguments if isinstance(arguments, str) else dumps_text(arguments))
        return f"Calling {' '.join(words)}" if words else ""


def _listed(label: str, texts: list[str]) -> str:
    if not texts:
        return ""
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return f"{label}: {'; '.join(texts[:_LISTED])}{more}"


def _texts(value: Any, keys: tuple[str, ...]) -> list[str]:
    """Return the texts of a list, whose items are texts or objects with one of the keys."""
    found: list[str] = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            item = next((item[key] for key in keys if item.get(key)), None)
        if isinstance(item, str) and item:
            found.append(item)
    return found


def _search(content: JsonObject) -> str:
    return _listed("Searching", _texts(content.get("queries"), ("query", "text")))


def _results(content: JsonObject) -> str:
    results = content.get("web_results")
    return f"Found {len(results)} results" if isinstance(results, list) else ""


def _read(content: JsonObject) -> str:
    urls = _texts(content.get("urls"), ("url",)) or _texts(content.get("pages"), ("url",))
    single = content.get("url")
    return _listed("Reading", urls or [single] if isinstance(single, str) else urls)


def _questions(content: JsonObject) -> str:
    return _listed("Asking", _texts(content.get("questions"), ("question", "text")))


def _tasks(content: JsonObject) -> str:
    return _listed("Creating tasks", _texts(content.get("tasks"), ("title", "description", "text")))


def _fixed(text: str) -> Callable[[JsonObject], str]:
    """Return a writer that adds a step's own words to a text."""
    return lambda content: _with_words(text, content)


def _with_words(text: str, content: JsonObject) -> str:
    keys = ("description", "summary", "title", "name", "query", "prompt", "url", "subject", "task")
    words = next((content[key] for key in keys if isinstance(content.get(key), str)), "")
    return f"{text}: {words}" if words else text


def _plain(kind: str, content: JsonObject) -> str:
    """Return the line of any other step: its type in words.

    Example: "BROWSER_OPEN_TAB" with a url → "Browser open tab: https://a.example".
    """
    return _with_words(kind.replace("_", " ").capitalize(), content)


_WRITERS: Final[dict[str, Callable[[JsonObject], str]]] = {
    "SEARCH_WEB": _search,
    "WEB_RESULTS": _results,
    "READ_RESULTS": _read,
    "GET_URL_CONTENT": _read,
    "CLARIFYING_QUESTIONS": _questions,
    "CREATE_TASKS": _tasks,
    "CODE": _fixed("Running code"),
    "GENERATE_IMAGE": _fixed("Generating an image"),
    "GENERATE_IMAGE_RESULTS": _fixed("Generated an image"),
    "CREATE_CHART": _fixed("Drawing a chart"),
    "READ_CALENDAR": _fixed("Reading the calendar"),
    "UPDATE_CALENDAR": _fixed("Changing the calendar"),
    "READ_EMAIL": _fixed("Reading mail"),
    "SEND_EMAIL": _fixed("Sending mail"),
    "ATTACHMENT": _fixed("Reading an attachment"),
    "TERMINATE": _fixed("Finishing"),
}
