"""Writes the sides and steps of recorded flows as texts, some flows at a time: interrupted, it goes on where it was.

What is written here is what `flows.sides` reads; this file stays as it is when that changes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson
from django.db import connections, migrations, transaction
from django.db.migrations.exceptions import IrreversibleError

BATCH_FLOWS = 200
SIDES = ("client", "forwarded", "upstream", "delivered")
SIDE_COLUMNS = (
    "side", "http_version", "method", "url", "status_code", "reason", "headers", "trailers", "body_digest",
    "body_size_bytes", "body_truncated", "body_redacted", "body_decoded", "chunk_times",
)  # fmt: skip
STEP_COLUMNS = (
    "seq", "stage", "hook", "outcome", "reason", "prepare_ms", "apply_ms", "changed", "headers_before",
    "headers_after", "url_before", "url_after", "body_before", "body_after",
)  # fmt: skip


def convert(apps: Any, schema_editor: Any) -> None:
    """Convert the flows that are not converted yet, each batch in a transaction of its own."""
    alias, last = schema_editor.connection.alias, ""
    flows = apps.get_model("flows", "Flow").objects.using(alias)
    while ids := list(flows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH_FLOWS]):
        with transaction.atomic(using=alias):
            _convert(apps, alias, ids)
        last = ids[-1]


def _convert(apps: Any, alias: str, ids: list[str]) -> None:
    parts = apps.get_model("flows", "FlowParts").objects.using(alias)
    done = set(parts.filter(pk__in=ids).values_list("pk", flat=True))
    if not (todo := [flow_id for flow_id in ids if flow_id not in done]):
        return
    sides = _by_flow(apps.get_model("flows", "FlowSide").objects.using(alias), todo, SIDE_COLUMNS)
    steps = _by_flow(apps.get_model("flows", "HookTrace").objects.using(alias), todo, STEP_COLUMNS)
    for flow_id in todo:
        sides[flow_id].sort(key=lambda side: SIDES.index(side["side"]))
        steps[flow_id].sort(key=lambda step: step["seq"])
    part, ref = apps.get_model("flows", "FlowParts"), apps.get_model("flows", "BodyRef")
    parts.bulk_create([part(flow_id=flow_id, **_texts(sides[flow_id], steps[flow_id])) for flow_id in todo])
    refs = [
        ref(flow_id=flow_id, digest=digest)
        for flow_id in todo
        for digest in sorted(_digests(sides[flow_id], steps[flow_id]))
    ]
    ref.objects.using(alias).bulk_create(refs, ignore_conflicts=True)
    with connections[alias].cursor() as cursor:
        named = [(_ran(steps[flow_id]), flow_id) for flow_id in todo]
        cursor.executemany("UPDATE flows_flow SET hooks_ran = %s WHERE id = %s", named)


def _by_flow(rows: Any, ids: list[str], columns: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.filter(flow__in=ids).order_by().values("flow_id", *columns):
        found[row.pop("flow_id")].append(row)
    return found


def _digests(sides: list[dict[str, Any]], steps: list[dict[str, Any]]) -> set[str]:
    found = {side["body_digest"] for side in sides}
    return (found | {step[name] for step in steps for name in ("body_before", "body_after")}) - {""}


def _ran(steps: list[dict[str, Any]]) -> str:
    names = [step["hook"] for step in steps if step["outcome"] == "ran"]
    return orjson.dumps(list(dict.fromkeys(names))).decode()


def _texts(sides: list[dict[str, Any]], steps: list[dict[str, Any]]) -> dict[str, str]:
    """Lists of headers once each, those of the sides first; sides and steps have their places."""
    places: dict[bytes, int] = {}
    plain_sides = [_plain(side, ("headers",), places) for side in sides]
    of_sides = len(places)
    plain_steps = [_plain(step, ("headers_before", "headers_after"), places) for step in steps]
    lists = [*places]
    headers = b",".join(lists[of_sides:])
    return {
        "headers": (b"[%b]" % b",".join(lists[:of_sides])).decode(),
        "sides": orjson.dumps(plain_sides).decode(),
        "steps": (b'{"headers":[%b],"steps":%b}' % (headers, orjson.dumps(plain_steps))).decode(),
    }


def _plain(row: dict[str, Any], lists: tuple[str, ...], places: dict[bytes, int]) -> dict[str, Any]:
    """Without what is empty, false or unknown; lists of headers by their place."""
    told = {name: value for name, value in row.items() if value is not False and value not in ("", None, [])}
    named = {name: row[name] for name in lists if row[name] is not None}
    return told | {name: places.setdefault(orjson.dumps(lines), len(places)) for name, lines in named.items()}


def refuse_to_lose(apps: Any, schema_editor: Any) -> None:
    """There is no way back with flows in the record: their sides would be lost."""
    if apps.get_model("flows", "FlowParts").objects.using(schema_editor.connection.alias).exists():
        raise IrreversibleError("Export the recorded flows and clear them first.")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("flows", "0002_parts_of_flows")]
    operations = [migrations.RunPython(convert, refuse_to_lose)]
