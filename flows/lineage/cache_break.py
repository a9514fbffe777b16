"""First difference between two prompts, where the prompt cache broke, and its author. Pure.

A request that only adds to the end of the earlier prompt keeps the cache; any other one loses it
from the first difference on. `flows.lineage.prompt_parts` says what a prompt consists of.

Example: the earlier prompt has the parts T S M1 M2 (400, 300, 200 and 100 bytes), the new one has
T S M1' M2 M3. The first difference is M1, so `find_break` returns `messages[0]`, "changed", with
700 of 1,000 bytes kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from flows.lineage.prompt_parts import Part, named_response, parts_of
from flows.reading.search_text import is_note

Kind = Literal["model", "changed", "inserted", "removed"]
Rewind = Literal["", "edited", "back"]
_LOOK_AHEAD: Final = 400


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
    rewind: Rewind = ""
    """The client went on from an earlier point: see `rewind_of`."""

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


def find_break(now: Any, before: Any) -> Break | None:
    """Return the first difference from the prompt `before`; None when `now` only adds to its end.

    Example: parts A B C before and A X C now → a break at B, "changed", with the bytes of A kept.
    """
    if named_response(now):
        now, before = _without_messages(now), _without_messages(before)
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
                rewind=rewind_of(old[index:], ()),
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
                rewind_of(old[index:], new[index:]),
            )
        kept += part.size_bytes
    return None


def _without_messages(body: Any) -> Any:
    return {**body, "input": []} if isinstance(body, dict) else body


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


def rewind_of(old: Sequence[Part], new: Sequence[Part]) -> Rewind:
    """Tell if a request went back, from the parts behind the common start of both prompts.

    A user who goes back to an earlier message, or edits the newest one, changes the prompt there.
    The cache of what comes before is not lost, and what comes behind is not wanted any more.
    Examples (a c e x are the user's, B D the model's), after T S a B c D e:

    - T S a B x      → "back": it leaves out D, and goes on from B with other words
    - T S a B        → "back"
    - T S a B c D x  → "edited": the newest message alone differs
    - T S x B c D e  → "": what the model said after the change is still there, so the cache broke

    Args:
        old: the rest of the earlier prompt, which is not empty.
        new: the rest of the later one.
    """
    is_in_messages = all(part.is_message for part in (*old[:1], *new[:1]))
    if not is_in_messages or any(part.is_reply for part in new):
        return ""
    # Clients empty old results, and add notes with the time: no user changes these.
    if new and _is_result(new[0]):
        return ""
    if any(part.is_reply for part in old):
        return "back"
    # Of the newest message the user's own words have to differ.
    before = {part.digest for part in old if _words(part)}
    now = {part.digest for part in new if _words(part)}
    return "edited" if before and now - before else ""


def _is_result(part: Part) -> bool:
    envelope, block = _pair(part)
    if str(envelope.get("type", "")).endswith("_output") or envelope.get("role") == "tool":
        return True
    return block.get("type") == "tool_result" or "functionResponse" in block


def _words(part: Part) -> str:
    """Return the text that a user wrote, "" for what a client adds and for results."""
    envelope, block = _pair(part)
    if _is_result(part) or envelope.get("role", "user") != "user":
        return ""
    text = block.get("text") or envelope.get("content")
    return text if isinstance(text, str) and not is_note(text) else ""


def _pair(part: Part) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a part's message, and its block; empty ones for what is no object."""
    is_pair = isinstance(part.value, list) and len(part.value) == 2
    envelope, block = part.value if is_pair else (part.value, {})
    return (
        envelope if isinstance(envelope, dict) else {},
        block if isinstance(block, dict) else {},
    )
