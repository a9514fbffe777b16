"""Header lines as libcurl takes and gives them. Pure."""

from __future__ import annotations

from interceptor.transport.detour import Fields, IncomingHead

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, 7.6.1: they are about one connection, and libcurl has its own."""
_ADDED_BY_LIBCURL = (b"accept", b"content-type", b"user-agent", b"expect", b"accept-encoding")
_VERSIONS = {b"HTTP/2": "HTTP/2.0", b"HTTP/3": "HTTP/3"}


def request_lines(fields: Fields) -> list[bytes]:
    """Return the header lines of a request, in its own order and case.

    libcurl would add a few of its own; `Name:` alone suppresses one. A header without a value is
    written `Name;` (CURLOPT_HTTPHEADER).

    ((b"X-A", b"1"), (b"x-b", b"")) → [b"X-A: 1", b"x-b;", b"accept:", …]
    """
    lines, present = [], set()
    for name, value in fields:
        lowered = name.lower()
        if lowered in HOP_BY_HOP:
            continue
        present.add(lowered)
        lines.append(name + b": " + value if value.strip() else name + b";")
    lines += [name + b":" for name in _ADDED_BY_LIBCURL if name not in present]
    return lines


class ResponseLines:
    """Reader of the lines that libcurl gives, one a call, until the final headers end."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self.head: IncomingHead | None = None

    def feed(self, line: bytes) -> None:
        """Take a line; informational responses (RFC 9110, 15.2) and trailers are skipped."""
        if self.head is not None:
            return
        if line.strip():
            self._lines.append(line.rstrip(b"\r\n"))
            return
        lines, self._lines = self._lines, []
        if lines and not _status(lines[0]).startswith(b"1"):
            self.head = _parse(lines)


def _status(line: bytes) -> bytes:
    parts = line.split(b" ", 2)
    return parts[1] if len(parts) > 1 else b""


def _parse(lines: list[bytes]) -> IncomingHead:
    """Return the head of [b"HTTP/2 200 ", b"a: 1", …]."""
    version, status, *reason = lines[0].split(b" ", 2)
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields.append((name, value.strip(b" \t")))
    return IncomingHead(
        version=_VERSIONS.get(version, version.decode("latin-1")),
        status_code=int(status),
        reason=reason[0].decode("latin-1") if reason else "",
        fields=tuple(fields),
    )
