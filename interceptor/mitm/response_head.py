"""Limits and syntax of the head of a provider's response (RFC 9112, 2 and 4). Pure.

Messages begin with "it" for the provider; `error_page.error_sentence` replaces it with the name.
They never quote what the provider sent.
"""

from __future__ import annotations

import re

from interceptor.pipeline.headers import CONTROL_BYTES

MAX_HEAD_BYTES = 256 * 1024
MAX_HEADERS = 1000
MAX_INFORMATIONAL = 10_000
"""Informational (1xx) responses that are skipped before the final one."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9112, 2.2: a recipient may take a bare LF as the end of a line; providers do send them.
_END = re.compile(rb"\n\r?\n")


class BadResponse(Exception):
    """A response that cannot be forwarded."""


def end_of_head(data: bytes | bytearray, new_from: int) -> int | None:
    """Return the index behind the empty line that ends the headers; None when it has not come.

    `new_from` is the index of the first byte that no earlier call has seen.

    Raises:
        BadResponse: it can never become a good head.
    """
    if not b"HTTP/1.".startswith(bytes(data[:7])):
        raise BadResponse("it did not send HTTP/1.1")
    # The empty line may have begun in the last three bytes of the earlier pieces.
    found = _END.search(data, max(0, new_from - 3))
    if (found.end() if found else len(data)) > MAX_HEAD_BYTES:
        raise BadResponse(f"it sent response headers larger than {MAX_HEAD_BYTES // 1024} KB")
    return found.end() if found else None


def split_head(head: bytes | bytearray) -> list[bytes]:
    """Return the lines of a complete head of a response, without its empty line.

    Raises:
        BadResponse: the head is malformed.
    """
    lines = [line.removesuffix(b"\r") for line in bytes(head).rstrip(b"\r\n").split(b"\n")]
    if not _STATUS_LINE.fullmatch(lines[0]):
        raise BadResponse("it sent a malformed status line")
    if len(lines) - 1 > MAX_HEADERS:
        raise BadResponse(f"it sent more than {MAX_HEADERS} response headers")
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        # RFC 9112, 5.2: obsolete line folding (a line that begins with a space) is refused too.
        if not colon or not _NAME.fullmatch(name) or CONTROL_BYTES.search(value):
            raise BadResponse("it sent a malformed response header")
    return lines
