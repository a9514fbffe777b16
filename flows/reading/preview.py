"""Preview of a flow for lists: what was asked or brought, and what came back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from flows.reading.search_text import has_own_text, messages_of

PREVIEW_CHARS: Final = 160
_TOOL: Final = "⚙"
_SHOWN_TOOLS: Final = 3
_RESULT_CHARS: Final = 2400
"""More than is stored: a credential that the cut would divide is still complete for redaction."""
_MAX_RESULTS: Final = 20
_MAX_PARTS: Final = 20
_LOOKED_BACK: Final = 60
"""Messages before the results among which their calls are looked for."""


def one_line(text: str) -> str:
    """Return the start of a text on one line: "Fix\\n  the test" → "Fix the test"."""
    # White space may be most of the text, so more than the result is read.
    line = " ".join(text[: 8 * PREVIEW_CHARS].split())
    return line if len(line) <= PREVIEW_CHARS else f"{line[: PREVIEW_CHARS - 1]}…"


def said_line(text: str, tools: Sequence[str]) -> str:
    """Return a response on one line: its text, else the tools that it calls.

    ("", ["Bash", "Read"]) → "⚙ Bash, Read"
    """
    if text.strip() or not tools:
        return one_line(text)
    return one_line(_named(tools))


def tool_result_in(request: Any) -> str:
    """Return the tool results that a parsed request ends with: names, then the last one's start.

    "" for a request that ends otherwise, as with a text of the user. Never raises.

    Example: a request that ends with the result "12 passed" of Bash → "⚙ Bash: 12 passed".
    """
    messages = messages_of(request)
    if not isinstance(messages, list):
        return ""
    results: list[_Result] = []
    first = len(messages)
    while first and len(results) < _MAX_RESULTS:
        found = _results_of(messages[first - 1])
        if not found:
            break
        results[:0] = found
        first -= 1
    if not results:
        return ""
    earlier = messages[max(0, first - _LOOKED_BACK) : first]
    names = [result.name or _called(result.call_id, earlier) for result in results]
    tools = _named([name for name in names if name] or ["tool"])
    failed = " failed" if any(result.is_failed for result in results) else ""
    text = next((result.text for result in reversed(results) if result.text.strip()), "")
    return f"{tools}{failed}: {text}"[:_RESULT_CHARS] if text else f"{tools}{failed}"


class _Result(NamedTuple):
    """Result of a tool: its text, and its name or the id of the call that names it."""

    text: str
    call_id: str = ""
    name: str = ""
    is_failed: bool = False


def _named(tools: Sequence[str]) -> str:
    """Return tools on one line: ["Bash", "Read", "Bash"] → "⚙ Bash, Read"."""
    shown = list(dict.fromkeys(tools))
    more = f" and {len(shown) - _SHOWN_TOOLS} more" if len(shown) > _SHOWN_TOOLS else ""
    return f"{_TOOL} {', '.join(shown[:_SHOWN_TOOLS])}{more}"


def _results_of(message: Any) -> list[_Result]:
    """Return the results in a message, in any vendor's format; none if the user says something."""
    if not isinstance(message, dict):
        return []
    # OpenAI Chat: a message for each result. Responses: an item for each.
    if message.get("role") == "tool":
        return [_Result(_text(message.get("content")), _word(message.get("tool_call_id")))]
    if str(message.get("type", "")).endswith("_call_output"):
        return [_Result(_text(message.get("output")), _word(message.get("call_id")))]
    if message.get("role", "user") not in ("user", "function") or has_own_text(message):
        return []
    parts = message.get("content") or message.get("parts")
    return list(_results_among(parts[-_MAX_RESULTS:])) if isinstance(parts, list) else []


def _results_among(parts: Sequence[Any]) -> Iterator[_Result]:
    for part in parts:
        if not isinstance(part, dict):
            continue
        if part.get("type") == "tool_result":
            call_id = _word(part.get("tool_use_id"))
            yield _Result(
                _text(part.get("content")), call_id, is_failed=part.get("is_error") is True
            )
        # Google's API takes both spellings.
        returned = part.get("functionResponse") or part.get("function_response")
        if isinstance(returned, dict):
            yield _Result(_text(returned.get("response")), name=_word(returned.get("name")))


def _called(call_id: str, messages: Sequence[Any]) -> str:
    """Return the name of the tool that a call of these messages names; "" if it is none of them."""
    if not call_id:
        return ""
    for message in reversed(messages):
        for call in _calls_of(message):
            if call_id in (call.get("id"), call.get("call_id")):
                function = call.get("function")
                named = function if isinstance(function, dict) else call
                return _word(named.get("name")) or _word(call.get("type")).removesuffix("_call")
    return ""


def _calls_of(message: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what may be a call: a Responses item itself, Chat's calls, Anthropic's blocks."""
    if not isinstance(message, dict):
        return
    yield message
    for name in ("tool_calls", "content"):
        parts = message.get(name)
        if isinstance(parts, list):
            yield from (part for part in parts if isinstance(part, dict))


def _text(value: Any) -> str:
    """Return the start of a result: a string, text parts, or what an object holds."""
    if isinstance(value, str):
        return value[:_RESULT_CHARS]
    if isinstance(value, list):
        texts = [
            part.get("text") if isinstance(part, dict) else part for part in value[:_MAX_PARTS]
        ]
        return "\n".join(text[:_RESULT_CHARS] for text in texts if isinstance(text, str))
    if not isinstance(value, dict):
        return ""
    # The names that Google's documentation gives to a function's outcome, and MCP's.
    for name in ("output", "result", "error", "content"):
        inner = value.get(name)
        if not isinstance(inner, dict) and (text := _text(inner)):
            return text
    pairs = list(value.items())[:_MAX_PARTS]
    return ", ".join(f"{name}: {one}" for name, one in pairs if isinstance(one, str | int | float))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
