"""A session's transcript as one conversation: messages once, side conversations as blocks in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from flows.display.session_names import Opening, title_of
from flows.queries.sessions import Row, Session, Thread
from flows.reading.conversation.conversation_view import conversation, turn_views
from flows.reading.conversation.folds import Fold
from flows.reading.conversation.images import images
from flows.reading.conversation.item import TurnView
from flows.reading.decoded import Answer
from flows.sessions.exchange_reader import Exchange, ExchangeReader
from flows.sessions.merged_turns import Mark, Step, merge
from providers.wire.core.ir import Block, Media, Request, ToolCall, ToolResult, Turn

ImageSource = Callable[[str, int, Media], str]
"""Flow, number of an image in its request, the image → its address."""
_MAX_TITLE_CHARS: Final = 120
_OPEN_RESULT_BYTES: Final = 300
"""A conversation shows only short results of tools unfolded, and those that failed."""


@dataclass(slots=True)
class Entry:
    """One message, or a mark. `row` is its request; `branches` begin while it is answered."""

    view: TurnView | None
    row: Row | None
    turn: Turn | None = None
    results: list[ToolResult] = field(default_factory=list)
    """Results of the calls in `turn`."""
    mark: Mark = ""
    answer: Answer | None = None
    branches: list[Branch] = field(default_factory=list)

    @property
    def is_response(self) -> bool:
        """True for a response of a recorded request."""
        return self.answer is not None and self.view is not None


@dataclass(slots=True)
class Branch:
    """A conversation beside the main one: a sub-agent, a helper's question."""

    thread: Thread
    title: str
    entries: list[Entry]


@dataclass(slots=True)
class Story:
    """The main conversation with its branches.

    `before` are branches that began before the main conversation. `unread` counts requests that
    were left out because they are too large together.
    """

    entries: list[Entry] = field(default_factory=list)
    before: list[Branch] = field(default_factory=list)
    system: Fold | None = None
    tools: Fold | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    """The session's requests in order, as far as they were read."""
    unread: int = 0
    hidden: int = 0
    """Earlier messages of the main conversation that were left out."""


def story(
    session: Session,
    image_source: ImageSource,
    *,
    keep_bodies: bool = False,
    newest: int | None = None,
) -> Story:
    """Read a session's stored bodies into one conversation.

    Queries: three, and one for each batch of requests that the newest ones do not contain.

    Args:
        newest: number of messages of the main conversation that are enough; None for all.
    """
    reader = ExchangeReader([row.flow for row in session.rows], keep_bodies=keep_bodies)
    threads = _by_thread(session.rows, reader.exchanges)
    reader.prefetch(members[-1][1] for members in threads.values())
    told = Story(exchanges=reader.exchanges)
    branches = []
    for thread in session.threads:
        members = threads[thread.key]
        steps, origin = _steps(members, reader)
        shown = steps[-newest:] if newest is not None and thread.main else steps
        entries = _entries(shown, members, origin, image_source)
        if thread.main:
            told.entries = entries
            told.hidden = sum(map(_is_shown, steps[: len(steps) - len(shown)]))
            _add_folds(told, members)
        else:
            branches.append(Branch(thread, _title(members), entries))
    _place(branches, told)
    told.unread = reader.left_out
    return told


_Members = list[tuple[Row, Exchange]]


def _by_thread(rows: Sequence[Row], exchanges: Sequence[Exchange]) -> dict[str, _Members]:
    threads: dict[str, _Members] = {}
    for row, exchange in zip(rows, exchanges, strict=True):
        members = threads.setdefault(row.thread.key, [])
        for turn in exchange.earlier:
            members.append((_row_of_turn(row, turn, is_last=False), turn))
        members.append((_row_of_turn(row, exchange, is_last=True), exchange))
    return threads


def _row_of_turn(row: Row, exchange: Exchange, *, is_last: bool) -> Row:
    """Return a row with the facts of one turn of a websocket; that of another flow as it is."""
    if exchange.turn is None:
        return row
    turn = exchange.turn.turn
    return replace(
        row,
        flow=exchange.turn.flow,
        since_ms=row.since_ms + turn.began_ms,
        cache_share=exchange.turn.cache_share,
        cache_lost=bool(exchange.turn.lost_tokens) and not turn.is_rewind,
        turn=0 if is_last else turn.number,
        rewound=turn.is_rewind,
    )


_Origin = dict[int, tuple[str, int]]


def _steps(members: _Members, reader: ExchangeReader) -> tuple[list[Step], _Origin]:
    """Return the steps of a thread, and by image the flow that has it, with its number there."""
    exchanges = [exchange for _, exchange in members]
    origin: _Origin = {}

    def turns_of(index: int) -> list[Turn] | None:
        request = reader.request(exchanges, index)
        if request is None:
            return None
        for number, media in enumerate(images(request)):
            origin[id(media)] = (exchanges[index].flow.pk, number)
        return request.turns

    answers: list[Sequence[Block]] = [exchange.answer.blocks for exchange in exchanges]
    return merge(answers, turns_of), origin


def _is_shown(step: Step) -> bool:
    # Results of tools stand with their calls.
    blocks = step.turn.blocks if step.turn else []
    return bool(step.mark) or not all(isinstance(block, ToolResult) for block in blocks)


def _entries(
    steps: Sequence[Step], members: _Members, origin: _Origin, image_source: ImageSource
) -> list[Entry]:
    exchanges = [exchange for _, exchange in members]
    views = _views(steps, exchanges, origin, image_source)
    results = _results(steps)
    entries = []
    for number, step in enumerate(steps, 1):
        entry = _entry(step, views.get(number), members, results)
        # A message that held only results is empty: each result stands with its call.
        if entry.view is not None or entry.mark:
            entries.append(entry)
    return entries


def _views(
    steps: Sequence[Step],
    exchanges: Sequence[Exchange],
    origin: _Origin,
    image_source: ImageSource,
) -> dict[int, TurnView]:
    """Return the view of each step that is a message, by the step's number from 1."""
    turns = [step.turn or Turn("user", []) for step in steps]
    wires = [exchange.wire for exchange in exchanges if exchange.wire]
    if not wires:
        return {}
    request = Request(wires[-1], turns=turns)
    numbered = list(images(request))

    def address(number: int) -> str:
        media = numbered[number]
        flow_id, original = origin.get(id(media), ("", 0))
        return image_source(flow_id, original, media) if flow_id else ""

    views = {view.number or 0: view for view in turn_views(request, address)}
    for view in views.values():
        _fold_results(view)
    return views


def _fold_results(view: TurnView) -> None:
    for item in view.items:
        for result in (item, *item.results):
            is_short = result.size_bytes <= _OPEN_RESULT_BYTES or result.failed
            if result.kind == "result" and not is_short:
                result.folded = True


_Results = dict[str, list[ToolResult]]


def _results(steps: Sequence[Step]) -> _Results:
    results: _Results = {}
    for step in steps:
        for block in step.turn.blocks if step.turn else ():
            if isinstance(block, ToolResult):
                results.setdefault(block.call_id, []).append(block)
    return results


def _entry(step: Step, view: TurnView | None, members: _Members, results: _Results) -> Entry:
    entry = Entry(view, None, step.turn, mark=step.mark)
    for block in step.turn.blocks if step.turn else ():
        if isinstance(block, ToolCall):
            entry.results += results.get(block.id, [])
    if step.exchange is None:
        return entry
    entry.row, exchange = members[step.exchange]
    is_answer = step.turn is not None and step.turn.role == "assistant"
    if is_answer or step.mark == "no response":
        entry.answer = exchange.answer
    return entry


def _title(members: _Members) -> str:
    openings = [Opening("", row.flow.asked, None) for row, _ in members]
    return title_of(openings)[:_MAX_TITLE_CHARS]


def _add_folds(told: Story, members: _Members) -> None:
    for _, exchange in reversed(members):
        if exchange.request is not None:
            bare = Request(
                exchange.request.source,
                system=exchange.request.system,
                tools=exchange.request.tools,
            )
            chat = conversation(bare, None, lambda number: "")
            told.system = chat.system
            told.tools = chat.tools
            return


def _place(branches: Sequence[Branch], told: Story) -> None:
    """Put each branch behind the last response that was asked for before the branch began."""
    for branch in branches:
        began = _began(branch.entries)
        place: Entry | None = None
        for entry in told.entries:
            if not entry.is_response or entry.row is None:
                continue
            if began is not None and entry.row.since_ms > began:
                break
            place = entry
        if place is None:
            told.before.append(branch)
        else:
            place.branches.append(branch)


def _began(entries: Sequence[Entry]) -> float | None:
    times = [entry.row.since_ms for entry in entries if entry.row is not None]
    return min(times, default=None)


def all_entries(told: Story) -> Iterator[Entry]:
    """Yield the entries of all conversations in the order in which they are shown."""
    for branch in told.before:
        yield from branch.entries
    for entry in told.entries:
        yield entry
        for branch in entry.branches:
            yield from branch.entries
