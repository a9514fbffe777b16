"""Spellings of a secret, each found in whatever it stands in."""

from __future__ import annotations

import base64
import html
import json
import random
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.redaction.redactor import Redactor
from flows.redaction.secret_look import looks_like_secret
from providers.auth.registry import SecretRegistry

TOKEN_CHARS = string.ascii_letters + string.digits + "-_./+=~"
tokens = st.text(TOKEN_CHARS, min_size=20, max_size=60).filter(looks_like_secret)
around = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "upper case": lambda text: text.upper().encode(),
    "lower case": lambda text: text.lower().encode(),
    "JSON": lambda text: json.dumps(text).encode(),
    "JSON, every character": lambda text: "".join(f"\\u{ord(c):04x}" for c in text).encode(),
    "JSON, capital digits": lambda text: "".join(f"\\u{ord(c):04X}" for c in text).encode(),
    "URL": lambda text: quote(text, safe="").encode(),
    "URL, every character": lambda text: "".join(f"%{ord(c):02X}" for c in text).encode(),
    "URL, small digits": lambda text: "".join(f"%{ord(c):02x}" for c in text).encode(),
    "HTML, decimal": lambda text: "".join(f"&#{ord(c)};" for c in text).encode(),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(c):x};" for c in text).encode(),
    "HTML, named": lambda text: html.escape(text).encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "hex, capital": lambda text: text.encode().hex().upper().encode(),
    "UTF-16, little end first": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, one byte before": lambda text: base64.b64encode(b"x" + text.encode()),
    "base64, two bytes before": lambda text: base64.b64encode(b"xy" + text.encode()),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
}


def redactor(*secrets: str) -> Redactor:
    registry = SecretRegistry()
    for secret in secrets:
        registry.add(secret)
    return Redactor(registry)


@pytest.mark.parametrize("name", list(ENCODINGS))
@given(secret=tokens, before=around, after=around)
@example(secret="Qz7kL93fWm2xYb8nRt4v", before="é", after="")
def test_a_secret_is_found_in_every_encoding(
    name: str, secret: str, before: str, after: str
) -> None:
    encoded = ENCODINGS[name](secret)
    data = before.encode() + encoded + after.encode()
    redacted, found = redactor(secret).data(data)
    assert found
    assert encoded not in redacted
    # No piece that counts is left either; base64 keeps the characters it shares with neighbours.
    middle = encoded[4:-4]
    assert middle not in redacted


@pytest.mark.parametrize(
    "key",
    [
        "sk-ant-api03-Qz7kL93fWm2xYb8nRt4vQz7kL93fWm2x-AA",
        "sk-proj-a1B2c3D4e5F6g7H8i9J0",
        "AIzaSyA1b2C3d4E5f6G7h8I9j0",
        "gsk_4Fq9Zt2Lk8Vw3Xc7",
        "0f9e8d7c6b5a49382716",
        "3b241101-e2bb-4255-8caf-4136c566a962",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "dXNlcjE6cGFzc3dvcmQxMjM0NTY3OA==",
    ],
)
def test_keys_look_like_secrets(key: str) -> None:
    assert looks_like_secret(key)


@pytest.mark.parametrize(
    "text",
    [
        "claude-3-5-sonnet-20241022",
        "gpt-4o-mini-2024-07-18",
        "You are a helpful assistant since 2024",
        "/v1/chat/completions",
        "https://api.anthropic.com/v1/messages",
        "application/json; charset=utf-8",
        "2026-11-29T12:00:00Z",
        "aaaaaaaaaaaaaaaaaaaaaaaa1",
        "1234567890123456789012",
        "rechtsschutzversicherung2",
        "short1A2b3",
        "Qz7kL93fWm2x" * 1000,
    ],
)
def test_a_client_cannot_erase_other_text_by_sending_it_as_its_key(text: str) -> None:
    subject = redactor()
    subject.learn((("x-api-key", text), ("authorization", f"Bearer {text}")))
    body = json.dumps({"model": text}).encode()
    assert subject.data(body) == (body, False)
    # In the header itself it is cut all the same.
    assert text not in subject.header("x-api-key", text)


def test_random_keys_are_nearly_always_learned() -> None:
    dice = random.Random(3)
    keys = ["".join(dice.choices(string.hexdigits[:16], k=24)) for _ in range(500)]
    assert sum(map(looks_like_secret, keys)) >= 490
