"""Encoding of prepared rows for files: models as their columns, each body once.

    marshal of (flows, bodies); a flow is (columns, three texts, digests that it refers to, columns
    of its messages, number of its messages, digests of its bodies); a body is (encoding, size,
    blob, digest of its base or None). Times and decimals are pairs: ("time", "2026-01-01T…").

Columns have names, so a file can be read by a later version, which may have more or fewer of them.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models

from flows.bodies.packed_body import PackedBody
from flows.models import Flow, WebSocketMessage
from flows.sides import PartTexts
from flows.upsert import new_row
from flows.writer.rows.flow_rows import FlowRows

_TIME, _DECIMAL = "time", "decimal"
type _Bodies = dict[str, tuple[str, int, bytes, str | None]]


def rows_as_bytes(batch: Sequence[FlowRows]) -> bytes:
    """Return the bytes of rows."""
    bodies: _Bodies = {}
    flows: list[tuple[Any, ...]] = []
    for rows in batch:
        for body in rows.bodies.values():
            _add_body(bodies, body)
        parts = rows.parts
        messages = [_columns(message) for message in rows.messages]
        texts = (parts.headers, parts.sides, parts.steps)
        digests = list(rows.bodies)
        flow = _columns(rows.flow)
        flows.append((flow, texts, list(rows.refs), messages, rows.message_count, digests))
    return marshal.dumps((flows, bodies))


def rows_of_bytes(payload: bytes) -> list[FlowRows]:
    """Return rows as they were. Raise ValueError for bytes of another form."""
    try:
        flows, encoded = marshal.loads(payload)  # noqa: S302  # the caller has checked a digest
        bodies = _bodies(encoded)
        return [_rows(flow, bodies) for flow in flows]
    except (EOFError, TypeError, KeyError, ArithmeticError) as exc:
        raise ValueError(f"its rows are of another form: {exc!r}") from exc


def _rows(encoded: tuple[Any, ...], bodies: dict[str, PackedBody]) -> FlowRows:
    flow, texts, refs, messages, message_count, digests = encoded
    return FlowRows(
        flow=_row(Flow, flow),
        parts=PartTexts(*texts),
        refs=frozenset(refs),
        messages=[_row(WebSocketMessage, message) for message in messages],
        bodies={digest: bodies[digest] for digest in digests},
        message_count=message_count,
    )


def _add_body(bodies: _Bodies, body: PackedBody) -> None:
    """Add a body and what it needs to be read."""
    for one in (body, *body.bases()):
        base = one.base.digest if one.base else None
        bodies[one.digest] = (one.encoding, one.size_bytes, bytes(one.blob), base)


def _bodies(encoded: _Bodies) -> dict[str, PackedBody]:
    """Return the bodies by digest, each with its chain of bases."""
    made: dict[str, PackedBody] = {}
    for digest in encoded:
        # The chain from this body to one without a base, or with one that is made already.
        chain: list[str] = []
        following: str | None = digest
        while following is not None and following not in made:
            chain.append(following)
            following = encoded[following][3]
        for link in reversed(chain):
            encoding, size_bytes, blob, base = encoded[link]
            made[link] = PackedBody(link, encoding, size_bytes, blob, made[base] if base else None)
    return made


def _columns(row: models.Model) -> dict[str, Any]:
    return {name: _plain(row.__dict__[name]) for name in _names(type(row)) if name in row.__dict__}


def _row[Row: models.Model](model: type[Row], columns: dict[str, Any]) -> Row:
    known = columns.keys() & set(_names(model))
    return new_row(model, {name: _value(columns[name]) for name in known})


def _names(model: type[models.Model]) -> Iterable[str]:
    fields = model._meta.concrete_fields
    return [field.attname for field in fields if not isinstance(field, models.AutoField)]


def _plain(value: Any) -> Any:
    """Return a value of basic types; subclasses such as an enumeration's members are made plain."""
    match value:
        case None | bool():
            return value
        case datetime():
            return (_TIME, value.isoformat())
        case Decimal():
            return (_DECIMAL, str(value))
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case memoryview() | bytearray():
            return bytes(value)
    for cls in (str, bytes, int, float):
        if isinstance(value, cls):
            basic: Any = cls
            return basic(value)
    raise TypeError(f"a row holds a {type(value).__name__}")


def _value(plain: Any) -> Any:
    match plain:
        case (str(kind), str(text)) if isinstance(plain, tuple) and kind == _TIME:
            return datetime.fromisoformat(text)
        case (str(kind), str(text)) if isinstance(plain, tuple) and kind == _DECIMAL:
            return Decimal(text)
    return plain
