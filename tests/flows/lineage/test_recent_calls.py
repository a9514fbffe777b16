"""The recent calls of each scope: what is kept of them, and how much of it."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from flows.lineage.prompt_call import PromptCall
from flows.lineage.scope import RecentCalls, Scope

SCOPES = [Scope(f"session-{number}", "anthropic", "claude-cli", "", "") for number in range(4)]


def call(number: int, *, is_cut: bool = False, parts: int = 3) -> PromptCall:
    """One call, whose newest message is long."""
    made = PromptCall(
        id=f"flow-{number}",
        at=float(number),
        model="a-model",
        is_cached=not is_cut,
        digests=bytes(8 * parts),
        sizes=array("I", [5] * parts),
        replies=frozenset(),
        head=1,
        last_text="What is this? " * 100,
    )
    made.is_cut = is_cut
    return made


def test_the_newest_message_is_kept_of_cut_calls_alone() -> None:
    recent = RecentCalls()
    recent.put(SCOPES[0], [call(1), call(2, is_cut=True)])
    recent.add(SCOPES[0], call(3))
    recent.add(SCOPES[0], call(4, is_cut=True))
    kept = recent.of(SCOPES[0]) or []
    assert [(each.id, bool(each.last_text)) for each in kept] == [
        ("flow-1", False),
        ("flow-2", True),
        ("flow-3", False),
        ("flow-4", True),
    ]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(SCOPES), st.integers(0, 9), st.booleans(), st.integers(1, 40)),
        max_size=40,
    ),
    max_bytes=st.integers(1, 20_000),
)
def test_the_bound_holds_and_the_newest_scope_stays(
    steps: list[tuple[Scope, int, bool, int]], max_bytes: int
) -> None:
    recent = RecentCalls(max_bytes=max_bytes)
    for scope, number, is_cut, parts in steps:
        recent.add(scope, call(number, is_cut=is_cut, parts=parts))
        calls = [recent.of(each) or [] for each in SCOPES]
        recent.of(scope)
        held_bytes = sum(each.held_bytes for of_scope in calls for each in of_scope)
        assert held_bytes <= max_bytes or sum(map(bool, calls)) == 1
        assert f"flow-{number}" in {each.id for each in recent.of(scope) or []}
