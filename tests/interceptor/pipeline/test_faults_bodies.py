"""Bodies that are no clean JSON: halves of surrogates, other charsets, control characters, stacked
encodings.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.config.snapshot.schema import RuleConf
from interceptor.pipeline.body import Body, encode
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.request_path.open_exchange import asked_model
from interceptor.transform.match import Facts, first_match
from providers.base.pattern import compile_pattern

ENCODINGS = ["gzip", "deflate", "br", "zstd"]
# Any text at all, halves of surrogate pairs included.
ODD_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
HALF = r"\ud83d"


def is_clean(value: Any) -> bool:
    """True when no string of the value holds half a surrogate pair."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return True


@given(text=ODD_TEXT, key=ODD_TEXT, stack=st.lists(st.sampled_from(ENCODINGS), max_size=4))
def test_any_text_is_read_and_not_a_byte_changes(text: str, key: str, stack: list[str]) -> None:
    plain = json.dumps({"model": "m", "x": [{key: text}]}).encode()
    encoding = ", ".join(stack)
    body = Body(encode(plain, encoding), encoding)
    sent = body.data
    assert body.json["model"] == "m"
    assert is_clean(body.json)
    body.canonical()
    assert body.write_back() is None
    assert body.data is sent
    halves = any("\ud800" <= char <= "\udfff" for char in text + key)
    assert body.repaired == halves


@given(st.binary(max_size=30))
def test_bytes_in_a_string_never_hide_the_model(junk: bytes) -> None:
    junk = junk.replace(b'"', b"").replace(b"\\", b"")
    body = Body(b'{"model":"m","x":"' + junk + b'"}')
    assert body.peek()["model"] == "m"
    assert is_clean(body.peek())


@pytest.mark.parametrize(
    ("data", "text", "repaired"),
    [
        (b'\xef\xbb\xbf{"t":"x"}', "x", False),
        (b'{"t":"caf\xe9"}', "caf\ufffd", True),
        (b'{"t":"x \\ud83d y"}', "x \ufffd y", True),
        (b'{"t":"\\ud83d\\ude00"}', "\U0001f600", False),
        (b'{"t":"\\\\ud83d"}', HALF, False),
        (b'{"t":"a\tb\nc"}', "a\tb\nc", False),
        ('{"t":"x"}'.encode("utf-16"), "x", False),
        (b'{"t":"x","n":123456789012345678901234567890}', "x", False),
    ],
)
def test_known_oddities(data: bytes, text: str, repaired: bool) -> None:
    body = Body(data)
    assert body.peek()["t"] == text
    assert body.repaired == repaired
    body.json["added"] = 1
    assert body.write_back() is not None
    assert json.loads(body.data)["t"] == text


@pytest.mark.parametrize(
    ("data", "encoding", "reason"),
    [
        (b"", "", "no body"),
        (b'{"a": 1', "", "no JSON"),
        (b'{"a": NaN}', "", "NaN"),
        (b"x", "gzip", "gzip"),
        (b"x", "gzip, exotic", "exotic"),
        (b"x", ", ".join(["gzip"] * 5), "gzip"),
        (b"[" * 100_000, "", "deep"),
    ],
)
def test_the_problem_names_the_cause(data: bytes, encoding: str, reason: str) -> None:
    body = Body(data, encoding)
    assert body.peek() is None
    assert reason in body.problem


def test_stacked_encodings_are_applied_in_their_order() -> None:
    assert encode(b"x", "gzip, br") == encode(encode(b"x", "gzip"), "br")


@pytest.mark.parametrize(
    "body",
    [b'{"model":"m-1","t":"\\ud83d"}', b'\xef\xbb\xbf{"model":"m-1"}', b'{"model":"m-1","n":NaN}'],
)
def test_the_model_is_known_for_every_such_body(body: bytes) -> None:
    exchange = Exchange("f", "POST", "http", "h", 80, "/v1/messages", HeaderMap(), Body(body), {})
    assert asked_model(exchange) == "m-1"


def test_a_rule_finds_a_model_in_any_letter_case() -> None:
    rule = RuleConf(
        id=1,
        name="r",
        action="redirect",
        match_model=compile_pattern("^gpt-4o", any_case=True),
    )
    assert first_match([rule], Facts((), "/", "GPT-4o-mini")) is rule
    assert first_match([rule], Facts((), "/", "o-GPT-4")) is None
