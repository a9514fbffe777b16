"""What a request's head may look like: sizes, bytes and framing (RFC 9112). Pure.

The rules are stricter than many servers': what two parsers could read differently is refused, so
that no request can hide in another one on its way to a provider.
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

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/([0-9]\.[0-9])")
_NAME = re.compile(_TOKEN)
_LINES = re.compile(rb"(?:\r\n" + _TOKEN + rb"+:[^\x00-\x08\x0a-\x1f\x7f]*+)*+")
_FRAMING_LENGTHS = frozenset(
    map(len, (b"host", b"expect", b"content-length", b"transfer-encoding"))
)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_DIGITS = re.compile(rb"[0-9]+")
_FORWARD_PROXY = (
    "ccproxy is no forward proxy: give its address as the base URL of the SDK (ANTHROPIC_BASE_URL,"
    " OPENAI_BASE_URL) and leave HTTP_PROXY and HTTPS_PROXY alone."
)


class HeadRefused(Exception):
    """A head that is not taken; `status_code` and `message` go to the client."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message


def blank_lines(data: bytes | bytearray) -> int:
    """How many bytes of empty lines stand before the request line (RFC 9112, 2.2 lets a server skip
    them).
    """
    end = 0
    while data[end : end + 2] == b"\r\n":
        end += 2
    return end


def check_unfinished(data: bytes | bytearray, new_from: int) -> None:
    """Refuse at once what can never become a good head. `data` begins at the request line.

    Raises:
        HeadRefused: 400, 414 or 431.
    """
    if not data:
        return
    if not _NAME.match(data, 0, 1):
        raise HeadRefused(400, "This is not an HTTP request.")
    if _BARE_LF.search(data, new_from):
        raise HeadRefused(400, "Lines of the request's head must end in CR LF.")
    end = data.find(b"\r\n")
    if end < 0 and len(data) > MAX_TARGET_BYTES + MAX_METHOD_BYTES + 16:
        raise HeadRefused(414, f"The URL is longer than {MAX_TARGET_BYTES // 1024} KB.")
    if end >= 0:
        check_request_line(bytes(data[:end]))
    if len(data) > MAX_HEAD_BYTES:
        raise HeadRefused(
            431, f"The request's headers are larger than {MAX_HEAD_BYTES // 1024} KB."
        )


def check_request_line(line: bytes) -> None:
    """Method, target and version.

    Raises:
        HeadRefused: 400, 405, 414 or 505.
    """
    if len(line) > MAX_TARGET_BYTES + MAX_METHOD_BYTES + 16:
        raise HeadRefused(414, f"The URL is longer than {MAX_TARGET_BYTES // 1024} KB.")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None or len(found[1]) > MAX_METHOD_BYTES:
        raise HeadRefused(400, "The request line is malformed.")
    method, target, version = found.groups()
    if version not in (b"1.0", b"1.1"):
        raise HeadRefused(505, "ccproxy speaks HTTP/1.1, and HTTP/2 over TLS.")
    if method == b"CONNECT":
        raise HeadRefused(405, _FORWARD_PROXY)
    if len(target) > MAX_TARGET_BYTES:
        raise HeadRefused(414, f"The URL is longer than {MAX_TARGET_BYTES // 1024} KB.")
    if not target.startswith(b"/"):
        raise HeadRefused(400, _FORWARD_PROXY if b"://" in target else "The request names no path.")


@value
class Head:
    """A good head.

    `fields` in wire order; `size_bytes` of the body that follows, None when it comes in chunks.
    """

    method: bytes
    target: bytes
    version: bytes
    fields: Fields
    size_bytes: int | None


def read_head(head: bytes | bytearray) -> Head:
    """Read a complete head (without its empty line) when every line of it is good.

    Raises:
        HeadRefused: 400, 405, 414, 417, 431 or 505.
    """
    lines = bytes(head).split(b"\r\n")
    check_request_line(lines[0])
    if len(head) > MAX_HEAD_BYTES:
        raise HeadRefused(
            431, f"The request's headers are larger than {MAX_HEAD_BYTES // 1024} KB."
        )
    if len(lines) - 1 > MAX_HEADERS:
        raise HeadRefused(431, f"The request has more than {MAX_HEADERS} headers.")
    if not _LINES.fullmatch(head, len(lines[0])):
        raise HeadRefused(400, _what_is_wrong(lines))
    fields = tuple(
        [(name, text.strip()) for name, _, text in [line.partition(b":") for line in lines[1:]]]
    )
    method, target, version = lines[0].split(b" ")
    framing = [(name.lower(), text) for name, text in fields if len(name) in _FRAMING_LENGTHS]
    return Head(
        method, target, version, fields, _body_size(framing, http10=version.endswith(b"1.0"))
    )


def _what_is_wrong(lines: list[bytes]) -> str:
    """The sentence for the first bad line; one look at all of them together only says that there is
    one.
    """
    for line in lines[1:]:
        name, colon, text = line.partition(b":")
        if colon and _NAME.fullmatch(name) and CONTROL_BYTES.search(text):
            return "A header value contains a control character."
        if not colon or not _NAME.fullmatch(name):
            break
    return "A header line is malformed."


def _body_size(fields: list[tuple[bytes, bytes]], *, http10: bool) -> int | None:
    """Nothing about where the request goes and where it ends may be said twice.

    Names are in lower case.
    """

    def values(name: bytes) -> list[bytes]:
        return [text for key, text in fields if key == name]

    hosts, lengths, codings = (
        values(b"host"),
        values(b"content-length"),
        values(b"transfer-encoding"),
    )
    if len(hosts) != 1 or not hosts[0]:
        raise HeadRefused(400, "The request must have one Host header.")
    if len(lengths) > 1 or any(
        not _DIGITS.fullmatch(v) or len(v) > MAX_LENGTH_DIGITS for v in lengths
    ):
        raise HeadRefused(400, "The Content-Length is malformed.")
    if codings and (lengths or http10 or len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise HeadRefused(400, "The Transfer-Encoding is malformed; only chunked is understood.")
    if any(text.lower() != b"100-continue" for text in values(b"expect")):
        raise HeadRefused(417, "The only Expect that is understood is 100-continue.")
    return None if codings else int(lengths[0]) if lengths else 0
