"""Where a prompt cache broke: the first place at which a request differs from the one before it,
and by whom. Pure.

Vendors cache a prompt's beginning, in the order tools, system prompt, messages (Anthropic "Prompt
caching"; OpenAI "Prompt caching": "exact prefix matches"). A request that only adds to the end
keeps the cache; anything else loses it from the first difference on. Places are in the vendor's own
words: `tools[name=Bash]`, `system[1]`, `messages[82]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from flows.reading.turn_digest import BILLING_HEADER, digest
from providers.wire.core.jsonio import dumps

Kind = Literal["model", "changed", "inserted", "removed"]
_LOOK_AHEAD: Final = 400
_MARKS: Final = ("cache_control", "cacheControl")


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a prompt in the order of the cache."""

    path: str
    digest: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Break:
    """The first difference. `kept_bytes` of the earlier prompt's `total_bytes` come before it."""

    path: str
    kind: Kind
    kept_bytes: int
    total_bytes: int
    now: bytes = b""
    """Digest of what is at that place now, empty when nothing is."""
    before: bytes = b""

    @property
    def kept_share(self) -> float:
        """How much of the earlier prompt could still be read from the cache, from 0 to 1."""
        return self.kept_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class HookBodies:
    """A hook that rewrote the body: the parsed bodies before and after it."""

    name: str
    before: Any
    after: Any


def parts_of(body: Any) -> list[Part]:
    """The blocks of a request in any of the four wire formats; empty for anything else."""
    if isinstance(body, dict) and isinstance(body.get("request"), dict):
        body = body["request"]  # Code Assist wraps Google's format
    if not isinstance(body, dict):
        return []
    return [*_tools(body.get("tools")), *_system(body), *_messages(body)]


def find_break(now: Any, before: Any) -> Break | None:
    """The first place at which the prompt `now` no longer begins with the prompt `before`; None
    when it does.
    """
    old, new = parts_of(before), parts_of(now)
    total = sum(part.size_bytes for part in old)
    if not old or not new:
        return None
    if _model(now) != _model(before):
        return Break("model", "model", 0, total)
    kept = 0
    for index, part in enumerate(old):
        if index >= len(new):
            return Break(part.path, "removed", kept, total, before=part.digest)
        if new[index].digest != part.digest:
            return Break(*_difference(old, new, index), kept, total, new[index].digest, part.digest)
        kept += part.size_bytes
    return None


def broken_by_client(broken: Break, now: Any, before: Any) -> bool:
    """Whether the client itself made the difference.

    `now` and `before` are what it sent, this time and before.
    """
    client = find_break(now, before)
    if client is None:
        return False
    same_place = client.path == broken.path and (client.now, client.before) == (
        broken.now,
        broken.before,
    )
    return same_place or client.kept_bytes <= broken.kept_bytes


def culprit(broken: Break, hooks: Sequence[HookBodies]) -> str:
    """The hook of this request that put there what is new or took away what was there, "" when none
    of them did.
    """
    for hook in hooks:
        before, after = (
            {part.digest for part in parts_of(body)} for body in (hook.before, hook.after)
        )
        if broken.now in after - before or broken.before in before - after:
            return hook.name
        if broken.kind == "model" and _model(hook.before) != _model(hook.after):
            return hook.name
    return ""


def _difference(old: Sequence[Part], new: Sequence[Part], index: int) -> tuple[str, Kind]:
    ahead = {part.digest for part in new[index + 1 : index + _LOOK_AHEAD]}
    behind = {part.digest for part in old[index + 1 : index + _LOOK_AHEAD]}
    here, there = new[index], old[index]
    if there.digest in ahead and here.digest not in behind:
        return here.path, "inserted"
    if here.digest in behind and there.digest not in ahead:
        return there.path, "removed"
    # A shorter list of tools makes the system prompt follow at once: what went missing is the tool.
    return (there.path if _place(there.path) != _place(here.path) else here.path), "changed"


def _place(path: str) -> str:
    return path.partition("[")[0]


def _model(body: Any) -> Any:
    return body.get("model") if isinstance(body, dict) else None


def _tools(tools: Any) -> Iterator[Part]:
    for number, tool in enumerate(tools if isinstance(tools, list) else []):
        declared = tool.get("functionDeclarations") if isinstance(tool, dict) else None
        for single in declared if isinstance(declared, list) else [tool]:
            name = _tool_name(single)
            yield _part(f"tools[name={name}]" if name else f"tools[{number}]", single)


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    name = tool.get("name") or (function.get("name") if isinstance(function, dict) else None)
    return name if isinstance(name, str) else ""


def _system(body: dict[str, Any]) -> Iterator[Part]:
    for key in ("system", "instructions", "systemInstruction", "system_instruction"):
        value = body.get(key)
        if isinstance(value, dict):
            value = value.get("parts")
        if isinstance(value, str):
            value = [{"type": "text", "text": value}] if key == "system" else [value]
        for number, block in enumerate(value if isinstance(value, list) else []):
            if not _is_billing(block):
                yield _part(f"{key}[{number}]", block)


def _is_billing(block: Any) -> bool:
    return isinstance(block, dict) and str(block.get("text", "")).startswith(BILLING_HEADER)


def _messages(body: dict[str, Any]) -> Iterator[Part]:
    for key, inside in (("messages", "content"), ("input", "content"), ("contents", "parts")):
        value = body.get(key)
        for number, message in enumerate([value] if isinstance(value, str) else value or []):
            path = f"{key}[{number}]"
            if not isinstance(message, dict):
                yield _part(path, message)
                continue
            blocks = message.get(inside)
            if isinstance(blocks, str):
                blocks = [{"type": "text", "text": blocks}]
            shell = {name: field for name, field in message.items() if name != inside}
            if not isinstance(blocks, list) or not blocks:
                yield _part(path, message)
                continue
            for at, block in enumerate(blocks):
                yield _part(path if len(blocks) == 1 else f"{path}.{inside}[{at}]", [shell, block])


def _part(path: str, value: Any) -> Part:
    value = _unmarked(value)
    try:
        size = len(dumps(value))
    except (ValueError, TypeError, RecursionError):
        size = len(repr(value))
    return Part(path, digest(value), size)


def _unmarked(value: Any) -> Any:
    """Without cache marks, at the depths where vendors put them, and with one way to write a
    text.
    """
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, dict):
        plain = {key: item for key, item in value.items() if key not in _MARKS}
        if isinstance(plain.get("content"), list):
            plain["content"] = [_unmarked(item) for item in plain["content"]]
        return plain
    return value
