"""Parser of TLS ClientHellos, with their JA3 and JA4 fingerprints. Pure.

Formats: RFC 8446, 4.1.2 (ClientHello), RFC 8701 (GREASE), RFC 6066 (SNI), RFC 7301 (ALPN); JA3 as
published by Salesforce (github.com/salesforce/ja3), JA4 as published by FoxIO
(technical_details/JA4.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import md5, sha256

MAX_BYTES = 64 * 1024
"""A longer ClientHello is not parsed."""

SNI, GROUPS, POINT_FORMATS, SIGNATURES, ALPN, VERSIONS = 0, 10, 11, 13, 16, 43
_VERSION_CODES = {
    0x0304: "13",
    0x0303: "12",
    0x0302: "11",
    0x0301: "10",
    0x0300: "s3",
    0x0002: "s2",
}
_NONE = "0" * 12


class MalformedHello(ValueError):
    """The bytes are no ClientHello."""


def is_grease(value: int) -> bool:
    """Return whether a value is one of the sixteen that keep servers tolerant (RFC 8701)."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


@dataclass(frozen=True)
class ClientHello:
    """The lists of a ClientHello in wire order, without GREASE. Numbers as in IANA's registries."""

    legacy_version: int
    cipher_suites: tuple[int, ...] = ()
    extensions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signature_algorithms: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    sni: str = ""

    @cached_property
    def ja3_full(self) -> str:
        """The text whose digest is JA3."""
        lists = (self.cipher_suites, self.extensions, self.groups, self.point_formats)
        return ",".join(
            (str(self.legacy_version), *("-".join(map(str, values)) for values in lists))
        )

    @cached_property
    def ja3(self) -> str:
        """MD5 of `ja3_full`, hex."""
        return md5(self.ja3_full.encode(), usedforsecurity=False).hexdigest()

    @cached_property
    def ja4(self) -> str:
        """The JA4 fingerprint of a client over TCP."""
        ciphers, rest = self._ja4_lists()
        return f"{self._ja4_start()}_{_short(ciphers)}_{_short(rest)}"

    @cached_property
    def ja4_r(self) -> str:
        """JA4 with the lists themselves, not their digests."""
        return "_".join((self._ja4_start(), *self._ja4_lists()))

    def _ja4_start(self) -> str:
        """Return the readable part.

        "t13d1516h2": TCP, TLS 1.3, to a domain, 15 cipher suites, 16 extensions, HTTP/2
        """
        newest = max(self.versions, default=self.legacy_version)
        version = _VERSION_CODES.get(newest, "00")
        target = "d" if SNI in self.extensions else "i"
        suites = min(len(self.cipher_suites), 99)
        extensions = min(len(self.extensions), 99)
        protocol = self.alpn[0] if self.alpn else b""
        return f"t{version}{target}{suites:02}{extensions:02}{_ends(protocol)}"

    def _ja4_lists(self) -> tuple[str, str]:
        ciphers = ",".join(sorted(f"{value:04x}" for value in self.cipher_suites))
        shown = ",".join(
            sorted(f"{value:04x}" for value in self.extensions if value not in (SNI, ALPN))
        )
        signatures = ",".join(f"{value:04x}" for value in self.signature_algorithms)
        return ciphers, f"{shown}_{signatures}" if signatures else shown


def parse_client_hello(data: bytes) -> ClientHello:
    """Parse a ClientHello: its body, the handshake message around it, or a complete TLS record.

    Raises:
        MalformedHello: too short, too long, or lengths that do not add up.
    """
    if len(data) > MAX_BYTES:
        raise MalformedHello("too long")
    reader = _Reader(_body(data))
    version = reader.number(2)
    reader.take(32)  # random
    reader.block(1)  # session id
    ciphers = reader.block(2).numbers(2)
    reader.block(1)  # compression methods
    found = _extensions(reader.block(2)) if reader.left else []
    contents: dict[int, _Reader] = {}
    for kind, content in found:
        # Of two, we and the server could believe different ones (RFC 8446, 4.2).
        if contents.setdefault(kind, content) is not content:
            raise MalformedHello("an extension stands twice")

    def listed(kind: int, length_bytes: int, width: int) -> tuple[int, ...]:
        content = contents.get(kind)
        return (
            _plain(content.block(length_bytes).numbers(width)) if content and content.left else ()
        )

    return ClientHello(
        legacy_version=version,
        cipher_suites=_plain(ciphers),
        extensions=_plain([kind for kind, _ in found]),
        groups=listed(GROUPS, 2, 2),
        point_formats=listed(POINT_FORMATS, 1, 1),
        signature_algorithms=listed(SIGNATURES, 2, 2),
        versions=listed(VERSIONS, 1, 2),
        alpn=_alpn(contents.get(ALPN)),
        sni=_sni(contents.get(SNI)),
    )


class _Reader:
    """Reader of numbers and byte strings, front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if self.left < count:
            raise MalformedHello("it ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def block(self, length_bytes: int) -> _Reader:
        return _Reader(self.take(self.number(length_bytes)))

    def numbers(self, width: int) -> list[int]:
        if self.left % width:
            raise MalformedHello("a list ends within a number")
        return [self.number(width) for _ in range(self.left // width)]


def _body(data: bytes) -> bytes:
    """Return the body without record and handshake headers.

    The body itself begins with the version, whose first byte is 3 (or 0).
    """
    if data[:1] == b"\x16":
        data = _Reader(data[3:]).block(2).take(int.from_bytes(data[3:5]))
    if data[:1] == b"\x01":
        data = _Reader(data[1:]).block(3).take(int.from_bytes(data[1:4]))
    return data


def _extensions(reader: _Reader) -> list[tuple[int, _Reader]]:
    found = []
    while reader.left:
        found.append((reader.number(2), reader.block(2)))
    return found


def _plain(values: list[int]) -> tuple[int, ...]:
    return tuple(value for value in values if not is_grease(value))


def _alpn(content: _Reader | None) -> tuple[bytes, ...]:
    names = []
    if content is not None and content.left:
        protocols = content.block(2)
        while protocols.left:
            names.append(protocols.take(protocols.number(1)))
    return tuple(names)


def _sni(content: _Reader | None) -> str:
    r"""Return the first host name; "" when there is none.

    Bytes beyond ASCII are escaped, so that such a name matches no host: b"a\xff" → "a\\xff".
    """
    if content is None or not content.left:
        return ""
    names = content.block(2)
    while names.left:
        kind, name = names.number(1), names.take(names.number(2))
        if kind == 0:
            return name.decode("ascii", "backslashreplace")
    return ""


def _ends(protocol: bytes) -> str:
    """Return the first and last character of a protocol's name.

    Of its hex digits when one of them is not alphanumeric: b"h2" → "h2", b"\\xab" → "ab"
    """
    if not protocol:
        return "00"
    first, last = protocol[:1], protocol[-1:]
    if first.isalnum() and last.isalnum():
        return (first + last).decode()
    return protocol.hex()[0] + protocol.hex()[-1]


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12] if text else _NONE
