"""Bodies loaded from the database, by the digest of their redacted bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection

from flows.bodies.packed_body import PackedBody as PackedBody
from flows.bodies.packed_body import pack as pack
from flows.bodies.packed_body import unpack as unpack

_FETCH_ROWS = 200
# A subquery and a CROSS JOIN: SQLite would read all of the table for an ordinary join.
_WITH_BASES = """
    WITH RECURSIVE needed(digest) AS (
        SELECT digest FROM flows_flowbody WHERE digest IN ({placeholders})
        UNION
        SELECT (SELECT body.base_id FROM flows_flowbody body WHERE body.digest = needed.digest)
        FROM needed WHERE needed.digest IS NOT NULL
    )
    SELECT body.digest, body.encoding, body.size_bytes, body.blob, body.base_id
    FROM needed CROSS JOIN flows_flowbody body WHERE body.digest = needed.digest
"""


class BodyMissing(LookupError):
    """No body is stored under this digest; retention or a clear removed it."""


class _Row(NamedTuple):
    """A row of `_WITH_BASES`."""

    digest: str
    encoding: str
    size_bytes: int
    blob: bytes
    base: str | None


def load_body(digest: str) -> bytes:
    """Return the body with this digest; the empty digest stands for the empty body.

    Raises:
        BodyMissing: nothing is stored under it.
    """
    if not digest:
        return b""
    bodies = load_bodies([digest])
    if digest not in bodies:
        raise BodyMissing(f"the body {digest[:12]} is no longer stored")
    return bodies[digest]


def load_bodies(digests: Iterable[str]) -> dict[str, bytes]:
    """Return bodies by digest; those no longer stored are left out."""
    wanted = sorted(set(digests) - {""})
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), _FETCH_ROWS):
        chunk = wanted[start : start + _FETCH_ROWS]
        found |= _load(chunk)
    return found


def _load(digests: list[str]) -> dict[str, bytes]:
    placeholders = ", ".join(["%s"] * len(digests))
    with connection.cursor() as cursor:
        cursor.execute(_WITH_BASES.format(placeholders=placeholders), digests)
        rows = [_Row(*values) for values in cursor.fetchall()]
    by_digest = {row.digest: row for row in rows}
    plain: dict[str, bytes] = {}
    for row in rows:
        _unpack(row, by_digest, plain)
    return {digest: plain[digest] for digest in digests if digest in plain}


def _unpack(row: _Row, by_digest: dict[str, _Row], plain: dict[str, bytes]) -> None:
    """Unpack a body after those it is packed against; adds all of them to `plain`."""
    # From the body down to its root, or to a base that is unpacked already.
    chain = [row]
    while row.base is not None and row.base not in plain:
        row = by_digest[row.base]
        chain.append(row)
    for packed in reversed(chain):
        base = plain[packed.base] if packed.base else b""
        blob = bytes(packed.blob)
        plain[packed.digest] = unpack(packed.encoding, packed.size_bytes, blob, base)
