"""Limits, syntax and framing of a request's start line and headers (RFC 9112, 2, 3, 6). Pure.

Stricter than many servers: what two parsers could read differently is refused, so that no request
can hide in another one on its way to a provider (request smuggling, RFC 9112, 11.2).
"""

from __future__ import annotations

import re

from interceptor.pipeline.headers import CONTROL_BYTES
from providers.base.value import value

Fields = tuple[tuple[bytes, bytes], ...]

MAX_HEAD_BYTES = 256 * 1024
MAX_HEADERS = 1000
MAX_TARGET_BYTES = 64 * 1024
MAX_METHOD_BYTES = 32
MAX_LENGTH_DIGITS = 18
_MAX_LINE_BYTES = MAX_TARGET_BYTES + MAX_METHOD_BYTES + 16
"""Method, target, version and the spaces between them."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/([0-9]\.[0-9])")
_NAME = re.compile(_TOKEN)
# All header lines at once. Possessive quantifiers (`*+`) keep a bad line from being tried again
# and again.
_LINES = re.compile(rb"(?:\r\n" + _TOKEN + rb"+:[^\x00-\x08\x0a-\x1f\x7f]*+)*+")
_FRAMING_NAMES = (b"host", b"expect", b"content-length", b"transfer-encoding")
# Comparing lengths first saves lower-casing the name of every other header.
_FRAMING_LENGTHS = frozenset(map(len, _FRAMING_NAMES))
_BARE_LF = re.compile(rb"(?<!\r)\n")
_DIGITS = re.compile(rb"[0-9]+")
_FORWARD_PROXY = (
    "ccproxy is no forward proxy: give its address as the base URL of the SDK (ANTHROPIC_BASE_URL,"
    " OPENAI_BASE_URL) and leave HTTP_PROXY and HTTPS_PROXY alone."
)
_URL_TOO_LONG = f"The URL is longer than {MAX_TARGET_BYTES // 1024} KB."
_HEADERS_TOO_LARGE = f"The request's headers are larger than {MAX_HEAD_BYTES // 1024} KB."


class HeadRefused(Exception):
    """Start line and headers that are refused; `status_code` and `message` go to the client."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message


def blank_lines(data: bytes | bytearray) -> int:
    """Return the length of the empty lines before the request line.

    RFC 9112, 2.2: a server should skip at least one. b"\\r\\nGET" → 2
    """
    end = 0
    while data[end : end + 2] == b"\r\n":
        end += 2
    return end


def check_unfinished(data: bytes | bytearray, new_from: int, *, forward: bool = False) -> None:
    """Refuse incomplete headers that can never become good.

    `data` begins at the request line; `new_from` is the index of the first byte that no earlier
    call has seen. `forward` takes the targets of requests to a forward proxy.

    Raises:
        HeadRefused: 400, 414 or 431.
    """
    if not data:
        return
    # TLS and other protocols on this port begin with a byte that no method has.
    if not _NAME.match(data, 0, 1):
        raise HeadRefused(400, "This is not an HTTP request.")
    if _BARE_LF.search(data, new_from):
        raise HeadRefused(400, "Lines of the request's headers must end in CR LF.")
    end = data.find(b"\r\n")
    if end < 0 and len(data) > _MAX_LINE_BYTES:
        raise HeadRefused(414, _URL_TOO_LONG)
    if end >= 0:
        check_request_line(bytes(data[:end]), forward=forward)
    if len(data) > MAX_HEAD_BYTES:
        raise HeadRefused(431, _HEADERS_TOO_LARGE)


def check_request_line(line: bytes, *, forward: bool = False) -> None:
    """Refuse a bad method, target or version (RFC 9112, 3).

    The targets of requests to a forward proxy are refused, or with `forward` left to its parser.

    Raises:
        HeadRefused: 400, 405, 414 or 505.
    """
    if len(line) > _MAX_LINE_BYTES:
        raise HeadRefused(414, _URL_TOO_LONG)
    found = _REQUEST_LINE.fullmatch(line)
    if found is None or len(found[1]) > MAX_METHOD_BYTES:
        raise HeadRefused(400, "The request line is malformed.")
    method, target, version = found.groups()
    if version not in (b"1.0", b"1.1"):
        raise HeadRefused(505, "ccproxy speaks HTTP/1.1, and HTTP/2 over TLS.")
    if method == b"CONNECT" and not forward:
        raise HeadRefused(405, _FORWARD_PROXY)
    if len(target) > MAX_TARGET_BYTES:
        raise HeadRefused(414, _URL_TOO_LONG)
    if target.startswith(b"/") or forward:
        return
    # RFC 9112, 3.2.2: the absolute form is what clients send to a forward proxy.
    raise HeadRefused(400, _FORWARD_PROXY if b"://" in target else "The request names no path.")


@value
class Head:
    """A good start line with good headers.

    `fields` in wire order; `size_bytes` of the body that follows, None when it comes in chunks.
    """

    method: bytes
    target: bytes
    version: bytes
    fields: Fields
    size_bytes: int | None


def read_head(head: bytes | bytearray, *, forward: bool = False) -> Head:
    """Return a complete head of a request, given without its empty line.

    With `forward` the target may be that of a request to a forward proxy, and is not checked.

    Raises:
        HeadRefused: 400, 405, 414, 417, 431 or 505.
    """
    lines = bytes(head).split(b"\r\n")
    check_request_line(lines[0], forward=forward)
    if len(head) > MAX_HEAD_BYTES:
        raise HeadRefused(431, _HEADERS_TOO_LARGE)
    if len(lines) - 1 > MAX_HEADERS:
        raise HeadRefused(431, f"The request has more than {MAX_HEADERS} headers.")
    if not _LINES.fullmatch(head, len(lines[0])):
        raise HeadRefused(400, _first_mistake(lines))
    parted = [line.partition(b":") for line in lines[1:]]
    fields = tuple([(name, text.strip()) for name, _, text in parted])
    method, target, version = lines[0].split(b" ")
    if method == b"CONNECT":
        return Head(method, target, version, fields, _no_body(fields))
    framing = [(name.lower(), text) for name, text in fields if len(name) in _FRAMING_LENGTHS]
    size_bytes = _body_size(framing, http10=version.endswith(b"1.0"))
    return Head(method, target, version, fields, size_bytes)


def _no_body(fields: Fields) -> int:
    """Return 0 for a CONNECT, which has no body (RFC 9110, 9.3.6). Python's sends no Host."""
    for name, text in fields:
        is_length = name.lower() == b"content-length"
        if name.lower() == b"transfer-encoding" or (is_length and text != b"0"):
            raise HeadRefused(400, "A CONNECT has no body.")
    return 0


def _first_mistake(lines: list[bytes]) -> str:
    """Return the sentence for the first bad line.

    The expression over all lines only tells that there is one.
    """
    for line in lines[1:]:
        name, colon, text = line.partition(b":")
        if colon and _NAME.fullmatch(name) and CONTROL_BYTES.search(text):
            return "A header value contains a control character."
        if not colon or not _NAME.fullmatch(name):
            break
    return "A header line is malformed."


def _body_size(fields: list[tuple[bytes, bytes]], *, http10: bool) -> int | None:
    """Return the body's length (RFC 9112, 6.3), None for a chunked one. Names are in lower case.

    Refuses a request that names its host or its end twice: two servers may pick different ones.
    """
    # RFC 9112, 3.2: exactly one Host.
    hosts = [text for name, text in fields if name == b"host"]
    if len(hosts) != 1 or not hosts[0]:
        raise HeadRefused(400, "The request must have one Host header.")
    lengths = [text for name, text in fields if name == b"content-length"]
    if len(lengths) > 1 or (lengths and not _is_length(lengths[0])):
        raise HeadRefused(400, "The Content-Length is malformed.")
    codings = [text for name, text in fields if name == b"transfer-encoding"]
    # RFC 9112, 6.1: Transfer-Encoding beside Content-Length, or in HTTP/1.0, is an attack.
    if codings and (lengths or http10 or len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise HeadRefused(400, "The Transfer-Encoding is malformed; only chunked is understood.")
    for name, text in fields:
        if name == b"expect" and text.lower() != b"100-continue":
            raise HeadRefused(417, "The only Expect that is understood is 100-continue.")
    if codings:
        return None
    return int(lengths[0]) if lengths else 0


def _is_length(text: bytes) -> bool:
    return bool(_DIGITS.fullmatch(text)) and len(text) <= MAX_LENGTH_DIGITS
