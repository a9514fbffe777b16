"""The words of a provider that sends a page, nothing, or a sentence behind another one."""

from __future__ import annotations

import json

import pytest

from providers.base.names import ANTHROPIC_MESSAGES, OPENAI_CHAT, WIRE_FORMATS
from providers.wire.failure_translation import decoded_error
from providers.wire.translate import StreamTranslator

FORMATS = list(WIRE_FORMATS)
PAIRS = [(src, dst) for src in FORMATS for dst in FORMATS if src != dst]
WORDS = "the gpu fell off"
PAGES = [
    WORDS.encode(),
    f"<!DOCTYPE html><html><style>p{{}}</style><body><h1>{WORDS}</h1></body></html>".encode(),
    f"\n\n {WORDS}\n\nTry later.\n\n".encode(),
]


@pytest.mark.parametrize("body", PAGES)
@pytest.mark.parametrize("step", [1, 7, 5000])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_page_in_the_place_of_a_stream_is_told(pair, step, body):
    stream = StreamTranslator(*pair)
    out = b"".join(stream.feed(body[at : at + step]) for at in range(0, len(body), step))
    out += stream.flush()
    assert stream.failure is not None and stream.failure.status == 502
    assert "not a stream: " in stream.failure.message
    assert WORDS in stream.failure.message and WORDS.encode() in out
    assert b"<" not in out


@pytest.mark.parametrize("body", [b"", b"\n\n", b": ping\n\n" * 9, b"event: ping\ndata: {}\n\n"])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_stream_without_a_response_was_cut(pair, body):
    stream = StreamTranslator(*pair)
    stream.feed(body)
    stream.flush()
    assert stream.failure is not None
    assert stream.failure.message == "The provider's stream ended before its answer was complete."


GATEWAYS = [
    ({"message": "Provider returned error", "metadata": {"raw": WORDS}}, f": {WORDS}"),
    (
        {
            "message": "Provider returned error.",
            "metadata": {"raw": json.dumps({"error": {"message": WORDS}})},
        },
        f"error: {WORDS}",
    ),
    ({"message": f"Provider returned error: {WORDS}", "metadata": {"raw": WORDS}}, WORDS),
    ({"message": WORDS, "metadata": {"raw": "x"}}, WORDS),
    ({"message": WORDS, "metadata": {"raw": {"a": 1}, "provider_name": "x"}}, WORDS),
    ({"message": WORDS, "metadata": {"raw": " "}}, WORDS),
]


@pytest.mark.parametrize(("error", "end"), GATEWAYS)
@pytest.mark.parametrize("status", [400, 429])
def test_a_gateway_hands_on_the_providers_words(error, end, status):
    body = json.dumps({"error": {**error, "code": status}}).encode()
    failure = decoded_error(status, body, OPENAI_CHAT)
    assert failure.status == status
    assert failure.message.endswith(end) and failure.message.count(WORDS) == 1
    stream = StreamTranslator(OPENAI_CHAT, ANTHROPIC_MESSAGES)
    stream.feed(b"data: " + body + b"\n\n")
    assert stream.failure is not None and stream.failure.message == failure.message


def test_an_oauth_error_is_described():
    body = {"error": "invalid_grant", "error_description": WORDS}
    failure = decoded_error(400, json.dumps(body).encode(), OPENAI_CHAT)
    assert failure.message == f"invalid_grant: {WORDS}"
