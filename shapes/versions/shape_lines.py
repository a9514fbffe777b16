"""Shapes as lines for a terminal, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from shapes.models import Shape
from shapes.replay.shape_text import write_body
from shapes.versions.capturing import Review
from shapes.versions.effective_shape import effective_parts


def shape_lines(shape: Shape) -> list[str]:
    """Return address, headers and body of a version, with its patches, as lines.

    Raises:
        BrokenPatch: a patch does not apply.
    """
    parts = effective_parts(shape)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return _lines(parts.method, target, parts.headers, parts.body)


def raw_lines(found: Review) -> list[str]:
    """Return a captured request as lines, as it was recorded."""
    raw = found.raw
    target = f"{raw.path}?{raw.query}" if raw.query else raw.path
    return _lines(raw.method, target, raw.headers, write_body(raw.body))


def _lines(method: str, target: str, headers: Sequence[Sequence[str]], body: str) -> list[str]:
    fields = [f"{name}: {value}" for name, value in headers]
    try:
        parsed = json.loads(body) if body else {}
        pretty = json.dumps(parsed, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pretty = body
    return [f"{method} {target}", *fields, "", *pretty.split("\n")]


def summary(shape: Shape) -> dict[str, Any]:
    """Return a version for programs, without its headers and body."""
    return {
        "provider_type": shape.provider_type,
        "version": shape.version,
        "active": shape.active,
        "client_family": shape.client_family,
        "client_version": shape.client_version,
        "captured_at": _time(shape.captured_at),
        "activated_at": _time(shape.activated_at),
        "source_flow_id": shape.source_flow_id,
        "fingerprint": shape.fingerprint is not None,
        "scrubbed": shape.scrubbed,
        "notes": shape.notes,
    }


def full(shape: Shape) -> dict[str, Any]:
    """Return a version for programs, with everything that is stored of it."""
    return {
        **summary(shape),
        "method": shape.method,
        "path": shape.path,
        "query": shape.query,
        "headers": shape.headers,
        "body": json.loads(shape.body) if shape.body else None,
        "fingerprint": shape.fingerprint,
        "patches": [{"name": patch.name, "diff": patch.diff} for patch in shape.patches.all()],
    }


def _time(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
