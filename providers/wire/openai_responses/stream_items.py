"""Output items of a Responses stream, found again by whatever its events name.

OpenAI's events have `output_index` and `item_id`. Servers leave one out, number every item 0, or
give an item a new id in each event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from providers.wire.core.ir import Block, JsonObject
from providers.wire.core.jsonio import dumps_text

MESSAGE: Final = "message"
CALL: Final = "call"
REASONING: Final = "reasoning"
_KINDS: Final = {
    "message": MESSAGE,
    "function_call": CALL,
    "custom_tool_call": CALL,
    "reasoning": REASONING,
}


def kind_of(item: JsonObject) -> str:
    """Return the kind of an item: message, call, reasoning, or the vendor's own type."""
    kind = str(item.get("type"))
    return _KINDS.get(kind, kind)


@dataclass(slots=True, eq=False)
class Part:
    """A block of an item, with the text that came so far. `key` is the sequencer's.

    `seen` holds the indices of a reasoning item's summaries and contents that came.
    """

    key: int
    block: Block
    texts: list[str] = field(default_factory=list)
    ready: bool = True
    cited: bool = False
    seen: set[tuple[str, Any]] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Item:
    """One item. `parts` are its blocks: a message's by index, otherwise one under None."""

    kind: str
    id: str | None
    index: Any
    call_id: str | None = None
    parts: dict[Any, Part] = field(default_factory=dict)
    done: bool = False


class Items:
    """The items of one response, in the order of their beginnings."""

    def __init__(self) -> None:
        self.all: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self._by_index: dict[Any, Item] = {}

    def begin(self, kind: str, item_id: Any, index: Any) -> Item:
        """Begin an item, or return the one of that id."""
        item_id = item_id if isinstance(item_id, str) and item_id else None
        if item_id is not None and (known := self._by_id.get(item_id)) and known.kind == kind:
            return known
        item = Item(kind, item_id, index)
        self.all.append(item)
        if item_id is not None:
            self._by_id[item_id] = item
        if index is not None:
            self._by_index[index] = item
        return item

    def of_event(self, kind: str, item_id: Any, index: Any) -> Item:
        """Return the item that a delta or an end means; begins it if there is none."""
        known = self._by_id.get(item_id) if isinstance(item_id, str) else None
        if known is not None and known.kind == kind:
            return known
        numbered = self._by_index.get(index) if index is not None else self._latest(kind)
        if numbered is not None and numbered.kind == kind and not numbered.done:
            return numbered
        return self.begin(kind, item_id, index)

    def of_output(self, raw: JsonObject, position: int, taken: list[Item]) -> Item | None:
        """Return the item that an entry of the final output repeats, or None for a new one."""
        kind = kind_of(raw)
        free = [item for item in self.all if item.kind == kind and item not in taken]
        for item in free:
            if item.id is not None and item.id == raw.get("id"):
                return item
            if item.call_id is not None and item.call_id == raw.get("call_id"):
                return item
        if kind == CALL:
            # A call that begins again under another id would be made twice; one without an id
            # was never named.
            return next((item for item in free if item.call_id is None), None)
        numbered = self._by_index.get(position)
        if numbered is not None and numbered in free:
            return numbered
        return free[0] if free else None

    def _latest(self, kind: str) -> Item | None:
        return next((item for item in reversed(self.all) if item.kind == kind), None)


def is_refusal(body: JsonObject) -> bool:
    """Return whether an event speaks of a refusal."""
    return str(body.get("type")).startswith("response.refusal")


def index_in(item: Item, index: int, raw: JsonObject) -> Any:
    """Return the index under which a part of a complete message was streamed.

    Some servers count the parts of a message and the reasoning before it together.
    """
    refusal = raw.get("type") == "refusal"
    if (index, refusal) in item.parts:
        return index
    full = str(raw.get("text") or raw.get("refusal") or "")
    for name, part in item.parts.items():
        sent = "".join(part.texts)
        if sent and name[1] == refusal and full.startswith(sent):
            return name[0]
    return index


def summary_of(body: JsonObject) -> tuple[str, Any]:
    """Return the position of a reasoning text in its item: of a summary or of a content."""
    if "summary_index" in body:
        return "summary", body["summary_index"]
    return "content", body.get("content_index")


def arguments_of(raw: JsonObject) -> str:
    """Return the arguments of a call, or the input of a free-form tool, as text."""
    value = raw.get("arguments")
    if value is None:
        value = raw.get("input")
    if value is not None and not isinstance(value, str):
        value = dumps_text(value)
    return value or ""
