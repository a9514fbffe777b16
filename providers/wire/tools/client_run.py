"""Tools that a vendor defines and the client runs, as functions for the other vendors.

The client gives only a type; parameters and purpose are the vendor's documented ones.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool, the pages beside
it (text editor, memory, computer use), and OpenAI's OpenAPI file: `LocalShellToolParam`,
`FunctionShellToolParam`, `ApplyPatchToolParam`, `ComputerTool`, `ComputerUsePreviewTool`.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_RESPONSES, WireFormatName
from providers.wire.core.ir import JsonObject, Tool


class _Declared(NamedTuple):
    """Purpose and parameters of a tool, as its vendor documents them."""

    description: str
    schema: JsonObject


def _object(required: str, **properties: JsonObject) -> JsonObject:
    """Return the schema of an object; `required` names properties, separated by spaces."""
    return {"type": "object", "properties": properties, "required": required.split()}


def _text(description: str) -> JsonObject:
    return {"type": "string", "description": description}


def _choice(description: str, *values: str) -> JsonObject:
    return {"type": "string", "description": description, "enum": list(values)}


def _whole(description: str) -> JsonObject:
    return {"type": "integer", "description": description}


def _list(description: str, item: JsonObject) -> JsonObject:
    return {"type": "array", "description": description, "items": item}


_STRINGS: Final[JsonObject] = {"type": "string"}
_POINT: Final = _list("Position on the screen in pixels: x, y.", {"type": "integer"})
_LINES: Final = _list("First and last line to show, from 1; -1 is the end.", {"type": "integer"})

_BASH: Final = _Declared(
    "Run a command in a persistent bash session, or restart the session.",
    _object(
        "",
        command=_text("The command. Required unless the session restarts."),
        restart={"type": "boolean", "description": "True to start a new session."},
    ),
)


def _editor(*commands: str, new_str: str, **more: JsonObject) -> _Declared:
    return _Declared(
        "View, create and edit text files. `str_replace` replaces a text that stands exactly once;"
        " `insert` puts a text behind a line.",
        _object(
            "command path",
            command=_choice("What to do.", *commands),
            path=_text("Path of the file or folder."),
            view_range=_LINES,
            file_text=_text("The content of a new file, for `create`."),
            old_str=_text("The text to replace, for `str_replace`."),
            new_str=_text(new_str),
            insert_line=_whole("The line behind which to insert; 0 is the beginning."),
            **more,
        ),
    )


_INSERTED: Final = _text("The text to insert, for `insert`.")
_NEW_EDITOR: Final = _editor(
    *("view", "create", "str_replace", "insert"),
    new_str="The text that replaces it, for `str_replace`.",
    insert_text=_INSERTED,
)
_OLD_EDITOR: Final = _editor(
    *("view", "create", "str_replace", "insert", "undo_edit"),
    new_str="The new text, for `str_replace` and `insert`.",
)
_MEMORY: Final = _Declared(
    "Keep notes over conversations in files below /memories. Look there first.",
    _object(
        "command",
        command=_choice(
            "What to do.", "view", "create", "str_replace", "insert", "delete", "rename"
        ),
        path=_text("Path below /memories; all commands but `rename` need it."),
        view_range=_LINES,
        file_text=_text("The content of a new file, for `create`."),
        old_str=_text("The text to replace, for `str_replace`."),
        new_str=_text("The text that replaces it, for `str_replace`."),
        insert_line=_whole("The line behind which to insert, for `insert`."),
        insert_text=_INSERTED,
        old_path=_text("The path to rename, for `rename`."),
        new_path=_text("The new path, for `rename`."),
    ),
)
_COMPUTER: Final = _Declared(
    "Use mouse, keyboard and screen of a computer. Take a screenshot to see the screen.",
    _object(
        "action",
        action=_choice(
            "What to do.",
            *("key", "hold_key", "type", "cursor_position", "mouse_move", "left_mouse_down"),
            *("left_mouse_up", "left_click", "left_click_drag", "right_click", "middle_click"),
            *("double_click", "triple_click", "scroll", "wait", "screenshot", "zoom"),
        ),
        coordinate=_POINT,
        start_coordinate=_POINT,
        text=_text("The text to type, or the keys to press, such as ctrl+s."),
        scroll_direction=_choice("For `scroll`.", "up", "down", "left", "right"),
        scroll_amount=_whole("Steps of the wheel, for `scroll`."),
        duration={"type": "number", "description": "Seconds, for `wait` and `hold_key`."},
        region=_list("Corners x0, y0, x1, y1 to enlarge, for `zoom`.", {"type": "integer"}),
    ),
)

# The date in a type is its version: bash_20250124, text_editor_20250728.
_ANTHROPIC: Final = (
    (re.compile(r"bash_\d+"), _BASH),
    (re.compile(r"text_editor_(2024\d+|20250124)"), _OLD_EDITOR),
    (re.compile(r"text_editor_\d+"), _NEW_EDITOR),
    (re.compile(r"memory_\d+"), _MEMORY),
    (re.compile(r"computer_\d+"), _COMPUTER),
)

_ACTION: Final = _object(
    "type",
    type=_choice(
        "What to do.",
        *("click", "double_click", "drag", "keypress", "move", "screenshot", "scroll"),
        *("type", "wait"),
    ),
    x=_whole("Position from the left in pixels."),
    y=_whole("Position from the top in pixels."),
    button=_choice("For `click`.", "left", "right", "wheel", "back", "forward"),
    keys=_list("Keys, for `keypress`.", _STRINGS),
    text=_text("The text, for `type`."),
    scroll_x=_whole("For `scroll`."),
    scroll_y=_whole("For `scroll`."),
    path=_list("Points of a `drag`.", _object("x y", x=_whole("x"), y=_whole("y"))),
)
_RESPONSES: Final = {
    "local_shell": _Declared(
        "Run a program on the user's machine. For a line of shell use bash, -lc and the line.",
        _object(
            "command",
            command=_list("The program and its arguments.", _STRINGS),
            working_directory=_text("Folder to run it in."),
            timeout_ms=_whole("Longest run in milliseconds."),
            env={"type": "object", "additionalProperties": {"type": "string"}},
        ),
    ),
    "shell": _Declared(
        "Run shell commands on the user's machine, one after the other.",
        _object(
            "commands",
            commands=_list("The commands.", _STRINGS),
            timeout_ms=_whole("Longest run in milliseconds."),
            max_output_length=_whole("Longest output in characters."),
        ),
    ),
    "apply_patch": _Declared(
        "Create, update or delete one file. `diff` is in V4A format: a line @@ with the place,"
        " then lines that begin with a space (kept), - (removed) or + (added). A new file has"
        " lines with + alone.",
        _object(
            "type path",
            type=_choice("What to do.", "create_file", "update_file", "delete_file"),
            path=_text("Path of the file."),
            diff=_text("The change; not for `delete_file`."),
        ),
    ),
    "computer": _Declared(
        "Use mouse, keyboard and screen of a computer, in one or more actions. The result is a"
        " screenshot.",
        _object("actions", actions=_list("The actions, in order.", _ACTION)),
    ),
    "computer_use_preview": _Declared(
        "Use mouse, keyboard and screen of a computer. The result is a screenshot.", _ACTION
    ),
}


def vendor_tool(vendor: WireFormatName, kind: str, raw: JsonObject) -> Tool:
    """Return a tool of a vendor's own type.

    One that the client runs has a schema, and is a function for all other vendors.
    """
    declared = _declared(vendor, kind, raw)
    if declared is None:
        return Tool(kind, vendor=vendor, raw=raw)
    tool = Tool(kind, declared.description, declared.schema, vendor=vendor, raw=raw)
    if vendor == ANTHROPIC_MESSAGES:
        tool.name = str(raw.get("name") or kind)
        tool.description = declared.description + _screen(raw)
        tool.cache = raw.get("cache_control")
    else:
        tool.native = kind
        tool.description = declared.description + _screen(raw)
    return tool


def _declared(vendor: WireFormatName, kind: str, raw: JsonObject) -> _Declared | None:
    if vendor == ANTHROPIC_MESSAGES:
        return next((found for name, found in _ANTHROPIC if name.fullmatch(kind)), None)
    if vendor == OPENAI_RESPONSES and _is_local(raw.get("environment")):
        return _RESPONSES.get(kind)
    return None


def _is_local(environment: Any) -> bool:
    """Check whether a shell is the client's; OpenAI runs those in containers."""
    return not isinstance(environment, dict) or environment.get("type") == "local"


def _screen(raw: JsonObject) -> str:
    """Return the sentence about the screen's size, which a tool for computers declares."""
    width = raw.get("display_width_px") or raw.get("display_width")
    height = raw.get("display_height_px") or raw.get("display_height")
    return f" The screen has {width} × {height} pixels." if width and height else ""


def runs_at_vendor(tool: Tool) -> bool:
    """Check whether a tool runs at its vendor, so that no other vendor can offer it."""
    return tool.raw is not None and tool.schema is None


def named_apart(tools: list[Tool]) -> None:
    """Rename tools of a vendor's own type that have the name of a function, in place.

    A function `shell` beside OpenAI's `shell` → `shell` and `client_shell`.
    """
    functions = {tool.name for tool in tools if tool.raw is None and not tool.namespace}
    for tool in tools:
        if tool.native is not None and tool.name in functions:
            tool.name = f"client_{tool.name}"
