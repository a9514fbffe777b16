"""The committed position is behind every stored frame up to the first that is not stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.handover.commit_order import CommitOrder


def test_it_works() -> None:
    order = CommitOrder(5)
    for end in (10, 20, 30):
        order.read(end)
    order.commit(20)
    assert (order.committed, order.pending) == (5, 3)
    order.commit(10)
    assert (order.committed, order.pending) == (20, 1)
    order.commit(30)
    assert (order.committed, order.pending) == (30, 0)


@given(st.data())
def test_no_frame_before_the_position_is_open(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 1000))
    order = CommitOrder(start)
    ends: list[int] = []
    stored: set[int] = set()
    last = start
    for _ in range(data.draw(st.integers(0, 40))):
        missing = [end for end in ends if end not in stored]
        stores: bool = data.draw(st.booleans())
        if missing and stores:
            end = data.draw(st.sampled_from(missing))
            stored.add(end)
            order.commit(end)
        else:
            last += data.draw(st.integers(8, 100))
            ends.append(last)
            order.read(last)
        open_ends = [end for end in ends if end not in stored]
        before = [end for end in ends if not open_ends or end < open_ends[0]]
        assert order.committed == (before[-1] if before else start)
        assert order.pending == len(ends) - len(before)
