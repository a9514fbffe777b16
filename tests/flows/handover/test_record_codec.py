"""Records and deltas come back as they were, whatever is in them."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum, StrEnum
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.handover import record_codec
from flows.handover.record_codec import (
    BODIES_DROPPED,
    DELTA,
    FINISHED,
    LAYOUT,
    decode,
    encode_delta,
    encode_parts,
    encode_record,
)
from flows.record import (
    AttemptRecord,
    FlowDelta,
    FlowRecord,
    HookStep,
    SideRecord,
    WebSocketRecord,
)
from interceptor.pipeline.hook import Stage
from tests.flows.records import flow, side

TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
for kind, strategy in (
    (str, TEXT),
    (bytes, st.binary(max_size=40)),
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
):
    st.register_type_strategy(kind, strategy)


def of(cls: Any) -> st.SearchStrategy[Any]:
    """Objects with every field drawn, also those that have default values."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{name: st.from_type(hint) for name, hint in hints.items()})


for part in (SideRecord, HookStep, AttemptRecord, WebSocketRecord):
    st.register_type_strategy(part, of(part))
RECORDS = of(FlowRecord)
quick = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(RECORDS)
@quick
def test_a_record_comes_back_as_it_was(record: FlowRecord) -> None:
    assert decode(FINISHED, encode_record(record)) == record


@given(of(FlowDelta))
@quick
def test_a_delta_comes_back_as_it_was(delta: FlowDelta) -> None:
    assert decode(DELTA, memoryview(encode_delta(delta))) == delta


def test_a_record_without_bodies_is_a_record() -> None:
    assert decode(FINISHED | BODIES_DROPPED, encode_record(flow())) == flow()


def test_shared_objects_stay_one() -> None:
    body = bytes(range(256)) * 4000
    headers = (("a", "b"),)
    record = flow(sides=(side("client", body, headers), side("forwarded", body, headers)))
    payload = encode_record(record)
    assert len(payload) < len(body) + 2000
    decoded = decode(FINISHED, payload)
    assert isinstance(decoded, FlowRecord)
    assert decoded.sides[0].body is decoded.sides[1].body
    assert decoded.sides[0].headers is decoded.sides[1].headers


class Status(IntEnum):
    OK = 200


class Method(StrEnum):
    POST = "POST"


def test_subclasses_of_basic_types_become_these() -> None:
    record = flow(status_code=Status.OK, method=Method.POST, metadata={Method.POST: "x"})
    decoded = decode(FINISHED, encode_record(record))
    assert isinstance(decoded, FlowRecord)
    assert decoded == record
    assert (type(decoded.status_code), type(decoded.method)) == (int, str)


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode_record(flow(error=object()))


def test_records_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = encode_record(flow())
    monkeypatch.setattr(record_codec, "LAYOUT", LAYOUT + 1)
    with pytest.raises(ValueError, match="another version"):
        decode(FINISHED, payload)


def test_damaged_records_are_refused() -> None:
    for payload in (b"", b"x", b"i\0\0\0\0", encode_record(flow())[:-900]):
        with pytest.raises(ValueError, match=r"damaged|marshal|unpack"):
            decode(FINISHED, payload)


def test_a_large_body_is_as_it_was() -> None:
    body = bytes(5_000_000)
    step = HookStep("outbound", "h", "ran", body_before=b"x" * 9000, body_after=body)
    message = WebSocketRecord(0, 1.0, True, False, b"y" * 10_000)
    sides = (side("client"), side("forwarded", b""), side("upstream", body))
    record = replace(flow(), sides=sides, hooks=(step,), messages=(message,))
    parts = encode_parts(record)
    assert [len(part) for part in parts[1:]] == [5_000_000, 9000, 10_000]
    assert parts[1] is body, "it is not copied before it is in the ring"
    decoded = decode(FINISHED, memoryview(b"".join(parts)))
    assert decoded == record
    assert isinstance(decoded, FlowRecord)
    assert decoded.hooks[0].body_after is decoded.sides[2].body


def test_the_stages_of_hooks_need_no_slow_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recorded flow has them."""
    monkeypatch.setattr(record_codec, "_plain", None)
    step = HookStep(Stage.INBOUND, "route", "ran")
    decoded = decode(FINISHED, encode_record(flow(hooks=(step, step))))
    assert isinstance(decoded, FlowRecord)
    assert [type(step.stage) for step in decoded.hooks] == [str, str]
    assert decoded.hooks[0] == step
