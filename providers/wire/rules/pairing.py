"""Order of turns that every vendor accepts.

Roles are merged, and each tool call's result comes first in the next turn. Anthropic requires that,
and OpenAI refuses a tool message without its call. Clients' histories break it when a user
interrupts a tool, when a history is cut, or when a Chat client puts a message between call and
result.
"""

from __future__ import annotations

from providers.wire.core.ir import Block, Foreign, Losses, Media, Text, ToolCall, ToolResult, Turn

NO_RESULT = "No result was recorded for this call."


def merged(turns: list[Turn]) -> list[Turn]:
    """Merge consecutive turns of one role (not system), in place."""
    result: list[Turn] = []
    last: Turn | None = None
    before = "system"
    for turn in turns:
        role = turn.role
        if last is not None and role == before != "system" and last.name == turn.name:
            last.blocks += turn.blocks
            last.extras = None
        else:
            result.append(turn)
            last, before = turn, role
    return result


def paired(turns: list[Turn], losses: Losses) -> list[Turn]:
    """Return the turns with each call's result in the turn after it.

    assistant[call 1, call 2], user["wait"], user[result 2] →
    assistant[call 1, call 2], user[no result for 1, result 2, "wait"]
    """
    turns = merged(turns)
    # Nearly every history is in order; the check is cheaper than building new turns.
    if _in_order(turns):
        return turns
    result: list[Turn] = []
    calls: list[ToolCall] = []
    group: list[Turn] = []
    for turn in turns:
        if turn.role != "assistant":
            group.append(turn)
            continue
        result.extend(_results_first(calls, group, losses))
        result.append(turn)
        calls, group = _calls_of(turn), []
    result.extend(_results_first(calls, group, losses))
    return result


def _calls_of(turn: Turn) -> list[ToolCall]:
    if ToolCall not in map(type, turn.blocks):
        return []
    return [block for block in turn.blocks if isinstance(block, ToolCall)]


def _in_order(turns: list[Turn]) -> bool:
    """Return whether every call has its result in the next turn, as in nearly every history."""
    calls: list[ToolCall] = []
    for turn in turns:
        if turn.role == "user":
            # Most messages of users are one text.
            is_text = len(turn.blocks) == 1 and type(turn.blocks[0]) is Text
            if (calls or not is_text) and not _begins_with_results(turn.blocks, calls):
                return False
            calls = []
        elif calls:
            return False
        elif turn.role == "assistant":
            calls = _calls_of(turn)
    return True


def _begins_with_results(blocks: list[Block], calls: list[ToolCall]) -> bool:
    """Return whether the results of the calls, in their order, are the first blocks, and no others.

    A loop without `zip`: long histories make this the hottest part of a request's translation.
    """
    count = len(calls)
    if len(blocks) < count:
        return False
    for index, block in enumerate(blocks):
        is_result = type(block) is ToolResult
        if is_result != (index < count):
            return False
        if is_result and block.call_id != calls[index].id:  # type: ignore[union-attr]
            return False
    # Two calls with one id cannot be told apart by their results.
    return count < 2 or len({call.id for call in calls}) == count


def _results_first(calls: list[ToolCall], group: list[Turn], losses: Losses) -> list[Turn]:
    """Return the turns after one assistant turn, its calls' results first."""
    # A history that ends with calls waits for their results; there is nothing to order yet.
    if not group:
        return group
    if not calls and not _has_results(group):
        return group
    results, rest = _taken_out(calls, group, losses)
    ordered: list[Block] = []
    for call in calls:
        found = results.get(call.id)
        if found is None:
            losses.add(
                "tool calls",
                f"The call {call.id!r} was never answered; a note says so to the model.",
            )
            found = ToolResult(call.id, [Text(NO_RESULT)], call.name, is_error=True)
        ordered.append(found)
    if not ordered:
        return merged(rest)
    if rest and rest[0].role == "user":
        first = rest[0]
        rest[0] = Turn("user", [*ordered, *first.blocks], first.name, first.extras)
        return merged(rest)
    return merged([Turn("user", ordered), *rest])


def _has_results(group: list[Turn]) -> bool:
    return any(isinstance(block, ToolResult) for turn in group for block in turn.blocks)


def _taken_out(
    calls: list[ToolCall], group: list[Turn], losses: Losses
) -> tuple[dict[str, ToolResult], list[Turn]]:
    """Split turns into the calls' results, by id, and the turns without them.

    A result without a call becomes text, because vendors refuse it (a loss).
    """
    wanted = {call.id for call in calls}
    results: dict[str, ToolResult] = {}
    rest: list[Turn] = []
    for turn in group:
        kept: list[Block] = []
        for block in turn.blocks:
            if not isinstance(block, ToolResult):
                kept.append(block)
            elif block.call_id in wanted and block.call_id not in results:
                results[block.call_id] = block
            else:
                losses.add(
                    "tool results",
                    f"The result of {block.call_id!r} has no call before it; it is sent as text.",
                )
                kept.extend(_as_text(block))
        # A turn of results alone has no blocks left; one that was empty before stays.
        if kept or not turn.blocks:
            rest.append(Turn(turn.role, kept, turn.name, turn.extras))
    return results, rest


def _as_text(result: ToolResult) -> list[Block]:
    named = f"tool call {result.call_id}" if result.call_id else "a tool call"
    head = Text(f"Result of {named}:")
    return [head, *(block for block in result.content if not isinstance(block, Foreign))]


def result_text(result: ToolResult) -> str:
    """Return the text parts of a result, joined by line ends."""
    if len(result.content) == 1 and type(only := result.content[0]) is Text:
        return only.text
    return "\n".join(block.text for block in result.content if isinstance(block, Text))


def result_media(result: ToolResult) -> list[Media]:
    """Return the images and documents of a result."""
    # The usual result is one text.
    if len(result.content) == 1 and type(result.content[0]) is Text:
        return []
    return [block for block in result.content if isinstance(block, Media)]
