"""Finds secrets, and pieces of them, in whatever a process left behind: encoded, escaped,
compressed.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import math
import re
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import brotli
import re2
import zstandard

from tests.patience import PATIENCE_S

PIECE_CHARS = 14
_PUBLIC = re.compile(r"sk-ant-api03-")


class Canaries:
    """Secrets by name.

    `found_in` knows every piece of at least 14 characters, in every way it may be written.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = dict(secrets)
        self._pieces = {
            name: set(_pieces(_PUBLIC.sub("", secret))) for name, secret in self.secrets.items()
        }
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.max_mem = 256 * 1024 * 1024
        every = sorted(set().union(*self._pieces.values()))
        self._any = re2.compile(b"|".join(map(re2.escape, every)), options)

    def found_in(self, data: bytes) -> list[str]:
        """Names of the secrets that a piece of is in `data`."""
        hit = self._any.search(data)
        if hit is None:
            return []
        return [
            f"{name}: {hit.group()!r}"
            for name, pieces in self._pieces.items()
            if hit.group() in pieces
        ]

    def found_within(self, data: bytes) -> list[str]:
        """The same, also inside what `data` is when it is unpacked."""
        return self.found_in(data) or [
            name for inner in unpackings(data) for name in self.found_in(inner)
        ]


def _pieces(secret: str) -> Iterator[bytes]:
    for written, length in (
        (secret.encode(), PIECE_CHARS),
        (quote(secret, safe="").encode(), PIECE_CHARS),
        (json.dumps(secret)[1:-1].replace("/", "\\/").encode(), PIECE_CHARS),
        ("".join(f"\\u{ord(char):04x}" for char in secret).encode(), PIECE_CHARS * 6),
        (secret.encode().hex().encode(), PIECE_CHARS * 2),
        (secret.encode().hex().upper().encode(), PIECE_CHARS * 2),
        *((form, math.ceil(PIECE_CHARS * 8 / 6)) for form in _base64_forms(secret)),
    ):
        assert len(written) >= length, "a canary must be long enough to have pieces"
        yield from (written[at : at + length] for at in range(len(written) - length + 1))


def _base64_forms(secret: str) -> Iterator[bytes]:
    for shift in range(3):
        data = b"\0" * shift + secret.encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(data)[math.ceil(shift * 8 / 6) : len(data) * 8 // 6]


def unpackings(data: bytes) -> Iterator[bytes]:
    """What `data` decompresses to, by every method that takes it; twice packed data twice."""
    for unpack in (
        lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
        gzip.decompress,
        zlib.decompress,
        lambda packed: zlib.decompress(packed, -15),
        brotli.decompress,
    ):
        with contextlib.suppress(Exception):
            inner = unpack(data)
            if inner and inner != data:
                yield inner
                yield from unpackings(inner)


def cells(database: Path) -> Iterator[tuple[str, bytes]]:
    """Every value of every table: “table.column”, and the value as bytes."""
    with contextlib.closing(
        sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=PATIENCE_S)
    ) as connection:
        connection.text_factory = bytes
        names = [
            row[0].decode()
            for row in connection.execute("select name from sqlite_master where type='table'")
        ]
        for table in names:
            rows = connection.execute(f'select * from "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                yield from ((f"{table}.{c}", _bytes(v)) for c, v in zip(columns, row, strict=True))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
