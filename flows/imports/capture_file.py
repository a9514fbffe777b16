"""Kinds of capture files, recognised by their first bytes; compressed ones are decompressed."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import BinaryIO, Final

import zstandard

from providers.base.errors import CcproxyError

MAX_HAR_BYTES: Final = 256 * 1024 * 1024
_SNIFFED_BYTES: Final = 4096
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_OTHER_KINDS: Final = (
    (b"PK\x03\x04", "a ZIP archive (a session of Fiddler, Charles or Proxyman may be one)"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture (pcapng)"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture (pcap)"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture (pcap)"),
    (b"\xac\xed\x00\x05", "a session in a tool's own format (serialised Java)"),
    (b"bplist", "a session in a tool's own format (property list)"),
    (b"SQLite format 3", "a SQLite database"),
    (b"<", "XML or HTML"),
)


class CaptureError(CcproxyError):
    """A file that is not a capture, or cannot be read; the message gives the reason."""


def decompressed(file: BinaryIO, max_bytes: int = MAX_HAR_BYTES) -> BinaryIO:
    """Return the file, decompressed if its first bytes are those of gzip or zstd.

    Raises:
        CaptureError: the compressed data is damaged, or grows over the limit.
    """
    start = file.read(len(_ZSTD))
    file.seek(0)
    try:
        if start.startswith(_GZIP):
            data = gzip.GzipFile(fileobj=file).read(max_bytes + 1)
        elif start == _ZSTD:
            data = zstandard.ZstdDecompressor().stream_reader(file).read(max_bytes + 1)
        else:
            return file
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as exc:
        raise CaptureError(f"This compressed file is damaged: {exc}") from None
    if len(data) > max_bytes:
        raise CaptureError(f"This file is over {max_bytes // 1024**2} MB when decompressed.")
    return io.BytesIO(data)


def is_har(file: BinaryIO) -> bool:
    """Recognise JSON, in UTF-8, UTF-16 or UTF-32; otherwise it is a mitmproxy capture.

    Raises:
        CaptureError: it is neither; the message names what it is, if that is known.
    """
    start = file.read(_SNIFFED_BYTES)
    file.seek(0)
    if not start:
        raise CaptureError("The file is empty.")
    text = start.decode(json.detect_encoding(start), "replace").lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")):
        return True
    # A netstring begins with its length: "1949:…".
    if start[:1].isdigit():
        return False
    for magic, kind in _OTHER_KINDS:
        if start.lstrip().startswith(magic) or start.startswith(magic):
            raise CaptureError(f"This is {kind}: export the flows as HAR, or unpack it first.")
    raise CaptureError("This is neither a HAR nor a mitmproxy capture.")


def json_text(data: bytes) -> str:
    """Return JSON's text: UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    PowerShell writes UTF-16, an old editor Windows' Latin alphabet. Bytes that are no text become
    U+FFFD. Example: b"Gr\xfc\xdfe" → Grüße.
    """
    encoding: str = json.detect_encoding(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        # Not one character beyond ASCII is UTF-8: the file has one byte for each.
        if encoding == "utf-8" and data.decode("utf-8", "ignore").isascii():
            encoding = "cp1252"
        return data.decode(encoding, "replace").removeprefix("\ufeff")
