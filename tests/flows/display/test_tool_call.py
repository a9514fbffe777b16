"""Calls of coding agents' tools as differences, commands and lists."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flows.display.tool_call import tool_view


def lines(html: str) -> list[str]:
    """The coloured lines of a difference: [class, text] joined."""
    found = re.findall(r'<span class="(\w*)">(.*?)\n</span>', html, re.DOTALL)
    return [f"{tone}:{line}" for tone, line in found]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Edit", {"file_path": "a.py", "old_string": "x\ny", "new_string": "x\nz"}),
        ("replace", {"file_path": "a.py", "old_string": "x\ny", "new_string": "x\nz"}),
        ("edit", {"filePath": "a.py", "oldString": "x\ny", "newString": "x\nz"}),
        ("mcp__files__edit", {"path": "a.py", "old_str": "x\ny", "new_str": "x\nz"}),
    ],
)
def test_an_edit_is_a_difference(name: str, arguments: dict[str, Any]) -> None:
    view = tool_view(name, arguments)
    assert view is not None
    assert view.subject == "a.py"
    assert lines(view.html) == [":  x", "removed:- y", "added:+ z"]


def test_a_patch_names_its_files() -> None:
    text = "*** Begin Patch\n*** Update File: a.py\n@@\n-x\n+y\n*** End Patch"
    for arguments in (text, {"input": text}):
        view = tool_view("apply_patch", arguments)
        assert view is not None
        assert view.subject == "a.py"
        assert lines(view.html)[3:5] == ["removed:-x", "added:+y"]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ('{"command": "ls | wc", "description": "Count"}', "ls | wc"),
        ({"command": ["bash", "-lc", "ls | wc"]}, "ls | wc"),
        ({"cmd": "ls -l"}, "ls -l"),
        ({"command": ["ls", "-l"]}, "ls -l"),
    ],
)
def test_a_command_is_a_command_line(arguments: Any, command: str) -> None:
    view = tool_view("Bash", arguments)
    assert view is not None
    assert f'<pre class="command-line">{command}</pre>' in view.html


def test_what_a_form_does_not_show_stands_below_it() -> None:
    view = tool_view("Bash", {"command": "ls", "timeout": 5000})
    assert view is not None
    assert "<dt>timeout</dt><dd>5000</dd>" in view.html
    read = tool_view("Read", {"file_path": "a.py", "offset": 10, "limit": 5})
    assert read == ("a.py, lines 10–14", "")


def test_tasks_are_a_list() -> None:
    todos = [{"content": "Read", "status": "completed"}, {"content": "Mend", "status": "pending"}]
    view = tool_view("TodoWrite", {"todos": todos})
    assert view is not None
    assert view.subject == "1 of 2 done"
    assert "☑</span> Read" in view.html
    plan = tool_view("update_plan", {"plan": [{"step": "Mend", "status": "in_progress"}]})
    assert plan is not None
    assert "◐</span> Mend" in plan.html


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Bash", {}),
        ("Bash", "not json"),
        ("Bash", {"command": 5}),
        ("Edit", {"file_path": "a.py"}),
        ("TodoWrite", {"todos": "all"}),
        ("TodoWrite", {"todos": [1]}),
        ("unknown", {"command": "ls"}),
    ],
)
def test_other_arguments_have_no_form(name: str, arguments: Any) -> None:
    assert tool_view(name, arguments) is None


def test_markup_in_arguments_stays_text() -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    for name, arguments in (
        ("Edit", {"file_path": hostile, "old_string": hostile, "new_string": ""}),
        ("Bash", {"command": hostile, hostile: hostile}),
        ("Write", {"path": "a", "content": hostile}),
        ("TodoWrite", {"todos": [{"content": hostile, "status": hostile}]}),
        ("Task", {"prompt": hostile}),
    ):
        view = tool_view(name, arguments)
        assert view is not None
        assert "<script>" not in view.html
        assert "\x1b" not in view.html


def test_long_texts_are_not_compared() -> None:
    old = "\n".join(f"line {number}" for number in range(900))
    view = tool_view("Edit", {"path": "a", "old_string": old, "new_string": old + "!"})
    assert view is not None
    assert len(lines(view.html)) == 1800
