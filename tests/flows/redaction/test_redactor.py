"""Secrets never survive, everything else does."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.redaction.redactor import CUT_BYTES, LEARNED_SECRETS, Redactor, mark
from providers.auth.registry import SecretRegistry

KEY = "sk-ant-oat01-Zq8vT3/x+Lw0Rk5Bn7Yc2Md9Pf4Hs6Jg1Ae"
SENTINELS = ("sk-ant-oat-ccproxy-anthropic", "sk-ant-api03-ccproxy-zai", "sk-ccproxy-openai")

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "json": lambda text: json.dumps(text)[1:-1].encode(),
    "json with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/").encode(),
    "json, not ascii": lambda text: json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "url, lower-case hex": (
        lambda text: "".join(
            quote(char, safe="") if quote(char, safe="") == char else quote(char, safe="").lower()
            for char in text
        ).encode()
    ),
    "form": lambda text: quote_plus(text, safe="").encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, URL-safe": lambda text: base64.urlsafe_b64encode(text.encode()),
    "basic": lambda text: base64.b64encode(b"user:" + text.encode() + b"\n"),
    "hex": lambda text: text.encode().hex().encode(),
    "hex, upper case": lambda text: text.encode().hex().upper().encode(),
    "base64 at two": lambda text: base64.b64encode(b"ab" + text.encode() + b"tail"),
}
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def redactor(*secrets: str, **options: Any) -> Redactor:
    registry = SecretRegistry()
    for secret in secrets:
        registry.add(secret)
    return Redactor(registry, **options)


def test_it_works() -> None:
    assert (
        redactor(KEY).text(f"the key {KEY}, again {KEY}")
        == f"the key {mark(KEY)}, again {mark(KEY)}"
    )
    assert KEY not in mark(KEY)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_cut_out_in_every_encoding(encoding: str) -> None:
    data, changed = redactor(KEY).data(b"before " + ENCODINGS[encoding](KEY) + b" after")
    assert changed
    assert mark(KEY).encode() in data
    assert data.startswith(b"before ")
    assert data.endswith(b" after")
    for piece in (KEY, KEY[13:27], KEY[-14:]):
        assert ENCODINGS[encoding](piece).rstrip(b"=")[4:-4] not in data


@given(
    secret=st.text(
        st.characters(codec="utf-8", exclude_categories=["Zs", "Cc"]), min_size=8, max_size=60
    ),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    before=st.binary(max_size=20),
    after=st.binary(max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_no_registered_secret_survives(
    secret: str, encoding: str, before: bytes, after: bytes
) -> None:
    secret = secret.strip()
    if len(secret) < 8:
        return
    written = ENCODINGS[encoding](secret)
    data, changed = redactor(secret).data(before + written + after)
    assert changed
    # base64 keeps the bits it shares with its neighbours; the rest is gone
    assert written.rstrip(b"=")[4:-4] not in data or len(written) < 20
    assert written not in data
    assert secret.encode() not in data


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_pieces_of_fourteen_characters_are_found(data: st.DataObject) -> None:
    secret = data.draw(st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=14, max_size=120))
    start = data.draw(st.integers(0, len(secret) - 14))
    end = data.draw(st.integers(start + 14, len(secret)))
    redacted = redactor("sk-proj-" + secret).text(f"<{secret[start:end]}>")
    assert redacted == f"<{mark('sk-proj-' + secret)}>"


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_pieces_in_hex_are_found_wherever_they_stand(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(KEY) - 27))
    piece = KEY[13:][start : start + 14].encode().hex()
    before = "." * data.draw(st.integers(0, 9))
    text = redactor(KEY).text(f"{before}{piece}.")
    assert len(piece) < 28 or text == f"{before}{mark(KEY)}."


def test_shorter_pieces_and_public_prefixes_stay() -> None:
    text = f"{KEY[:13]} {KEY[20:33]} sk-ant-oat01-…"
    assert redactor(KEY).text(text) == text


def test_long_secrets_are_found_whole_and_cut() -> None:
    token = "eyJhbGciOiJSUzI1NiJ9." + "".join(
        hashlib.sha512(bytes([n])).hexdigest() for n in range(9)
    )
    subject = redactor(token)
    for piece in (
        token,
        token[:60],
        token[-14:],
        token[500:543],
        base64.b64encode(token.encode()).decode()[50:1200],
    ):
        assert subject.text(f"<{piece}>") == f"<{mark(token)}>"
    assert subject.text("eyJhbGciOiJSUzI1NiJ9.other") == "eyJhbGciOiJSUzI1NiJ9.other"


@pytest.mark.parametrize("at", [256 * 1024 - 7, 256 * 1024 - 1, 256 * 1024, 700_001])
def test_a_secret_is_found_anywhere_in_a_large_body(at: int) -> None:
    data, _ = redactor(KEY).data(b"-" * at + KEY.encode() + b"-" * 9)
    assert data == b"-" * at + mark(KEY).encode() + b"-" * 9


def test_overlapping_and_neighbouring_secrets_are_all_cut() -> None:
    one, two = "abcdefghijklmnop1", "nop1qrstuvwxyz234"
    redacted = redactor(one, two).text("-abcdefghijklmnop1qrstuvwxyz234-" + one + two + "-")
    assert "‹" in redacted
    for piece in ("abcdefgh", "qrstuvwx", "z234"):
        assert piece not in redacted


def test_a_secret_that_comes_later_is_cut_from_then_on() -> None:
    registry = SecretRegistry()
    late = Redactor(registry)
    assert late.text(KEY) == KEY
    registry.add(KEY)
    assert late.text(KEY) == mark(KEY)


@given(st.binary(max_size=300))
def test_bytes_without_a_secret_are_untouched(data: bytes) -> None:
    assert redactor(KEY).data(data) == (data, False)


@pytest.mark.parametrize("sentinel", SENTINELS)
def test_sentinels_stay_readable(sentinel: str) -> None:
    subject = redactor("sk-ant-api03-ccprivate-0123456789", sentinel)
    headers = (
        ("Authorization", f"Bearer {sentinel}"),
        ("x-api-key", sentinel),
        ("api-key", sentinel),
    )
    assert subject.headers(headers) == [[name, value] for name, value in headers]
    assert subject.url(f"/v1/models?key={sentinel}") == f"/v1/models?key={sentinel}"
    assert subject.text(sentinel) == sentinel


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc", f"Bearer {mark('abc')}"),
        ("authorization", "Basic dXNlcjpwYXNz", f"Basic {mark('dXNlcjpwYXNz')}"),
        ("Authorization", "whatever it is", mark("whatever it is")),
        ("Proxy-Authorization", "Bearer abc", f"Bearer {mark('abc')}"),
        ("X-Api-Key", "abc", mark("abc")),
        ("api-key", "abc", mark("abc")),
        ("x-goog-api-key", "abc", mark("abc")),
        ("x-ccproxy-token", "abc", mark("abc")),
        ("X-Auth-Token", "abcdefgh", mark("abcdefgh")),
        ("x-client-secret", "abcdefgh", mark("abcdefgh")),
        ("x_my_password", "abcdefgh", mark("abcdefgh")),
        ("Cookie", "a=1x; b=2y", f"a={mark('1x')}; b={mark('2y')}"),
        ("Set-Cookie", "sid=abc; Path=/; HttpOnly", f"sid={mark('abc')}; Path=/; HttpOnly"),
        (
            "Sec-WebSocket-Protocol",
            "realtime, openai-insecure-api-key.sk-abc, openai-beta.realtime-v1",
            f"realtime, openai-insecure-api-key.{mark('sk-abc')}, openai-beta.realtime-v1",
        ),
        ("Location", "https://h/cb?code=abc&state=1", f"https://h/cb?code={mark('abc')}&state=1"),
        ("anthropic-ratelimit-tokens-remaining", "123456789", "123456789"),
        ("x-ratelimit-limit-token", "123456789", "123456789"),
        ("x-goog-api-client", "gl-python/3.13", "gl-python/3.13"),
        ("idempotency-key", "stainless-python-retry-1", "stainless-python-retry-1"),
    ],
)
def test_headers_by_name(name: str, value: str, shown: str) -> None:
    assert redactor().headers(((name, value),)) == [[name, shown]]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "/v1beta/models/m:generate?alt=sse&key=AIzaXy",
            f"/v1beta/models/m:generate?alt=sse&key={mark('AIzaXy')}",
        ),
        (
            "https://h/p?API_KEY=a%2Fb#access_token=c",
            f"https://h/p?API_KEY={mark('a/b')}#access_token={mark('c')}",
        ),
        ("https://h/?%6bey=abc", f"https://h/?%6bey={mark('abc')}"),
        ("https://user:pw@h/x", f"https://{mark('user:pw')}@h/x"),
        ("/v1/messages?beta=true&monkey=1", "/v1/messages?beta=true&monkey=1"),
        ("/a@b?x=1", "/a@b?x=1"),
    ],
)
def test_urls_by_parameter_name(url: str, shown: str) -> None:
    assert redactor().url(url) == shown


def test_the_mark_is_the_same_wherever_the_secret_stands() -> None:
    subject = redactor(KEY)
    expected = mark(KEY)
    assert subject.header("authorization", f"Bearer {KEY}") == f"Bearer {expected}"
    assert subject.url(f"/x?key={quote(KEY, safe='')}") == f"/x?key={expected}"
    assert subject.text(KEY) == expected
    assert subject.header("x-echo", KEY) == expected


def test_a_credential_seen_in_a_header_is_cut_out_of_bodies_too() -> None:
    subject = redactor()
    subject.learn(
        (
            ("authorization", "Bearer my-own-key-0a1b2c3d456789"),
            ("cookie", "a=session-value-0a1b2c3d456789"),
        )
    )
    subject.learn_url("/v1?key=another%2Fkey%2F0a1b2c3d456789")
    echoed = "echo my-own-key-0a1b2c3d456789 and another/key/0a1b2c3d456789"
    assert "0a1b" not in subject.text(echoed)


def test_ordinary_words_and_sentinels_in_such_headers_are_not_learned() -> None:
    subject = redactor()
    subject.learn(
        (
            ("x-api-key", "dummy"),
            ("api-key", "an-ordinary-long-word"),
            ("authorization", SENTINELS[0]),
        )
    )
    text = f"dummy an-ordinary-long-word {SENTINELS[0]}"
    assert subject.text(text) == text


def test_learned_credentials_do_not_pile_up() -> None:
    subject = redactor()
    keys = [
        hashlib.sha256(bytes([number % 256, number // 256])).hexdigest()
        for number in range(LEARNED_SECRETS + 1)
    ]
    for key in keys:
        subject.learn((("x-api-key", key),))
    assert subject.text(keys[0]) == keys[0]
    assert subject.text(keys[1] + keys[-1]) == mark(keys[1]) + mark(keys[-1])


def test_tokens_of_an_oauth_exchange_are_learned() -> None:
    subject = redactor()
    answer = subject.body(b'{"access_token": "at-0a1b2c3d456789", "expires_in": 3600}')
    request = subject.body(b"grant_type=refresh_token&refresh_token=rt%2F0a1b2c3d456789ef")
    assert answer.redacted
    assert b"0a1b2c3d" not in answer.data + request.data


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_compressed_body_is_opened_only_when_it_hides_a_secret(encoding: str) -> None:
    subject = redactor(KEY)
    harmless = COMPRESSORS[encoding](b'{"text": "nothing here"}' * 9)
    assert subject.body(harmless, encoding).data == harmless
    body = subject.body(COMPRESSORS[encoding](b'{"text": "' + KEY.encode() + b'"}'), encoding)
    assert body.data == b'{"text": "' + mark(KEY).encode() + b'"}'
    assert (body.redacted, body.decoded) == (True, True)


def test_stacked_and_undeclared_and_unfinished_encodings_are_opened() -> None:
    subject = redactor(KEY)
    secret = b"x" * 200 + KEY.encode() + bytes(range(256)) * 4
    assert subject.body(brotli.compress(gzip.compress(secret)), "gzip, br").redacted
    assert subject.body(gzip.compress(secret)).redacted
    assert subject.body(gzip.compress(b"-") + gzip.compress(secret), "gzip").redacted
    for encoding, compress in COMPRESSORS.items():
        assert KEY.encode() not in subject.body(compress(secret)[:-20], encoding).data


def test_a_body_that_is_not_what_it_says_is_searched_as_it_is() -> None:
    subject = redactor(KEY)
    for encoding in ("gzip", "br", "zstd", "made-up"):
        body = subject.body(b"<html>" + KEY.encode(), encoding)
        assert body.data == b"<html>" + mark(KEY).encode()
        assert not body.decoded


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_bomb_is_cut(encoding: str) -> None:
    bomb = COMPRESSORS[encoding](bytes(12_000_000))
    body = redactor(KEY).body(bomb, encoding)
    assert len(body.data) == CUT_BYTES
    assert (body.truncated, body.decoded) == (True, True)


def test_offsets_move_with_the_cut() -> None:
    data = b"12345" + KEY.encode() + b"6789"
    body = redactor(KEY).body(data)
    assert body.moved(5) == 5
    assert body.data[body.moved(5 + len(KEY)) :] == b"6789"
    assert body.moved(len(data)) == len(body.data)
    assert 5 <= body.moved(20) <= 5 + len(mark(KEY).encode())


def test_log_lines_lose_what_looks_like_a_credential() -> None:
    line = redactor(KEY).line(
        f"GET https://h/v1?key=AIzaSyABC&alt=sse Authorization: Bearer abcdefghijkl0 {KEY}"
    )
    assert (
        line == f"GET https://h/v1?key={mark('AIzaSyABC')}&alt=sse Authorization: Bearer"
        f" {mark('abcdefghijkl0')} {mark(KEY)}"
    )
