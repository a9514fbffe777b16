"""First difference between two prompts, where the prompt cache broke, and its author. Pure.

Vendors cache the start of a prompt, in the order tools, system prompt, messages (Anthropic "Prompt
caching"; OpenAI "Prompt caching": "exact prefix matches"). A request that only adds to the end
keeps the cache; any other request loses it from the first difference on. Addresses are in the
vendor's own words: `tools[name=Bash]`, `system[1]`, `messages[82]`.

Example: the earlier prompt has the parts T S M1 M2 (400, 300, 200 and 100 bytes), the new one has
T S M1' M2 M3. The first difference is M1, so `find_break` returns `messages[0]`, "changed", with
700 of 1,000 bytes kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import orjson

from flows.reading.turn_digest import BILLING_HEADER, digest, digest_of_json
from providers.wire.core.jsonio import dumps

Kind = Literal["model", "changed", "inserted", "removed"]
_LOOK_AHEAD: Final = 400
_MARKS: Final = ("cache_control", "cacheControl")
_SYSTEM_KEYS: Final = ("system", "instructions", "systemInstruction", "system_instruction")
_MESSAGE_KEYS: Final = (("messages", "content"), ("input", "content"), ("contents", "parts"))
_MESSAGE_STARTS: Final = ("messages[", "input[", "contents[")


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a prompt in the order of the cache."""

    path: str
    digest: bytes
    size_bytes: int
    value: Any = field(default=None, compare=False, repr=False)
    """The block without cache marks; of a message's block a pair of envelope and block."""

    @property
    def is_message(self) -> bool:
        """The part belongs to the messages, behind tools and system prompt."""
        return self.path.startswith(_MESSAGE_STARTS)

    @property
    def is_reply(self) -> bool:
        """The model itself said this earlier: a text, a call, a thought."""
        is_pair = isinstance(self.value, list) and bool(self.value)
        envelope = self.value[0] if is_pair else self.value
        if not self.is_message or not isinstance(envelope, dict):
            return False
        role = envelope.get("role")
        if isinstance(role, str):
            return role in ("assistant", "model")
        # Items of the Responses API: calls and thoughts are the model's, outputs are not.
        kind = str(envelope.get("type", ""))
        return bool(kind) and kind != "message" and not kind.endswith("_output")


@dataclass(frozen=True, slots=True)
class Break:
    """The first difference. `kept_bytes` of the earlier prompt's `total_bytes` come before it."""

    path: str
    kind: Kind
    kept_bytes: int
    total_bytes: int
    now: bytes = b""
    """Digest of the new part at this address, empty when there is none."""
    before: bytes = b""
    """Digest of the earlier part at this address."""

    @property
    def kept_share(self) -> float:
        """Share of the earlier prompt that the cache could still serve, from 0 to 1."""
        if not self.total_bytes:
            return 0.0
        return self.kept_bytes / self.total_bytes


@dataclass(frozen=True, slots=True)
class HookBodies:
    """A hook that rewrote the body: the parsed bodies before and after it."""

    name: str
    before: Any
    after: Any


class _Difference(NamedTuple):
    path: str
    kind: Kind


def parts_of(body: Any) -> list[Part]:
    """Return the blocks of a request in any of the four wire formats; empty for anything else."""
    # Code Assist wraps Google's format.
    if isinstance(body, dict) and isinstance(body.get("request"), dict):
        body = body["request"]
    if not isinstance(body, dict):
        return []
    return [*_tools(body.get("tools")), *_system(body), *_messages(body)]


def find_break(now: Any, before: Any) -> Break | None:
    """Return the first difference from the prompt `before`; None when `now` only adds to its end.

    Example: parts A B C before and A X C now → a break at B, "changed", with the bytes of A kept.
    """
    old = parts_of(before)
    new = parts_of(now)
    if not old or not new:
        return None
    total = sum(part.size_bytes for part in old)
    if _model(now) != _model(before):
        return Break("model", "model", 0, total)

    kept = 0
    for index, part in enumerate(old):
        if index >= len(new):
            return Break(
                part.path,
                "removed",
                kept,
                total,
                before=part.digest,
            )
        current = new[index]
        if current.digest != part.digest:
            difference = _difference(old, new, index)
            return Break(
                difference.path,
                difference.kind,
                kept,
                total,
                current.digest,
                part.digest,
            )
        kept += part.size_bytes
    return None


def broken_by_client(broken: Break, now: Any, before: Any) -> bool:
    """Check whether the client itself made the difference.

    `now` and `before` are the bodies that the client sent, this time and the time before.
    """
    client = find_break(now, before)
    if client is None:
        return False
    # A break earlier in the client's own prompt breaks the forwarded one in any case.
    if client.kept_bytes <= broken.kept_bytes:
        return True
    same_digests = client.now == broken.now and client.before == broken.before
    return client.path == broken.path and same_digests


def culprit(broken: Break, hooks: Sequence[HookBodies]) -> str:
    """Return the hook that added the new part or removed the earlier one; "" when none did."""
    for hook in hooks:
        before = {part.digest for part in parts_of(hook.before)}
        after = {part.digest for part in parts_of(hook.after)}
        added = after - before
        removed = before - after
        if broken.now in added or broken.before in removed:
            return hook.name
        if broken.kind == "model" and _model(hook.before) != _model(hook.after):
            return hook.name
    return ""


def _difference(old: Sequence[Part], new: Sequence[Part], index: int) -> _Difference:
    """Name the difference at `index` by what follows it.

    Examples: A B → A X B is "inserted" at X, A X B → A B is "removed" at X, A B → A X is "changed".
    """
    old_part = old[index]
    new_part = new[index]
    # Only so far: a prompt has thousands of parts, and a part that moved further is a new one.
    following = slice(index + 1, index + _LOOK_AHEAD)
    later_in_new = {part.digest for part in new[following]}
    later_in_old = {part.digest for part in old[following]}
    old_comes_later = old_part.digest in later_in_new
    new_came_later = new_part.digest in later_in_old
    if old_comes_later and not new_came_later:
        return _Difference(new_part.path, "inserted")
    if new_came_later and not old_comes_later:
        return _Difference(old_part.path, "removed")
    # After a shorter list of tools the system prompt follows at once: the tool is what is missing.
    if _section(old_part.path) != _section(new_part.path):
        return _Difference(old_part.path, "changed")
    return _Difference(new_part.path, "changed")


def _section(path: str) -> str:
    return path.partition("[")[0]


def _model(body: Any) -> Any:
    return body.get("model") if isinstance(body, dict) else None


def _tools(tools: Any) -> Iterator[Part]:
    if not isinstance(tools, list):
        return
    for number, tool in enumerate(tools):
        # Google puts all functions into one tool.
        functions = tool.get("functionDeclarations") if isinstance(tool, dict) else None
        declarations = functions if isinstance(functions, list) else [tool]
        for declaration in declarations:
            name = _tool_name(declaration)
            path = f"tools[name={name}]" if name else f"tools[{number}]"
            yield _part(path, declaration)


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    name = tool.get("name")
    function = tool.get("function")
    if not name and isinstance(function, dict):
        name = function.get("name")
    return name if isinstance(name, str) else ""


def _system(body: dict[str, Any]) -> Iterator[Part]:
    for key in _SYSTEM_KEYS:
        for number, block in enumerate(_system_blocks(key, body.get(key))):
            if not _is_billing(block):
                yield _part(f"{key}[{number}]", block)


def _system_blocks(key: str, value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = value.get("parts")
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        return []
    # Anthropic takes a string for a list with one text; both fill the cache with the same bytes.
    return [_text_block(value)] if key == "system" else [value]


def _is_billing(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    return str(block.get("text", "")).startswith(BILLING_HEADER)


def _messages(body: dict[str, Any]) -> Iterator[Part]:
    for key, blocks_key in _MESSAGE_KEYS:
        value = body.get(key)
        # The Responses API takes a plain string as `input`.
        messages = [value] if isinstance(value, str) else value
        if not isinstance(messages, list):
            continue
        for number, message in enumerate(messages):
            yield from _message_parts(f"{key}[{number}]", message, blocks_key)


def _message_parts(path: str, message: Any, blocks_key: str) -> Iterator[Part]:
    """Yield one part a block, each with the message's other fields.

    Example: `{"role": "user", "content": [a, b]}` → `messages[3].content[0]` is
    `[{"role": "user"}, a]`, and `messages[3].content[1]` is `[{"role": "user"}, b]`.
    """
    if not isinstance(message, dict):
        yield _part(path, message)
        return
    blocks = message.get(blocks_key)
    if isinstance(blocks, str):
        blocks = [_text_block(blocks)]
    if not isinstance(blocks, list) or not blocks:
        yield _part(path, message)
        return
    envelope = {name: value for name, value in message.items() if name != blocks_key}
    if len(blocks) == 1:
        yield _part(path, [envelope, blocks[0]])
        return
    for index, block in enumerate(blocks):
        yield _part(f"{path}.{blocks_key}[{index}]", [envelope, block])


def _text_block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _part(path: str, value: Any) -> Part:
    value = _unmarked(value)
    try:
        # The order of keys changes no size, so one encoding serves the size and the digest.
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _odd_part(path, value)
    return Part(path, digest_of_json(encoded), len(encoded), value)


def _odd_part(path: str, value: Any) -> Part:
    """Return the part of a value that orjson refuses, such as one with half a character."""
    try:
        size = len(dumps(value))
    except (ValueError, TypeError, RecursionError):
        size = len(repr(value))
    return Part(path, digest(value), size, value)


def _unmarked(value: Any) -> Any:
    """Return a value without cache marks, at the depths where vendors put them.

    Marks are no part of the prompt, and clients move them from message to message.
    """
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    unmarked = {key: item for key, item in value.items() if key not in _MARKS}
    content = unmarked.get("content")
    if isinstance(content, list):
        unmarked["content"] = [_unmarked(item) for item in content]
    return unmarked
