"""A look at the parts of a history finds each mark that has to be taken out."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base.names import WireFormatName
from providers.wire.marks.marked_history import has_marks, is_told
from providers.wire.marks.native_request import may_have_marks, without_marks
from providers.wire.rules.replay import carry_in_id, seal
from tests.providers.wire.asking import A, C, G, R

Json = dict[str, Any]
TEXTS = st.sampled_from(
    ["hi", "", "ccproxy1:x", "a __sig_ b", "__n_", "ccproxy1_", '"signature":""']
)
IDS = st.sampled_from(
    [
        "toolu_01A",
        "call_1",
        "",
        "f:0__n_0123456789ab",
        carry_in_id("fc1", "QUJD"),
        "srvtoolu_ccproxy1_00",
        "ws_ccproxy1_00",
        None,
        7,
    ]
)
SIGNATURES = st.sampled_from(["EqMB", "", seal(R, "ENC", "rs_1"), seal(A, "SIG"), 3])


def part(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(fields)


CITATIONS = st.lists(part(encrypted_index=SIGNATURES), max_size=2)
PARTS = st.one_of(
    part(type=st.just("text"), text=TEXTS),
    part(type=st.just("text"), text=TEXTS, citations=CITATIONS),
    part(type=st.just("tool_use"), id=IDS, name=TEXTS, input=part(id=IDS, text=TEXTS)),
    part(type=st.just("tool_result"), tool_use_id=IDS, content=TEXTS),
    part(type=st.just("server_tool_use"), id=IDS, name=TEXTS),
    part(type=st.just("thinking"), thinking=TEXTS, signature=SIGNATURES),
    part(type=st.just("redacted_thinking"), data=SIGNATURES.filter(bool)),
    part(type=st.just("function_call"), call_id=IDS, id=IDS, arguments=TEXTS),
    part(type=st.just("reasoning"), id=IDS, encrypted_content=SIGNATURES),
    st.sampled_from([None, 3, "x", [], {}]),
)
LISTS = st.lists(PARTS, max_size=4)
MESSAGES = st.one_of(
    part(role=st.just("user"), content=st.one_of(LISTS, TEXTS)),
    part(role=st.just("assistant"), content=st.one_of(LISTS, TEXTS), tool_calls=LISTS),
    part(role=st.just("tool"), tool_call_id=IDS, content=TEXTS),
    PARTS,
)
HISTORIES = st.lists(MESSAGES, max_size=5)


@pytest.mark.parametrize("wire_format", [A, C, R])
@given(history=HISTORIES)
def test_what_has_to_go_is_seen(wire_format: WireFormatName, history: list[Any]) -> None:
    body = {("input" if wire_format == R else "messages"): history}
    before = copy.deepcopy(body)
    after, _ = without_marks(body, wire_format, "claude-opus-5-5")
    # A search of the bytes was the rule: whatever it led to is found.
    if may_have_marks(json.dumps(body).encode(), wire_format) and after is not body:
        assert has_marks(body, wire_format)
    assert body == before


@pytest.mark.parametrize("wire_format", [A, C, R])
def test_texts_that_speak_of_marks_are_no_marks(wire_format: WireFormatName) -> None:
    text = "ccproxy1:x __sig_ __n_ ccproxy1_"
    said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    called = {"type": "function_call", "call_id": "a", "arguments": text}
    assert not has_marks({"messages": [said, called], "input": [said, called]}, wire_format)


@pytest.mark.parametrize("odd", [None, 3, "x", [], [3, None, "x", {}], [{"role": 3}], {"a": 1}])
def test_odd_bodies_have_none(odd: Any) -> None:
    for wire_format in (A, C, R):
        for field in ("messages", "input"):
            assert not has_marks({field: odd}, wire_format)
            inner = {field: [{"role": "assistant", "content": odd, "tool_calls": odd}]}
            assert not has_marks(inner, wire_format)
    assert not is_told(G)
