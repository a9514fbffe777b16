"""A record full of flows to measure with: some thousand flows with texts of their own, and copies
of their rows.

A copy has other ids, another time and another session. Each of its bodies is a row of its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import AutoField, Model

from flows.bodies.packed_body import PackedBody, pack
from flows.models import BodyRef, Flow, FlowBody, FlowParts
from flows.sides import FlowSide, HookTrace, write_parts
from tests.flows.agent_session import Texts, made_up

REQUEST_CHARS = 15_000
ANSWER_CHARS = 4_000
SESSION_FLOWS = 40
RARE_WORD = "heliotrope"
"""Stands in one flow of `OWN_TEXTS`."""
OWN_TEXTS = 5000
_BATCH_FLOWS = 1000
_APART_S = 7
_PROVIDERS = (
    (
        "anthropic",
        "api.anthropic.com",
        "/v1/messages?beta=true",
        ("claude-haiku-4-5", "claude-sonnet-4-5"),
    ),
    ("openai", "api.openai.com", "/v1/chat/completions", ("gpt-5", "gpt-5-mini")),
    (
        "google",
        "generativelanguage.googleapis.com",
        "/v1beta/models/gemini:generateContent",
        ("gemini-2.5-pro",),
    ),
)


def seed(count: int) -> int:
    """About `count` flows of 20 KB, the newest now; some failed, in sessions of forty.

    Returns how many.
    """
    own = min(count, OWN_TEXTS)
    texts, now = made_up(2_000_000), datetime.now(UTC)
    for start in range(0, own, _BATCH_FLOWS):
        numbers = range(start, min(own, start + _BATCH_FLOWS))
        _write(
            [
                _Made(number, texts, now - timedelta(seconds=_APART_S * (own - number)))
                for number in numbers
            ]
        )
    copies = count // own
    for copy in range(1, copies):
        _copy(copy, own * _APART_S * copy)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return own * copies


def _copy(copy: int, earlier_s: int) -> None:
    """Copy the flows with texts of their own, some time earlier."""
    marked = f"{copy:03}"

    def other(column: str) -> str:
        return f"substr({column}, 1, 19) || '{marked}' || substr({column}, 23)"

    if connection.vendor == "sqlite":
        moved = f"strftime('%Y-%m-%d %H:%M:%f', started_at, '-{earlier_s} seconds') || '000'"
    else:
        moved = f"started_at - interval '{earlier_s} seconds'"
    session = {"session_id": f"session_id || '-{copy}'", "started_at": moved, "id": other("id")}
    with transaction.atomic():
        _copy_rows(FlowBody, {"digest": other("digest")}, "digest")
        _copy_rows(Flow, session, "id")
        # A copy's sides name bodies of the original, which are of the same size.
        _copy_rows(FlowParts, {"flow_id": other("flow_id")}, "flow_id")
        _copy_rows(BodyRef, {"flow_id": other("flow_id"), "digest": other("digest")}, "flow_id")


def _copy_rows(model: type[Model], changed: dict[str, str], key: str) -> None:
    """Those of the rows whose key says that they are no copies."""
    columns = [
        str(column.column)
        for column in model._meta.concrete_fields
        if not isinstance(column, AutoField)
    ]
    values = ", ".join(changed.get(column, f'"{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE substr({key}, 20, 3)"
            " = '000'"
        )


class _Made:
    """The rows of one flow."""

    def __init__(self, number: int, texts: Texts, started_at: datetime) -> None:
        chance = random.Random(number)
        asked, said = texts.take(REQUEST_CHARS), texts.take(ANSWER_CHARS)
        if number % OWN_TEXTS == OWN_TEXTS // 2:
            said = f"{RARE_WORD} {said}"
        self.number, self.id = number, f"{chance.getrandbits(32):08x}-4000-8000-0000-{number:012x}"
        self.request, self.answer = _original(_request(asked, number)), _original(_reply(said))
        self.flow = Flow(id=self.id, started_at=started_at, **_fields(chance, number))
        names = (self.id, self.flow.session_id, self.flow.provider, self.flow.host, self.flow.path)
        self.flow.search_text = "\n".join(
            (*names, self.flow.requested_model, asked[-1200:], said[:1200])
        ).lower()

    def bodies(self) -> Iterator[PackedBody]:
        yield self.request
        yield self.answer

    def sides(self) -> Iterator[FlowSide]:
        for name in ("client", "forwarded", "upstream", "delivered"):
            body = self.request if name in ("client", "forwarded") else self.answer
            yield FlowSide(
                side=name,
                http_version="HTTP/1.1",
                headers=[
                    ["content-type", "application/json"],
                    ["x-request-id", f"{self.number:x}"],
                    ["via", name],
                ],
                body_digest=body.digest,
                body_size_bytes=body.size_bytes,
                status_code=None if name in ("client", "forwarded") else self.flow.status_code,
            )

    def hooks(self) -> Iterator[HookTrace]:
        for seq, hook in enumerate(("inject_auth", "extract_session_id")):
            yield HookTrace(
                seq=seq, stage="inbound", hook=hook, outcome="ran", changed=["header:a"]
            )


def _original(data: bytes) -> PackedBody:
    packed = pack(data)
    return replace(packed, digest=f"{packed.digest[:19]}000{packed.digest[22:]}")


def _fields(chance: random.Random, number: int) -> dict[str, Any]:
    provider, host, path, models = _PROVIDERS[number // SESSION_FLOWS % len(_PROVIDERS)]
    model, failed = chance.choice(models), number % 50 == 0
    return {
        "state": "done",
        "method": "POST",
        "host": host,
        "path": path,
        "provider": provider,
        "requested_model": model,
        "sent_model": model,
        "session_id": f"session-{number // SESSION_FLOWS}",
        "conversation_id": f"{number // SESSION_FLOWS:012x}",
        "status_code": 529 if failed else 200,
        "is_stream": chance.random() < 0.7,
        "hooks_changed": ["inject_auth"],
        "hooks_ran": '["inject_auth","extract_session_id"]',
        "duration_ms": chance.expovariate(1 / 4000),
        "first_byte_ms": chance.expovariate(1 / 700),
        "request_size_bytes": REQUEST_CHARS,
        "response_size_bytes": ANSWER_CHARS,
        "input_tokens": chance.randrange(1000, 90_000),
        "output_tokens": chance.randrange(1, 2000),
        "cost_usd": round(chance.expovariate(20), 6),
    }


def _request(text: str, number: int) -> bytes:
    turns = [text[start : start + 1500] for start in range(0, len(text), 1500)]
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": turn} for at, turn in enumerate(turns)
    ]
    return json.dumps({"model": "m", "max_tokens": 4096 + number, "messages": messages}).encode()


def _reply(text: str) -> bytes:
    return json.dumps(
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": text}]}
    ).encode()


def _write(made: list[_Made]) -> None:
    create = partial(_create, batch_rows=500)
    with transaction.atomic():
        create(FlowBody, [_body(body) for one in made for body in one.bodies()])
        create(Flow, [one.flow for one in made])
        texts = {one.id: asdict(write_parts(one.sides(), one.hooks())) for one in made}
        create(FlowParts, [FlowParts(flow_id=flow_id, **parts) for flow_id, parts in texts.items()])
        create(
            BodyRef,
            [BodyRef(flow_id=one.id, digest=body.digest) for one in made for body in one.bodies()],
        )


def _body(packed: PackedBody) -> FlowBody:
    return FlowBody(
        digest=packed.digest,
        encoding=packed.encoding,
        size_bytes=packed.size_bytes,
        blob=packed.blob,
    )


def _create(model: Any, rows: list[Any], batch_rows: int) -> None:
    model.objects.bulk_create(rows, batch_size=batch_rows, ignore_conflicts=model is FlowBody)
