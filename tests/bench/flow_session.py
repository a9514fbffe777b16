# ruff: noqa: E402  Django has to be set up before its models are imported
"""Stores an agent's session of a hundred turns and measures what it takes: one figure a line, as
JSON.

The texts are those of the recorded traffic where it is at hand, else made up.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")

import django

django.setup()

from django.core.management import call_command
from django.db.models import Sum
from django.db.models.functions import Length

from flows.bodies.store import load_body
from flows.models import Flow, FlowBody
from flows.queries.selectors import sides_of
from flows.redaction.redactor import Redactor
from flows.writer.batch import write_batch
from flows.writer.retention import delete_everything, used_bytes
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.bench.result import Figure
from tests.flows.agent_session import Texts, Turn, made_up, record, recorded, session
from tests.parts import all_sides

TURNS = 100
START_BYTES = 200_000
MAX_SHARE = 100 / 20
"""Per cent of the raw bytes."""
_CORPUS = Path(
    os.environ.get("CCPROXY_TEST_CORPUS") or Path(__file__).parents[2] / "../shared/data"
)
_CLIENT = "clients/claude-2.1.197.json"


def main() -> None:
    """Once as it came, once with a hook that rewrites every request."""
    call_command("migrate", verbosity=0)
    at_hand = (_CORPUS / _CLIENT).is_file()
    texts: Texts = recorded(_CORPUS) if at_hand else made_up(1_500_000)
    frame = json.loads((_CORPUS / _CLIENT).read_bytes())[1]["body"] if at_hand else None
    turns = list(session(texts, TURNS, START_BYTES, frame))
    for case, rewritten in (("as it came", False), ("rewritten by a hook", True)):
        _measure(case, turns, rewritten=rewritten)


def _measure(case: str, turns: list[Turn], *, rewritten: bool) -> None:
    delete_everything()
    before, builder, cpu_s = used_bytes(), RowBuilder(Redactor(SecretRegistry())), 0.0
    for number, turn in enumerate(turns):
        flow = record(number, turn, rewritten=rewritten)
        begun = time.process_time()
        rows = builder.build(flow)
        cpu_s += time.process_time() - begun
        write_batch([rows])
    names = ("client", "forwarded", "upstream") if rewritten else ("client", "upstream")
    raw = sum(side.body_size_bytes for side in all_sides(*names))
    _check(turns)
    blobs = FlowBody.objects.aggregate(total=Sum(Length("blob")))["total"]
    say("raw bytes, no body counted twice", case, raw / 1e6, "MB")
    say("stored bodies by raw bytes", case, 100 * blobs / raw, "%", MAX_SHARE)
    say("database's growth by raw bytes", case, 100 * (used_bytes() - before) / raw, "%", MAX_SHARE)
    say("CPU for a turn: redact, pack, rows", case, 1000 * cpu_s / len(turns), "ms")
    say("reading a request, p95", case, _reading_ms(), "ms")


def _check(turns: list[Turn]) -> None:
    for number, turn in enumerate(turns):
        side = sides_of(f"turn-{number:04}")["client"]
        assert load_body(side.body_digest) == turn.request, number


def _reading_ms() -> float:
    times = []
    for side in all_sides("forwarded"):
        begun = time.perf_counter()
        load_body(side.body_digest)
        times.append((time.perf_counter() - begun) * 1000)
    assert len(times) == Flow.objects.count()
    return sorted(times)[int(0.95 * len(times))]


def say(what: str, case: str, value: float, unit: str, target: Any = None) -> None:
    """Hand a figure to the parent."""
    print(json.dumps(asdict(Figure(what, case, value, unit, target))), flush=True)


if __name__ == "__main__":
    main()
