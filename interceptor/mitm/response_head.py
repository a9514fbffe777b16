"""What the head of a provider's answer may look like. Pure.

Its messages complete the sentence "ccproxy got no answer from provider X: …" and never quote what
the provider sent.
"""

from __future__ import annotations

import re

from interceptor.pipeline.headers import CONTROL_BYTES

MAX_HEAD_BYTES = 256 * 1024
MAX_HEADERS = 1000
MAX_INFORMATIONAL = 10_000
"""Interim (1xx) answers that are skipped before the final one."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_END = re.compile(rb"\n\r?\n")


class BadAnswer(Exception):
    """An answer that cannot be passed on."""


def end_of_head(data: bytes | bytearray, new_from: int) -> int | None:
    """Where the head ends, its empty line included; None when it is not complete.

    Raises:
        BadAnswer: when it can never become a good head.
    """
    if not b"HTTP/1.".startswith(bytes(data[:7])):
        raise BadAnswer("what it sent is not HTTP/1.1")
    found = _END.search(data, max(0, new_from - 3))
    if (found.end() if found else len(data)) > MAX_HEAD_BYTES:
        raise BadAnswer(f"the head of its answer is larger than {MAX_HEAD_BYTES // 1024} KB")
    return found.end() if found else None


def split_head(head: bytes | bytearray) -> list[bytes]:
    """The lines of a complete head, without its empty line.

    Raises:
        BadAnswer: for a head that is malformed.
    """
    lines = [line.removesuffix(b"\r") for line in bytes(head).rstrip(b"\r\n").split(b"\n")]
    if not _STATUS_LINE.fullmatch(lines[0]):
        raise BadAnswer("the first line of its answer is malformed")
    if len(lines) - 1 > MAX_HEADERS:
        raise BadAnswer(f"its answer has more than {MAX_HEADERS} headers")
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name) or CONTROL_BYTES.search(value):
            raise BadAnswer("a header of its answer is malformed")
    return lines
