"""Streamed arguments that are no JSON object, for clients that read them as one."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.translate import StreamTranslator

from ..interleaved import sse
from ..sdk_answers import Digest, read

A, C, R = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
BROKEN = ['{"a": 1', '{"a": x}', '{"a":1}{"a":1}', "{'a': 1}", '{"a": "x', '{"a": NaN}', "{}}"]
WRAPPED = {'"s"': "s", "[1, {}]": [1, {}], "12": 12, "true": True, " 3": 3}
texts = st.one_of(
    st.sampled_from([*BROKEN, *WRAPPED, "", "{}", "nonsense", " \n", "null", '{"a": 1} ']),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2).map(json.dumps),
    st.text('{}[]":,a1 \\\n', max_size=12),
)


def chat(parts: list[str], finish: str, *, more: bool = False) -> bytes:
    """A chat stream with a call whose arguments come in these parts, and maybe another call."""
    starts: list[dict[str, Any]] = [{"index": 0, "id": "i", "function": {"name": "f"}}]
    starts += [{"index": 0, "function": {"arguments": part}} for part in parts]
    if more:
        starts.append({"index": 1, "id": "j", "function": {"name": "g", "arguments": "{}"}})
    deltas: list[dict[str, Any]] = [{"content": "a"}]
    deltas += [{"tool_calls": [start]} for start in starts]
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    return sse([{"id": "c", "choices": [choice]} for choice in choices], b"data: [DONE]\n\n")


def translated(raw: bytes, dst: Any = A) -> tuple[bytes, StreamTranslator]:
    stream = StreamTranslator(C, dst)
    return stream.feed(raw) + stream.flush(), stream


def object_of(text: str) -> Any:
    """The arguments of a call that can be delivered; None if the text is no JSON."""

    def refuse(name: str) -> Any:
        raise ValueError(name)  # NaN and Infinity are Python's alone

    try:
        value = json.loads(text, parse_constant=refuse) if text.strip() else {}
    except ValueError:
        return None
    return {} if value is None else value if isinstance(value, dict) else {"value": value}


def digest(raw: bytes) -> Digest:
    return read(A, raw, stream=True)


@given(text=texts, cuts=st.lists(st.integers(0, 12), max_size=3), more=st.booleans())
def test_a_call_arrives_as_an_object_or_the_stream_is_an_error(
    text: str, cuts: list[int], more: bool
) -> None:
    ends = [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    parts = [text[start:end] for start, end in pairwise(ends)]
    out, stream = translated(chat(parts, "tool_calls", more=more))
    wanted = object_of(text)
    if stream.failure is not None:
        # What begins with a brace has left when it turns out to be no JSON.
        assert wanted is None
        assert text.lstrip().startswith("{")
        assert "“f”" in stream.failure.message
        assert out.count(b"event: error\n") == 1
        assert out.count(b"event: content_block_stop\n") == 1  # the text's alone
        assert b"message_stop" not in out
        # The SDK may refuse the parts themselves, before it comes to the error.
        with pytest.raises((anthropic.APIStatusError, ValueError), match="JSON"):
            digest(out)
        return
    calls = digest(out).calls
    assert calls[0] == ("f", {"_raw": text} if wanted is None else wanted)
    assert len(calls) == 1 + more


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("more", [False, True])
def test_broken_arguments_end_the_stream(text: str, more: bool) -> None:
    _, stream = translated(chat([text[:3], text[3:]], "tool_calls", more=more))
    assert stream.failure is not None
    assert stream.failure.status == 502


@pytest.mark.parametrize(("text", "value"), WRAPPED.items())
def test_other_values_are_wrapped_with_a_loss(text: str, value: Any) -> None:
    out, stream = translated(chat([text[:1], text[1:]], "tool_calls"))
    assert digest(out).calls == [("f", {"value": value})]
    assert [loss.path for loss in stream.losses] == ["tool calls"]


def test_a_call_that_the_limit_cut_stays_as_it_is() -> None:
    out, stream = translated(chat(['{"a": 1, "b', '": "half'], "length"))
    assert stream.failure is None
    got = digest(out)
    assert (got.stop, got.calls) == ("length", [("f", {"a": 1})])


def test_arguments_that_come_at_once_are_wrapped_as_in_a_buffered_response() -> None:
    response = {"object": "response", "id": "r", "status": "completed"}
    call = {"type": "function_call", "id": "i", "call_id": "k", "name": "f", "arguments": '{"a'}
    body = {**response, "output": [call]}
    stream = StreamTranslator(R, A)
    out = stream.feed(json.dumps(body).encode()) + stream.flush()
    assert digest(out).calls == [("f", {"_raw": '{"a'})]


@pytest.mark.parametrize("dst", [R, C])
def test_clients_that_read_text_get_the_text(dst: Any) -> None:
    out, stream = translated(chat(['{"a": ', "x}"], "tool_calls"), dst)
    assert stream.failure is None
    assert b'{\\"a\\": ' in out
    assert b"x}" in out


@pytest.mark.parametrize("step", [1, 7])
def test_texts_and_long_arguments_stream_on(step: int) -> None:
    text = json.dumps({"a": "x" * 500})
    parts = [text[at : at + step] for at in range(0, len(text), step)]
    stream = StreamTranslator(C, A)
    raw = chat(parts, "tool_calls")
    events = [event + b"\n\n" for event in raw.split(b"\n\n")]
    sent = [stream.feed(event) for event in events]
    assert sum(b"input_json_delta" in out for out in sent) >= len(parts) - 1
    assert digest(b"".join(sent) + stream.flush()).calls == [("f", {"a": "x" * 500})]
