"""A request and its response as a conversation of readable items. Pure.

Each tool call shows its result. Example: a request with the messages user "List files", assistant
call `ls`, user result "a.py", and the response "There is a.py." → three messages (text, call with a
result inside, text); the message that held only the result is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flows.reading.conversation.folds import Fold, system_fold, tools_fold
from flows.reading.conversation.images import ImageUrl
from flows.reading.conversation.item import TurnView
from flows.reading.conversation.item_reader import ItemReader
from flows.reading.decoded import Answer
from flows.reading.turn_digest import common_turns, same_system, same_tools
from providers.wire.core.ir import Request

MAX_TURNS: Final = 40
MAX_ALL_TURNS: Final = 400


@dataclass(slots=True)
class Conversation:
    """All messages of a request, and its response.

    `hidden` messages at the start are left out; `same` messages the previous request had already.
    """

    system: Fold | None
    tools: Fold | None
    turns: list[TurnView]
    hidden: int
    same: int
    answer: TurnView | None


def conversation(
    request: Request,
    answer: Answer | None,
    image_url: ImageUrl,
    *,
    previous: Request | None = None,
    every: bool = False,
) -> Conversation:
    """Return the view of a request and its response.

    Without `every`, messages that the previous request had already are left out.
    """
    same = 0
    system_same = tools_same = None
    if previous is not None:
        same = common_turns(request.turns, previous.turns)
        system_same = same_system(request, previous)
        tools_same = same_tools(request, previous)

    hidden = _hidden_count(len(request.turns), same, every=every)
    reader = ItemReader(request, image_url, hidden)
    numbered = enumerate(request.turns[hidden:], hidden + 1)
    views = [reader.turn(turn, number) for number, turn in numbered]
    answer_view = None
    if answer is not None:
        items = [reader.item(block) for block in answer.blocks]
        answer_view = TurnView("assistant", "Response", items)
    return Conversation(
        system=system_fold(request, system_same),
        tools=tools_fold(request, tools_same),
        # A message that held only results is empty: each result stands with its call.
        turns=[view for view in views if view.items],
        hidden=hidden,
        same=same,
        answer=answer_view,
    )


def turn_views(request: Request, image_url: ImageUrl) -> list[TurnView]:
    """Return the views of all messages of a request; those that hold only results are left out."""
    reader = ItemReader(request, image_url, 0)
    numbered = enumerate(request.turns, 1)
    views = [reader.turn(turn, number) for number, turn in numbered]
    return [view for view in views if view.items]


def _hidden_count(count: int, same: int, *, every: bool) -> int:
    """Count the messages at the start that the page leaves out.

    Examples: 10 messages, 8 of them known → 8; 10 known of 10 → 0, because nothing else would be
    left to show; 100 messages, none known → 60.
    """
    if every:
        return max(0, count - MAX_ALL_TURNS)
    known = same if same < count else 0
    return max(known, count - MAX_TURNS)
