"""Results for headers are kept as long as no other secret is known, and within one bound."""

from __future__ import annotations

import hashlib

import pytest

from flows.redaction.incremental_search import SecretSet
from flows.redaction.memo import Memo
from flows.redaction.redactor import Redactor, mark
from flows.redaction.stored_texts import StoredTexts
from providers.auth.registry import SecretRegistry

KEY = "sk-ant-oat01-Zq8vT3/x+Lw0Rk5Bn7Yc2Md9Pf4Hs6Jg1Ae"
HEADERS = (
    ("x-api-key", "my-own-key-0a1b2c3d456789"),
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
    assert first[0] == ["x-api-key", mark("my-own-key-0a1b2c3d456789")]


def test_headers_seen_before_are_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Redactor(SecretRegistry())
    first = subject.headers(HEADERS), subject.url("/x?key=abc"), subject.text("text")
    monkeypatch.setattr(SecretSet, "search", lambda *_: pytest.fail("searched"))
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


def test_a_credential_seen_before_is_learned_again_when_it_was_forgotten() -> None:
    subject = Redactor(SecretRegistry(), learned_secrets=2)
    keys = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
    for key in (*keys, keys[0]):
        subject.learn((("x-api-key", key),))
    assert subject.text(keys[0]) == mark(keys[0])
    assert subject.text(keys[1]) == keys[1]


def test_what_was_computed_too_early_never_counts_as_current() -> None:
    memo = Memo()
    before = memo.at(1)
    memo.at(2)
    before.keep(before.texts, "text", "as of one", 4)
    assert memo.at(2).texts.get("text") is None


def test_one_bound_covers_all_functions() -> None:
    memo = Memo(max_chars=2000, max_text_chars=5)
    largest = 0
    for number in range(95):
        now = memo.at(0)
        text = f"{number:04}"
        assert now.keep(now.texts, text, "result", 4) == "result"
        assert now.keep(now.urls, text, "result", 4) == "result"
        assert now.keep(now.headers, ("name", text), "longer", 6) == "longer"
        assert now.headers == {}
        largest = max(largest, len(now.texts) + len(now.urls))
    assert memo.at(0).texts.get("0094") == "result"
    assert 10 < largest <= 20


def test_texts_for_storage_use_the_same_memo() -> None:
    subject = Redactor(SecretRegistry())
    texts = StoredTexts(subject)
    assert texts.texts(["model", "host\0"]) == ["model", "host\\x00"]
    assert texts.url("/v1?beta=1") == "/v1?beta=1"
    assert subject.generation().storable_texts == {"model": "model", "host\0": "host\\x00"}
    assert subject.generation().storable_urls == {"/v1?beta=1": "/v1?beta=1"}


def test_a_text_with_a_secret_is_not_kept_for_storage() -> None:
    registry = SecretRegistry()
    registry.add(KEY)
    subject = Redactor(registry)
    assert StoredTexts(subject).text(f"echo {KEY}") == f"echo {mark(KEY)}"
    assert subject.generation().storable_texts == {}
