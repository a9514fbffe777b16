"""Names of a session and of its client, from what the client sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_NOTES: Final = re.compile(
    r"<(system-reminder|environment_context|user_instructions|session_context|session"
    r"|command-[a-z]+|local-command-[a-z]+|ide_[a-z_]+|task-notification)\b[^>]*>"
    r".*?(?:</\1>|$)",
    re.DOTALL,
)
"""Notes that clients put around or beside the user's text; the stored text may cut them."""
_OF_HELPERS: Final = (
    "quota",
    "warmup",
    "count",
    "ping",
    "generate a title for this conversation",
    "please write a 5-10 word title",
    "please write a short title",
    "write a title for",
    "summarize this coding conversation",
    "command:",
    "[suggestion mode",
    "[request interrupted",
    "caveat: the messages below",
    "this is the gemini cli",
    "# agents.md instructions",
    "this session is being continued from a previous conversation",
    "your task is to create a detailed summary",
)
"""Beginnings, in lower case, of texts that clients send by themselves."""
_EXACT: Final = {"quota", "warmup", "count", "ping"}
_SMALL_SHARE: Final = 8
"""Of the largest first prompt; titles are asked for with a twentieth of an agent's prompt."""
_CLIENT: Final = re.compile(r"([A-Za-z][\w.+-]*(?:/[A-Za-z][\w.+-]*)?)[/ ]v?(\d[\w.+-]*)")
_MAX_CLIENT_CHARS: Final = 60


class Opening(NamedTuple):
    """A request near the start of a session: its thread, the user's last text, its tokens."""

    thread: str
    asked: str
    input_tokens: int | None


def user_text(asked: str) -> str:
    """Return what the user typed, without the client's notes; "" for a helper's own text.

    Examples: "<system-reminder>…</system-reminder> Fix it" → "Fix it"; "quota" → "".
    """
    text = " ".join(_NOTES.sub(" ", asked).split())
    text = text.removeprefix('"').removesuffix('"') if text.startswith('"') else text
    lower = text.lower()
    for beginning in _OF_HELPERS:
        if beginning in _EXACT:
            if lower == beginning:
                return ""
        elif lower.startswith(beginning):
            return ""
    return text


def title_of(openings: Iterable[Opening]) -> str:
    """Return the first text that the user typed in the session's main thread.

    Without any text of a user the title is "".
    """
    typed = []
    for opening in openings:
        if text := user_text(opening.asked):
            typed.append(opening._replace(asked=text))
    main = main_thread((opening.thread, opening.input_tokens) for opening in typed)
    return next((opening.asked for opening in typed if opening.thread == main), "")


def main_thread(requests: Iterable[tuple[str, int | None]]) -> str:
    """Return the thread of the agent's own conversation; "" without requests.

    It is the earliest one that does not begin small. Agents ask short questions beside the
    conversation, often before it: for a title, for the quota. Sub-agents begin later; they may grow
    larger than the conversation that started them.

    Args:
        requests: thread and input tokens of the session's requests from its start, in order.
    """
    first: dict[str, int] = {}
    for thread, tokens in requests:
        # A request that failed reports no tokens.
        first[thread] = first.get(thread) or tokens or 0
    least = max(first.values(), default=0) / _SMALL_SHARE
    return next((thread for thread, tokens in first.items() if tokens >= least), "")


def client_name(user_agent: str) -> str:
    """Return a client's name and version from its User-Agent.

    Examples: "claude-cli/2.1.330 (external, cli)" → "claude-cli 2.1.330"; "OpenAI/Python 1.2.0" →
    "OpenAI/Python 1.2.0"; "curl" → "curl".
    """
    found = _CLIENT.match(user_agent)
    if found is None:
        return user_agent.partition(" ")[0][:_MAX_CLIENT_CHARS]
    return f"{found[1]} {found[2]}"[:_MAX_CLIENT_CHARS]
