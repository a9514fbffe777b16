"""Bodies out of the database, by the digest of their (redacted) bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection

from flows.bodies.packed_body import PackedBody as PackedBody
from flows.bodies.packed_body import pack as pack
from flows.bodies.packed_body import unpack as unpack

_FETCH_ROWS = 200
_WITH_BASES = """
    WITH RECURSIVE needed(digest) AS (
        SELECT digest FROM flows_flowbody WHERE digest IN ({places})
        UNION
        SELECT (SELECT body.base_id FROM flows_flowbody body WHERE body.digest = needed.digest)
        FROM needed WHERE needed.digest IS NOT NULL
    )
    SELECT body.digest, body.encoding, body.size_bytes, body.blob, body.base_id
    FROM needed CROSS JOIN flows_flowbody body WHERE body.digest = needed.digest
"""
"""A subquery and a CROSS JOIN, because SQLite would read the whole table for an ordinary join."""


class BodyMissing(LookupError):
    """No body is stored under this digest; retention or a clear removed it."""


def load_body(digest: str) -> bytes:
    """The body under a digest; the empty digest is the empty body.

    Raises:
        BodyMissing: when nothing is stored under it.
    """
    if not digest:
        return b""
    bodies = load_bodies([digest])
    if digest not in bodies:
        raise BodyMissing(f"the body {digest[:12]} is no longer stored")
    return bodies[digest]


def load_bodies(digests: Iterable[str]) -> dict[str, bytes]:
    """Bodies by digest; those no longer stored are left out."""
    wanted = sorted({digest for digest in digests if digest})
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), _FETCH_ROWS):
        found |= _load(wanted[start : start + _FETCH_ROWS])
    return found


def _load(digests: list[str]) -> dict[str, bytes]:
    with connection.cursor() as cursor:
        cursor.execute(_WITH_BASES.format(places=", ".join(["%s"] * len(digests))), digests)
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    plain: dict[str, bytes] = {}
    for digest in rows:
        _unpack(digest, rows, plain)
    return {digest: plain[digest] for digest in digests if digest in plain}


def _unpack(digest: str, rows: dict[str, Any], plain: dict[str, bytes]) -> None:
    """Unpack a body after those that it builds on."""
    chain = [digest]
    while (base := rows[chain[-1]][3]) is not None and base not in plain:
        chain.append(base)
    for name in reversed(chain):
        encoding, size_bytes, blob, base = rows[name]
        plain[name] = unpack(encoding, size_bytes, bytes(blob), plain[base] if base else b"")
