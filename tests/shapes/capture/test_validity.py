"""Requests that may become shapes, and the reason why others may not."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from shapes.capture.validity import MAX_CAPTURED_BYTES, NoShape, Recorded, valid_request

PATTERN = re.compile(r"^/v1/messages")
GOOD = Recorded(
    "POST",
    "/v1/messages?beta=true",
    (("Content-Type", "application/json; charset=utf-8"),),
    b'{"b": 1, "a": "\xf0\x9f\x98\x80"}',
    200,
)


def test_a_good_request_is_parsed_in_its_order() -> None:
    request = valid_request(GOOD, PATTERN)
    assert (request.path, request.query) == ("/v1/messages", "beta=true")
    assert list(request.body.items()) == [("b", 1), ("a", "😀")]
    assert request.header("content-type") == "application/json; charset=utf-8"


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_success_counts(status: int) -> None:
    valid_request(replace(GOOD, status_code=status), PATTERN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "GET"}, "its method is GET"),
        ({"status_code": None}, "it has no response"),
        ({"status_code": 401}, "refused it with 401"),
        ({"status_code": 302}, "refused it with 302"),
        ({"target": "/v1/models"}, "its path /v1/models is not one of"),
        ({"headers": ()}, "its content type is “”"),
        ({"headers": (("content-type", "text/plain"),)}, "“text/plain”"),
        ({"body": None}, "not recorded completely"),
        ({"body": b"[1]"}, "no object"),
        ({"body": b"{"}, "no JSON"),
        ({"body": b""}, "no JSON"),
        ({"body": b'{"a":' * 5000 + b"1" + b"}" * 5000}, "JSON|nested"),
        ({"body": b'{"b": "\\ud83d", "a": 1' + b"0" * 40 + b"}"}, "beyond 64 bits"),
        ({"body": b" " * (MAX_CAPTURED_BYTES + 1)}, "over 32"),
    ],
)
def test_others_are_refused_with_the_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(NoShape, match=reason):
        valid_request(replace(GOOD, **change), PATTERN)  # type: ignore[arg-type]


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_stored() -> None:
    request = valid_request(replace(GOOD, body=b'{"a": "\\ud83d"}'), None)
    assert request.body == {"a": "�"}
