"""Headers of a shaped request: order, what stays of the request, flags of both, edits by hooks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shapes.replay.header_stamp import ALWAYS_KEPT, Fields, stamp, values_by_name
from shapes.replay.query_merge import merge_query, shape_fields


def fields(*pairs: str) -> Fields:
    """Return fields of texts like "accept: */*"."""
    split = (pair.partition(": ") for pair in pairs)
    return tuple((name.encode(), value.encode()) for name, _, value in split)


SHAPE = fields("Accept: a", "anthropic-beta: b1,b2", "User-Agent: cli/2", "x-app: cli", "host: no")


def stamped(*current: str, preserved: str = "", edits: dict[str, tuple[str, ...]] | None = None):
    names = frozenset(preserved.split())
    return stamp(fields(*current), SHAPE, preserved=names, edits=edits or {})


def test_the_shapes_headers_leave_in_their_order_behind_host():
    found = stamped("accept: mine", "x-mine: 1", "Host: h", "content-length: 3", "x-ccproxy-a: 1")
    assert found.fields == fields(
        "Host: h", "Accept: a", "anthropic-beta: b1,b2", "User-Agent: cli/2", "x-app: cli",
        "content-length: 3", "x-ccproxy-a: 1",
    )  # fmt: skip
    assert found.dropped == ("x-mine",)
    assert found.origins["accept"] == "shape"
    assert found.origins["content-length"] == "client"


def test_a_preserved_header_keeps_its_value_at_the_shapes_position():
    found = stamped("user-agent: sdk/1", "authorization: t", preserved="user-agent authorization")
    assert found.fields[2] == (b"User-Agent", b"sdk/1")
    assert found.fields[-1] == (b"authorization", b"t")


def test_a_preserved_header_that_the_request_lacks_is_the_shapes():
    assert (b"User-Agent", b"cli/2") in stamped(preserved="user-agent").fields


def test_the_clients_own_flags_follow_the_shapes():
    found = stamped("anthropic-beta: b2, c1", "anthropic-beta: c2")
    assert values_by_name(found.fields)["anthropic-beta"] == (b"b1,b2,c1,c2",)
    assert found.origins["anthropic-beta"] == "both"


def test_a_flag_that_a_hook_removed_stays_removed():
    found = stamped("anthropic-beta: c", edits={"anthropic-beta": ("b2, c",)})
    assert values_by_name(found.fields)["anthropic-beta"] == (b"b1,c",)


def test_what_hooks_set_or_removed_stays_so():
    found = stamped(
        "x-team: a", "accept: json", edits={"x-team": (), "accept": ("b",), "x-app": ("c",)}
    )
    names = values_by_name(found.fields)
    assert (names["x-team"], names["accept"], "x-app" in names) == ((b"a",), (b"json",), False)


NAMES = st.sampled_from(
    ["accept", "Anthropic-Beta", "user-agent", "host", "content-length", "x-a", "X-B"]
)
VALUES = st.sampled_from([b"", b"a", b"a,b", b"b, c", b"\xff"])
FIELDS = st.lists(st.tuples(NAMES.map(str.encode), VALUES), max_size=6).map(tuple)
LOWER = st.frozensets(NAMES.map(str.lower))


@given(current=FIELDS, shape=FIELDS, preserved=LOWER, edited=LOWER)
def test_any_headers_can_be_stamped_and_keep_what_must_stay(current, shape, preserved, edited):
    edits = dict.fromkeys(edited, ())
    found = stamp(current, shape, preserved=preserved, edits=edits)
    now, after = values_by_name(current), values_by_name(found.fields)
    for name in (ALWAYS_KEPT | edited) - {"anthropic-beta"}:
        assert after.get(name) == now.get(name)
    for name in preserved & now.keys() - {"anthropic-beta"}:
        assert after[name] == now[name]
    assert after.keys() == found.origins.keys()
    assert set(found.dropped) == now.keys() - after.keys()
    again = stamp(found.fields, shape, preserved=preserved, edits=edits)
    assert values_by_name(again.fields) == after


def test_the_query_gains_what_it_lacks_and_never_a_credential():
    fields = shape_fields("?beta=true&key=secret&alt=sse")
    assert fields == ("beta=true", "alt=sse")
    assert merge_query("/v1/messages", fields) == "/v1/messages?beta=true&alt=sse"
    assert merge_query("/v1/messages?beta=x&a=%20", fields) == "/v1/messages?beta=x&a=%20&alt=sse"
    assert merge_query("/a?b", ()) == "/a?b"
