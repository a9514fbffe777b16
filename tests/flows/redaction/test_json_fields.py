"""Secrets are known by the field they stand in; everything that only sounds like one stays."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from flows.redaction.json_fields import MAX_VALUE_BYTES, SECRET_FIELDS
from flows.redaction.redactor import Redactor, mark
from providers.auth.registry import SecretRegistry

VALUE = "Vq7-canary-4f1c9d20b7a6"


def redacted(value: Any) -> Any:
    body = Redactor(SecretRegistry()).body(json.dumps(value).encode())
    return json.loads(body.data)


def spellings(name: str) -> list[str]:
    first, *rest = name.split()
    camel = first + "".join(word.capitalize() for word in rest)
    return [name.replace(" ", "_"), name.replace(" ", "-"), name.replace(" ", "_").upper(), camel]


@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_every_name_in_every_spelling(name: str) -> None:
    for spelt in spellings(name):
        assert redacted({"a": [{spelt: VALUE}], "b": 1}) == {"a": [{spelt: mark(VALUE)}], "b": 1}


STAYS: list[Any] = [
    {
        "max_tokens": 1024,
        "max_output_tokens": "100000000000",
        "prompt_cache_key": VALUE,
        "page_token": VALUE,
    },
    {
        "input_schema": {
            "properties": {
                "token": {"type": "string"},
                "api_key": {"type": "string", "minLength": 9},
            }
        }
    },
    {"properties": {"password": "string", "api_key": "The key of the service, as text"}},
    {
        "content": f'the file says "api_key": "{VALUE}", and so on',
        "arguments": json.dumps({"api_key": VALUE}),
    },
    {
        "logprobs": [
            {"token": "internationalisation", "logprob": -0.1},
            {"token": " 1234567890123456"},
        ]
    },
    {
        "api_key": None,
        "password": True,
        "token": 1234567890123456789,
        "secret": [VALUE],
        "access_token": "",
    },
    {"api_key": "sk-ccproxy-anthropic", "authorization": "Bearer sk-ant-oat-ccproxy-zai"},
    {"password": "‹redacted 3f9a21›", "role": "token", "name": "password"},
    ["api_key", VALUE],
]


@pytest.mark.parametrize("value", STAYS)
def test_what_only_sounds_like_a_secret_stays(value: Any) -> None:
    body = Redactor(SecretRegistry()).body(json.dumps(value).encode())
    assert (json.loads(body.data), body.redacted, body.edits) == (value, False, ())


def test_a_tool_call_with_a_secret_in_it() -> None:
    block = {
        "type": "tool_use",
        "name": "login",
        "input": {"user": "ann", "password": "correct-horse", "n": 2},
    }
    assert redacted(block) == {
        **block,
        "input": {"user": "ann", "password": mark("correct-horse"), "n": 2},
    }


def test_schemes_stay_and_escapes_are_undone() -> None:
    assert redacted({"Authorization": f"Bearer {VALUE}"}) == {
        "Authorization": f"Bearer {mark(VALUE)}"
    }
    body = Redactor(SecretRegistry()).body(b'{"api_key" :\n "Vq7\\u002dcanary-4f1c9d20b7a6"}')
    assert body.data == f'{{"api_key" :\n "{mark(VALUE)}"}}'.encode()
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\n"
    assert redacted({"private_key": pem}) == {"private_key": mark(pem)}


def test_offsets_follow() -> None:
    data = b'{"api_key": "' + VALUE.encode() + b'", "after": 1}'
    body = Redactor(SecretRegistry()).body(data)
    at = data.index(b'"after"')
    assert body.data[body.moved(at) :] == data[at:]
    assert body.redacted


def test_in_events_and_under_compression() -> None:
    event = f'event: x\ndata: {{"session_token":"{VALUE}"}}\n\n'.encode()
    assert VALUE.encode() not in Redactor(SecretRegistry()).body(event).data
    packed = Redactor(SecretRegistry()).body(gzip.compress(event), "gzip")
    assert packed.decoded
    assert VALUE.encode() not in packed.data


def test_a_secret_known_by_value_and_by_name_is_one_cut() -> None:
    registry = SecretRegistry()
    registry.add(VALUE)
    body = Redactor(registry).body(json.dumps({"api_key": f"pre-{VALUE}"}).encode())
    assert body.data.count("‹redacted".encode()) == 1
    assert VALUE.encode() not in body.data


def test_a_value_without_end_is_cut_at_once() -> None:
    data = b'"password":"' + b"a1" * (MAX_VALUE_BYTES // 2 + 100)
    body = Redactor(SecretRegistry()).body(data)
    assert len(body.data) < 300
    assert (
        not Redactor(SecretRegistry()).body(b'"password":"' * 100_000).redacted
    )  # done at once, or never


@pytest.mark.parametrize(
    "line",
    [
        f"sent {{'x-api-key': '{VALUE}', 'accept': '*/*'}}",
        f"headers [(b'authorization', b'Bearer {VALUE}'), (b'host', b'x')]",
        f"refresh_token={VALUE}&grant_type=refresh_token",
        f'answer {{"access_token": "{VALUE}"}}',
        f"client_secret: {VALUE}",
        f"GET /login/{VALUE * 2}/ 410",
    ],
)
def test_lines_of_the_log(line: str) -> None:
    text = Redactor(SecretRegistry()).line(line)
    assert "canary" not in text
    assert "‹redacted" in text


def test_lines_that_name_no_secret_stay() -> None:
    for line in (
        "the token: good for 3 hours",
        "max_tokens=123456789",
        "x-api-key: sk-ccproxy-anthropic",
    ):
        assert Redactor(SecretRegistry()).line(line) == line
