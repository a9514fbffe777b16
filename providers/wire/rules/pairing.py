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
    """Merge consecutive turns of one role (not system). The given turns are not changed."""
    result: list[Turn] = []
    for turn in turns:
        last = result[-1] if result else None
        if last is not None and last.role == turn.role != "system" and last.name == turn.name:
            result[-1] = Turn(last.role, [*last.blocks, *turn.blocks], last.name)
        else:
            result.append(turn)
    return result


def paired(turns: list[Turn], losses: Losses) -> list[Turn]:
    """Return the turns with each call's result in the turn after it; see the module's text."""
    result: list[Turn] = []
    turns = merged(turns)
    if _in_order(turns):
        return turns
    position = 0
    while position < len(turns):
        turn = turns[position]
        position += 1
        group_start = position
        if turn.role == "assistant":
            result.append(turn)
        else:
            group_start -= 1
        while position < len(turns) and turns[position].role != "assistant":
            position += 1
        calls = (
            [block for block in turn.blocks if isinstance(block, ToolCall)]
            if turn.role == "assistant"
            else []
        )
        result.extend(_answers(calls, turns[group_start:position], losses))
    return result


def _in_order(turns: list[Turn]) -> bool:
    """Return whether every call has its result in the next turn, as in nearly every history."""
    calls: list[ToolCall] = []
    for turn in turns:
        if turn.role == "user":
            for index, block in enumerate(turn.blocks):
                if type(block) is ToolResult:
                    if index >= len(calls) or block.call_id != calls[index].id:
                        return False
                elif index < len(calls):
                    return False
            if len(turn.blocks) < len(calls) or (
                len(calls) > 1 and len({call.id for call in calls}) < len(calls)
            ):
                return False
            calls = []
        elif calls:
            return False
        elif turn.role == "assistant":
            calls = [block for block in turn.blocks if isinstance(block, ToolCall)]
    return True


def _answers(calls: list[ToolCall], group: list[Turn], losses: Losses) -> list[Turn]:
    """Return the turns after one assistant turn, its calls' results first."""
    if not calls and not any(
        isinstance(block, ToolResult) for turn in group for block in turn.blocks
    ):
        return group
    if not group:
        return group
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
        if kept or not turn.blocks:
            rest.append(Turn(turn.role, kept, turn.name, turn.extras))
    answers: list[Block] = []
    for call in calls:
        if call.id not in results:
            losses.add(
                "tool calls",
                f"The call {call.id!r} was never answered; a note says so to the model.",
            )
        answers.append(
            results.get(call.id) or ToolResult(call.id, [Text(NO_RESULT)], call.name, is_error=True)
        )
    if not answers:
        return merged(rest)
    if rest and rest[0].role == "user":
        rest[0] = Turn("user", [*answers, *rest[0].blocks], rest[0].name, rest[0].extras)
        return merged(rest)
    return merged([Turn("user", answers), *rest])


def _as_text(result: ToolResult) -> list[Block]:
    head = Text(f"Result of tool call {result.call_id}:")
    return [head, *(block for block in result.content if not isinstance(block, Foreign))]


def result_text(result: ToolResult) -> str:
    """Return the text parts of a result, joined by line ends."""
    if len(result.content) == 1 and isinstance(only := result.content[0], Text):
        return only.text
    return "\n".join(block.text for block in result.content if isinstance(block, Text))


def result_media(result: ToolResult) -> list[Media]:
    """Return the images and documents of a result."""
    return [block for block in result.content if isinstance(block, Media)]
