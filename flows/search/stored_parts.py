"""Parts as the database keeps them: a compressed JSON of [[where, text], ...]. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from flows.bytes.database_text import database_json
from flows.bytes.zstd import compress, decompress
from flows.search.body_parts import Part

_MAX_BYTES = 16 * 1024 * 1024


def pack_parts(parts: Iterable[Part]) -> bytes:
    """Return what is stored of parts; nothing for none."""
    values = [list(part) for part in parts]
    return compress(database_json(values)) if values else b""


def unpack_parts(stored: bytes | memoryview) -> list[Part]:
    """Return the parts that were stored."""
    if not stored:
        return []
    return [Part(*values) for values in orjson.loads(decompress(bytes(stored), _MAX_BYTES))]


def plain_parts(stored: bytes | memoryview) -> bytes:
    """Return the JSON of the parts that were stored."""
    return decompress(bytes(stored), _MAX_BYTES) if stored else b""
