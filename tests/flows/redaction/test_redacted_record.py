"""A record without secrets: whatever part is read, in whatever order, no secret comes out."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from flows.record import WebSocketRecord
from flows.redaction.redacted_record import RedactedRecord
from flows.redaction.redactor import Redactor
from providers.auth.registry import SecretRegistry
from tests.flows import records

CLIENT_KEY = "sk-live-8Qm2vv71Kdpz0011LmnaQQ"
PROVIDER_KEY = "prov-55ac91ffe0b2447d8e"


@pytest.fixture
def redacted() -> RedactedRecord:
    secrets = SecretRegistry()
    secrets.add(PROVIDER_KEY)
    headers = (("authorization", f"Bearer {CLIENT_KEY}"), ("x-plain", "stays"))
    packed = gzip.compress(f'{{"echo": "{CLIENT_KEY}"}}'.encode())
    record = records.flow(
        client_url=f"http://localhost/v1/x?key={CLIENT_KEY}",
        error=f"refused {PROVIDER_KEY}",
        sides=(
            records.side("client", b"plain body", headers),
            records.side("upstream", packed, (("content-encoding", "gzip"),)),
        ),
        messages=(WebSocketRecord(0, 1.0, True, True, f"hello {CLIENT_KEY}".encode()),),
    )
    return RedactedRecord(replace(record, forwarded_url=""), Redactor(secrets))


def test_no_part_shows_a_secret(redacted: RedactedRecord) -> None:
    client, upstream = redacted.record.sides
    parts = [
        redacted.body_text(upstream),
        redacted.client_url,
        redacted.error,
        str(redacted.headers(client)),
        *(message.text for message in redacted.messages()),
    ]
    assert not [part for part in parts if CLIENT_KEY in part or PROVIDER_KEY in part]
    assert '{"echo": "' in parts[0], "the rest of the body is readable"
    assert parts[1].startswith("http://localhost/v1/x?key=")
    assert ("x-plain", "stays") in redacted.headers(client)


def test_what_holds_no_secret_is_as_it_was(redacted: RedactedRecord) -> None:
    assert redacted.body_text(redacted.record.sides[0]) == "plain body"
    assert redacted.forwarded_url == ""
    assert [message.from_client for message in redacted.messages()] == [True]
