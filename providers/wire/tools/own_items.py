"""OpenAI's own items for tools that the client runs, as calls and results, and back.

Source: OpenAI's OpenAPI file: `LocalShellToolCall`, `FunctionShellCall`, `ApplyPatchToolCall`,
`ComputerToolCall`, and the items of their outputs.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

from providers.base.names import OPENAI_RESPONSES
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Media,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.wire.core.jsonio import dumps_text, loads
from providers.wire.core.shape import drop_none


class _Kind(NamedTuple):
    """The item of a call; `field` holds its arguments, `tools` are the types that declare it."""

    item: str
    field: str
    id_prefix: str
    tools: tuple[str, ...]


_KINDS: Final = (
    _Kind("local_shell_call", "action", "lsh", ("local_shell",)),
    _Kind("shell_call", "action", "sh", ("shell",)),
    _Kind("apply_patch_call", "operation", "apc", ("apply_patch",)),
    _Kind("computer_call", "actions", "cu", ("computer", "computer_use_preview")),
)
_BY_ITEM: Final = {kind.item: kind for kind in _KINDS}
_BY_TOOL: Final = {tool: kind for kind in _KINDS for tool in kind.tools}
_OUTPUTS: Final = frozenset(f"{kind.item}_output" for kind in _KINDS)


def unpack_items(request: Request) -> None:
    """Replace the items of a client's own tools by calls and results, in place.

    assistant[shell_call, shell_call_output], user["go on"] →
    assistant[call], user[result], user["go on"]
    """
    names = {tool.native: tool.name for tool in request.tools if tool.native}
    turns: list[Turn] = []
    for turn in request.turns:
        if _has_items(turn):
            turns.extend(_unpacked(turn, names))
        else:
            turns.append(turn)
    request.turns = turns


def _has_items(turn: Turn) -> bool:
    return turn.role == "assistant" and Foreign in map(type, turn.blocks)


def _unpacked(turn: Turn, names: dict[str, str]) -> list[Turn]:
    turns: list[Turn] = []
    for block in turn.blocks:
        plain = _plain(block, names)
        role = "user" if isinstance(plain, ToolResult) else "assistant"
        if turns and turns[-1].role == role:
            turns[-1].blocks.append(plain)
        else:
            turns.append(Turn(role, [plain], turn.name, turn.extras))  # type: ignore[arg-type]
    return turns


def _plain(block: Block, names: dict[str, str]) -> Block:
    if not isinstance(block, Foreign) or block.vendor != OPENAI_RESPONSES:
        return block
    if (kind := _BY_ITEM.get(block.kind)) is not None:
        name = next((names[tool] for tool in kind.tools if tool in names), kind.tools[0])
        return ToolCall(_call_id(block.raw), name, _arguments(kind, block.raw))
    if block.kind in _OUTPUTS:
        is_failed = True if block.raw.get("status") == "failed" else None
        return ToolResult(_call_id(block.raw), [_output(block.raw)], is_error=is_failed)
    return block


def _call_id(raw: JsonObject) -> str:
    # The output of a local shell has the call's id in `id`.
    return str(raw.get("call_id") or raw.get("id") or "")


def _arguments(kind: _Kind, raw: JsonObject) -> JsonObject:
    """Return the arguments; {"action": {"type": "exec", "command": []}} → {"command": []}."""
    if kind.item == "computer_call":
        actions = raw.get("actions")
        return {"actions": actions} if actions else dict(raw.get("action") or {})
    inner = drop_none(raw.get(kind.field) or {})
    if kind.item == "local_shell_call":
        inner.pop("type", None)
    return inner


def _output(raw: JsonObject) -> Text | Media:
    output = raw.get("output")
    if isinstance(output, dict) and output.get("type") == "computer_screenshot":
        return _screenshot(output)
    if isinstance(output, str):
        return Text(output)
    # Output and exit code of each command.
    return Text(dumps_text(output) if output is not None else str(raw.get("status") or ""))


def _screenshot(output: JsonObject) -> Media:
    url = str(output.get("image_url") or "")
    if url[:5].lower() != "data:":
        return Media("image", url=url or None, file_id=None if url else output.get("file_id"))
    # data:image/png;base64,AAAA
    head, _, data = url.partition(",")
    return Media("image", data=data, media_type=head[5:].partition(";")[0])


def own_item(tool: Tool, call: ToolCall) -> Foreign:
    """Return the item in which the client expects a call of its own tool."""
    kind = _BY_TOOL[str(tool.native)]
    item: JsonObject = {
        "id": f"{kind.id_prefix}_{secrets.token_hex(24)}",
        "type": kind.item,
        "call_id": call.id,
        "status": "completed",
        **_fields(str(tool.native), kind, _read(call.arguments)),
    }
    return Foreign(OPENAI_RESPONSES, kind.item, item)


def _read(arguments: str | JsonObject) -> JsonObject:
    if isinstance(arguments, dict):
        return arguments
    try:
        value: Any = loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        value = {}
    return value if isinstance(value, dict) else {}


def _fields(tool: str, kind: _Kind, arguments: JsonObject) -> JsonObject:
    if tool == "local_shell":
        command = _command_line(arguments.get("command"))
        return {"action": {"type": "exec", "env": {}, **arguments, "command": command}}
    if tool == "shell":
        commands = arguments.get("commands")
        commands = [commands] if isinstance(commands, str) else commands or []
        return {
            "action": {"timeout_ms": None, "max_output_length": None, **arguments}
            | {"commands": commands}
        }
    if tool == "apply_patch":
        return {"operation": arguments}
    done: JsonObject = {"pending_safety_checks": []}
    if tool == "computer":
        return {**done, "actions": arguments.get("actions") or []}
    return {**done, "action": arguments}


def _command_line(command: Any) -> list[str]:
    """Return the program and its arguments; a line of shell needs a shell to run it."""
    if isinstance(command, str):
        return ["bash", "-lc", command]
    return [str(part) for part in command or []]
