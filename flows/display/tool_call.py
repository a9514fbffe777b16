"""Calls of the tools that coding agents have, shown as what they are. Pure.

An edit becomes a difference, a command a command line, a list of tasks a list. Names and arguments
are those of Claude Code, Codex, Gemini CLI, opencode and their like. Arguments that a form does not
show stand below it, so that nothing of a call is hidden.

Example: `Edit {"file_path": "a.py", "old_string": "x", "new_string": "y"}` → the subject "a.py" and
the lines "- x" and "+ y".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows.display.safe_text import printable, visible

_MAX_LINES: Final = 2_000
_MAX_COMPARED_LINES: Final = 400
"""Comparing takes quadratic time; longer texts are shown one below the other."""
_MAX_CHARS: Final = 30_000
_PATHS: Final = ("file_path", "filePath", "absolute_path", "path", "notebook_path")
_MARKS: Final = {"completed": "☑", "in_progress": "◐", "cancelled": "☒"}
_EDITS: Final = (("old_string", "new_string"), ("old_str", "new_str"), ("oldString", "newString"))
Arguments = dict[str, Any]


class ToolView(NamedTuple):
    """A call's subject on one line, as text, and its body as HTML."""

    subject: str
    html: SafeString


@dataclass(slots=True)
class _Taken:
    """Arguments of a call, of which a form takes what it shows."""

    left: Arguments

    def text(self, *names: str) -> str:
        """Take the first of these arguments that is a text; "" without one."""
        for name in names:
            if isinstance(self.left.get(name), str):
                value: str = self.left.pop(name)
                return value
        return ""

    def items(self, name: str) -> list[Arguments]:
        """Take a list of objects; empty when it is anything else."""
        value = self.left.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            return []
        del self.left[name]
        return value


_Form = Callable[[_Taken], ToolView | None]


def tool_view(name: str, arguments: str | Arguments) -> ToolView | None:
    """Return the form of a call; None for a tool or arguments that no form knows."""
    form = _FORMS.get(name.rpartition("__")[2].lower().replace("-", "_"))
    if form is None:
        return None
    taken = _Taken(_object(arguments))
    view = form(taken) if taken.left else None
    if view is None:
        return None
    return ToolView(view.subject, view.html + _others(taken.left))


def _object(arguments: str | Arguments) -> Arguments:
    if isinstance(arguments, dict):
        return dict(arguments)
    # Codex calls apply_patch with the bare text of the patch.
    if arguments.lstrip().startswith("*** Begin Patch"):
        return {"input": arguments}
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _edit(taken: _Taken) -> ToolView | None:
    path = taken.text(*_PATHS)
    for old_name, new_name in _EDITS:
        if old_name in taken.left or new_name in taken.left:
            old = taken.text(old_name)
            new = taken.text(new_name)
            return ToolView(path, _lines(_difference(old, new)))
    return None


def _edits(taken: _Taken) -> ToolView | None:
    path = taken.text(*_PATHS)
    lines: list[str] = []
    for edit in taken.items("edits"):
        inner = _Taken(dict(edit))
        for old_name, new_name in _EDITS:
            lines += _difference(inner.text(old_name), inner.text(new_name))
        lines.append("")
    return ToolView(path, _lines(lines)) if lines else None


def _patch(taken: _Taken) -> ToolView | None:
    text = taken.text("input", "patch")
    if not text:
        return None
    lines = text.split("\n")
    paths = [line.partition(" File: ")[2] for line in lines if line.startswith("*** ")]
    return ToolView(", ".join(path for path in paths if path), _lines(lines))


def _command(taken: _Taken) -> ToolView | None:
    command = taken.text("command", "cmd")
    words = taken.left.get("command")
    if not command and isinstance(words, list):
        del taken.left["command"]
        command = _joined([str(word) for word in words])
    if not command:
        return None
    subject = taken.text("description")
    return ToolView(subject, format_html('<pre class="command-line">{}</pre>', _cut(command)))


def _joined(words: Sequence[str]) -> str:
    """Join a command's words: ["bash", "-lc", "ls | wc"] → "ls | wc", ["ls", "-l"] → "ls -l"."""
    if len(words) == 3 and words[1] in ("-c", "-lc"):
        return words[2]
    return " ".join(words)


def _read(taken: _Taken) -> ToolView | None:
    path = taken.text(*_PATHS)
    if not path:
        return None
    first = taken.left.get("offset")
    count = taken.left.get("limit")
    if isinstance(first, int) and isinstance(count, int):
        taken.left.pop("offset")
        taken.left.pop("limit")
        return ToolView(f"{path}, lines {first}–{first + count - 1}", SafeString(""))
    return ToolView(path, SafeString(""))


def _write(taken: _Taken) -> ToolView | None:
    path = taken.text(*_PATHS)
    content = taken.text("content", "file_text", "contents")
    if not path:
        return None
    added = [f"+ {line}" for line in content.split("\n")]
    return ToolView(path, _lines(added) if content else SafeString(""))


def _search(taken: _Taken) -> ToolView | None:
    pattern = taken.text("pattern", "query", "url")
    place = taken.text(*_PATHS, "dir_path")
    subject = " in ".join(part for part in (pattern, place) if part)
    return ToolView(subject, SafeString("")) if subject else None


def _tasks(taken: _Taken) -> ToolView | None:
    tasks = taken.items("todos") or taken.items("plan")
    if not tasks:
        return None
    rows = []
    done = 0
    for task in tasks:
        status = str(task.get("status", ""))
        text = str(task.get("content") or task.get("step") or task.get("description") or "")
        done += status == "completed"
        rows.append((printable(status) or "pending", _MARKS.get(status, "☐"), _cut(text)))
    items = format_html_join("", '<li><span title="{}">{}</span> {}</li>', rows)
    subject = f"{done} of {len(tasks)} done"
    return ToolView(subject, format_html('<ul class="todo">{}</ul>', items))


def _agent(taken: _Taken) -> ToolView | None:
    prompt = taken.text("prompt")
    if not prompt:
        return None
    kind = taken.text("subagent_type")
    description = taken.text("description")
    subject = ": ".join(part for part in (kind, description) if part)
    return ToolView(subject, format_html('<div class="said">{}</div>', _cut(prompt)))


_FORMS: Final[dict[str, _Form]] = {
    **dict.fromkeys(("edit", "replace", "str_replace_editor", "str_replace"), _edit),
    **dict.fromkeys(("str_replace_based_edit_tool", "update"), _edit),
    **dict.fromkeys(("multiedit", "multi_edit"), _edits),
    **dict.fromkeys(("apply_patch", "patch"), _patch),
    **dict.fromkeys(("bash", "shell", "local_shell", "run_shell_command"), _command),
    **dict.fromkeys(("exec_command", "shell_command", "execute_command"), _command),
    **dict.fromkeys(("read", "read_file", "view", "notebookread"), _read),
    **dict.fromkeys(("write", "write_file", "create_file"), _write),
    **dict.fromkeys(
        ("grep", "glob", "search_file_content", "ls", "list", "list_directory"), _search
    ),
    **dict.fromkeys(("webfetch", "web_fetch", "websearch", "web_search"), _search),
    **dict.fromkeys(("google_web_search", "grep_search"), _search),
    **dict.fromkeys(("todowrite", "todo_write", "update_plan", "write_todos"), _tasks),
    **dict.fromkeys(("task", "agent"), _agent),
}
"""Name of a tool in lower case, without the prefix of an MCP server → its form."""


def _difference(old: str, new: str) -> Iterator[str]:
    """Yield the lines of a change, each after its sign: "- old", "+ new", "  same"."""
    before = old.split("\n") if old else []
    after = new.split("\n") if new else []
    if max(len(before), len(after)) > _MAX_COMPARED_LINES:
        yield from (f"- {line}" for line in before)
        yield from (f"+ {line}" for line in after)
        return
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, first, last, new_first, new_last in matcher.get_opcodes():
        if kind == "equal":
            yield from (f"  {line}" for line in before[first:last])
            continue
        yield from (f"- {line}" for line in before[first:last])
        yield from (f"+ {line}" for line in after[new_first:new_last])


def _lines(lines: Iterator[str] | list[str]) -> SafeString:
    """Return lines as HTML, each with the colour of its sign."""
    rows = []
    for number, line in enumerate(lines):
        if number == _MAX_LINES:
            rows.append(("", visible("…")))
            break
        rows.append((_tone(line), visible(line[:_MAX_CHARS])))
    joined = format_html_join("", '<span class="{}">{}\n</span>', rows)
    return format_html('<pre class="edit">{}</pre>', joined)


def _tone(line: str) -> str:
    if line.startswith("+"):
        return "added"
    return "removed" if line.startswith("-") else ""


def _others(left: Arguments) -> SafeString:
    """Return the arguments that the form did not show, a line each."""
    rows = []
    for name, value in left.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        rows.append((visible(name), _cut(text)))
    if not rows:
        return SafeString("")
    items = format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", rows)
    return format_html('<dl class="others">{}</dl>', items)


def _cut(text: str) -> SafeString:
    if len(text) <= _MAX_CHARS:
        return visible(text)
    return visible(f"{text[:_MAX_CHARS]}… ({len(text)} characters)")
