"""Each message of a thread once, with its request, from as few requests as possible."""

from __future__ import annotations

import pytest

from flows.sessions.merged_turns import Step, merge
from providers.wire.core.ir import Block, Text, ToolCall, ToolResult, Turn


def user(text: str) -> Turn:
    return Turn("user", [Text(text)])


def said(text: str) -> Turn:
    return Turn("assistant", [Text(text)])


def shown(steps: list[Step]) -> list[str]:
    """A word for each step: the text and its exchange, or the mark."""
    words = []
    for step in steps:
        if step.turn is None:
            words.append(f"({step.mark} {step.exchange})")
        else:
            block = step.turn.blocks[0]
            assert isinstance(block, Text)
            words.append(f"{block.text}{'?' if step.exchange is None else step.exchange}")
    return words


class Requests:
    """Requests of a thread; notes which ones were read."""

    def __init__(self, *requests: list[Turn] | None) -> None:
        self.requests = requests
        self.read: list[int] = []

    def __call__(self, index: int) -> list[Turn] | None:
        self.read.append(index)
        return self.requests[index]


A, B, C, X = (user(name) for name in "abcx")
ONE, TWO, THREE = (said(name) for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("requests", "answers", "steps", "read"),
    [
        # Each request adds to the one before: the newest has everything.
        (
            [[A], [A, ONE, B], [A, ONE, B, TWO, C]],
            [ONE, TWO, THREE],
            ["a0", "one0", "b1", "two1", "c2", "three2"],
            [2],
        ),
        # A failed request was sent again.
        ([[A], [A], [A, TWO, B]], [None, TWO, THREE], ["a1", "(no response 0)", "two1", "b2", "three2"], [2]),
        # The client dropped a response.
        ([[A], [A], [A, TWO, B]], [ONE, TWO, THREE], ["a0", "one0", "two1", "b2", "three2"], [2, 0]),
        # The client summed its history up.
        (
            [[A], [A, ONE, B], [X, said("fine"), C]],
            [ONE, TWO, THREE],
            ["a0", "one0", "b1", "two1", "(new history 2)", "x2", "fine?", "c2", "three2"],
            [2, 1],
        ),
        # An earlier message is another one now.
        (
            [[A, ONE, B], [A, said("uno"), C]],
            [TWO, THREE],
            ["a0", "one?", "b0", "two0", "(replaced 1)", "uno?", "c1", "three1"],
            [1, 0],
        ),
        # Questions without a history of their own.
        ([[A], [B]], [ONE, TWO], ["a0", "one0", "b1", "two1"], [1, 0]),
        # A request that cannot be read.
        ([None, [A]], [ONE, TWO], ["one0", "a1", "two1"], [1, 0]),
        ([None], [None], ["(not read 0)"], [0]),
        ([], [], [], []),
    ],
)  # fmt: skip
def test_messages_are_merged(
    requests: list[list[Turn] | None], answers: list[Turn | None], steps: list[str], read: list[int]
) -> None:
    source = Requests(*requests)
    blocks = [answer.blocks if answer else [] for answer in answers]
    assert shown(merge(blocks, source)) == steps
    assert source.read == read


def test_responses_are_known_by_their_calls() -> None:
    def call(number: int) -> list[Block]:
        return [Text("Again."), ToolCall(f"id{number}", "Bash", "{}")]

    def result(number: int) -> Turn:
        return Turn("user", [ToolResult(f"id{number}", [Text("ok")])])

    first, second, third = call(1), call(2), call(3)
    turns = [A, Turn("assistant", first), result(1), Turn("assistant", second), result(2)]
    steps = merge([first, second, third], Requests(None, None, turns))
    assert [step.exchange for step in steps] == [0, 0, 1, 1, 2, 2]


def test_the_same_words_twice_are_two_messages() -> None:
    turns = [A, ONE, A, ONE, A]
    steps = merge([ONE.blocks, ONE.blocks, TWO.blocks], Requests(None, None, turns))
    assert shown(steps) == ["a0", "one0", "a1", "one1", "a2", "two2"]


def test_a_response_in_several_messages_is_one_step() -> None:
    answer: list[Block] = [Text("I look."), ToolCall("id1", "Bash", "{}")]
    turns = [A, Turn("assistant", [answer[0]]), Turn("assistant", [answer[1]]), B]
    steps = merge([answer, TWO.blocks], Requests(None, turns))
    assert shown(steps) == ["a0", "I look.0", "b1", "two1"]
