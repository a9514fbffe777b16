"""What came of a header is kept as long as no other secret is known, and in bounds."""

from __future__ import annotations

import hashlib

import pytest

from flows.redaction import memo, redactor
from flows.redaction.memo import Seen
from flows.redaction.redactor import Redactor, mark
from providers.auth.registry import SecretRegistry

KEY = "sk-ant-oat01-Zq8vT3/x+Lw0Rk5Bn7Yc2Md9Pf4Hs6Jg1Ae"
HEADERS = (
    ("x-api-key", "my-own-key-0123456789"),
    ("X-Echo", KEY),
    ("cookie", "a=1x"),
    ("referer", "https://h/?code=abc"),
    ("empty", ""),
)


def test_the_same_comes_out_again() -> None:
    subject = Redactor(SecretRegistry())
    first = subject.headers(HEADERS)
    assert subject.headers(HEADERS) == first
    assert first == [[name, subject.header(name, value)] for name, value in HEADERS]
    assert first[0] == ["x-api-key", mark("my-own-key-0123456789")]


def test_headers_seen_before_are_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Redactor(SecretRegistry())
    first = subject.headers(HEADERS), subject.url("/x?key=abc"), subject.text("text")
    monkeypatch.setattr(subject, "_cut", lambda value, known=None: pytest.fail("searched"))
    assert (subject.headers(HEADERS), subject.url("/x?key=abc"), subject.text("text")) == first


def test_nothing_seen_is_used_when_another_secret_is_known() -> None:
    registry = SecretRegistry()
    subject = Redactor(registry)
    url = f"/x?beta=1&echo={KEY}"
    assert (subject.headers(HEADERS)[1], subject.url(url), subject.text(KEY)) == (
        ["X-Echo", KEY],
        url,
        KEY,
    )
    registry.add(KEY)
    assert subject.headers(HEADERS)[1] == ["X-Echo", mark(KEY)]
    assert (subject.url(url), subject.text(KEY)) == (f"/x?beta=1&echo={mark(KEY)}", mark(KEY))
    echo = (("echo", HEADERS[0][1]),)
    assert subject.headers(echo) == [list(echo[0])]
    subject.learn(HEADERS)
    assert subject.headers(echo) == [["echo", mark(HEADERS[0][1])]]


def test_a_credential_seen_before_is_learned_again_when_it_was_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redactor, "LEARNED_SECRETS", 2)
    subject = Redactor(SecretRegistry())
    keys = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
    for key in (*keys, keys[0]):
        subject.learn((("x-api-key", key),))
    assert subject.text(keys[0]) == mark(keys[0])
    assert subject.text(keys[1]) == keys[1]


def test_what_was_worked_out_too_early_is_not_taken_for_new() -> None:
    held: Seen[str, str] = Seen()
    before = held.at(1)
    held.at(2)
    before.put("text", "as of one", 4)
    assert held.at(2).get("text") is None


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST_TEXTS", 10)
    monkeypatch.setattr(memo, "MOST_CHARS", 5)
    held: Seen[int, str] = Seen()
    for number in range(25):
        assert held.at(0).put(number, "text", 4) == "text"
        assert held.at(0).put(-number, "longer", 6) == "longer"
        assert 0 <= len(held.at(0)) <= 10
    assert held.at(0).get(24) == "text"
    assert held.at(0).get(-24) is None
