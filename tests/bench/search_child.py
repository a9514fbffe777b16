# ruff: noqa: E402  Django has to be set up before its models are imported
"""Records agents' sessions, indexes them, and measures the search: one figure a line, as JSON.

`python -m tests.bench.search_child COUNT`, with `CCPROXY_CONFIG_DIR` in the environment. The
sessions with texts of their own are copied row by row until there are COUNT flows.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")

import django

django.setup()

from django.db.models import Sum
from django.db.models.functions import Length

from ccproxy_site.process.database import ensure_database
from flows.lineage.linker import Linker
from flows.models import FlowText, SearchShelf
from flows.record import SideRecord
from flows.redaction.redactor import Redactor
from flows.search.indexer import Indexer
from flows.search.segment_rows import build_segment
from flows.writer.batch import write_batch
from flows.writer.retention import used_bytes
from flows.writer.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.bench.result import Figure
from tests.flows.agent_session import Texts, made_up, record, recorded, session

SESSION_FLOWS = 40
START_BYTES = 4000
OWN_FLOWS = 4000
_CORPUS = Path(
    os.environ.get("CCPROXY_TEST_CORPUS") or Path(__file__).parents[2] / "../shared/data"
)
_CLIENT = "clients/claude-2.1.197.json"


def say(what: str, case: str, value: float, unit: str, target: float | None = None) -> None:
    """Hand a figure to the parent."""
    print(json.dumps(asdict(Figure(what, case, value, unit, target))), flush=True)


def main() -> None:
    """Record, index, search."""
    count = int(sys.argv[1])
    ensure_database()
    own = min(count, OWN_FLOWS)
    _record(own)
    _index(own)


def _texts() -> tuple[Texts, dict[str, Any] | None]:
    """Return texts, and a request with the system prompt and the tools of an agent."""
    if (_CORPUS / _CLIENT).is_file():
        frame = json.loads((_CORPUS / _CLIENT).read_bytes())[1]["body"]
        return recorded(_CORPUS), frame
    return made_up(2_000_000), None


def _record(count: int) -> None:
    texts, frame = _texts()
    builder = RowBuilder(Redactor(SecretRegistry()))
    began_s = time.time() - 7 * count
    number = 0
    while number < count:
        if frame is not None:
            # Each session has a working directory and a question of its own.
            frame = {**frame, "messages": [_user(f"Session {number}: {texts.take(400)}")]}
        rows = []
        for turn in session(texts, min(SESSION_FLOWS, count - number), START_BYTES, frame):
            flow = record(number, turn)
            flow = replace(
                flow,
                id=f"{number:08x}-0000-4000-8000-000000000000",
                session_id=f"session-{number // SESSION_FLOWS}",
                started_at=began_s + 7 * number,
                sides=tuple(_with_headers(side, number) for side in flow.sides),
            )
            rows.append(builder.build(flow))
            number += 1
        write_batch(rows)
    say("flows recorded", "bytes a flow", used_bytes() / count, "B")


def _with_headers(side: SideRecord, number: int) -> SideRecord:
    """Return a side with as many headers as an agent's."""
    chance = random.Random(number)
    own = [
        ("request-id", f"req_{chance.getrandbits(120):024x}"),
        ("cf-ray", f"{chance.getrandbits(64):x}"),
    ]
    if side.side in ("client", "forwarded"):
        own = [("x-claude-code-session-id", f"session-{number // SESSION_FLOWS}")]
    more = [(f"x-agent-header-{n}", f"value {n} of an agent; q=0.{n}") for n in range(12)]
    return replace(side, headers=(*side.headers, *own, *more))


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def _index(count: int) -> None:
    before = used_bytes()
    linker, indexer = Linker(), Indexer()
    cpu = time.process_time()
    while linker.link_pending(10):
        pass
    say("CPU a flow", "linking", 1000 * (time.process_time() - cpu) / count, "ms")
    linked = used_bytes()
    cpu = time.process_time()
    while indexer.index_pending(10):
        pass
    say("CPU a flow", "indexing", 1000 * (time.process_time() - cpu) / count, "ms")
    cpu = time.process_time()
    while build_segment():
        pass
    say("CPU a flow", "segments", 1000 * (time.process_time() - cpu) / count, "ms")
    parts = FlowText.objects.aggregate(total=Sum(Length("parts")))["total"]
    shelves = SearchShelf.objects.aggregate(total=Sum(Length("postings")))["total"]
    say("index", "texts a flow", parts / count, "B")
    say("index", "trigrams a flow", shelves / count, "B")
    say("index", "of the stored bytes", 100 * (parts + shelves) / used_bytes(), "%", 25)
    say("growth", "linking", (linked - before) / count, "B")
    say("growth", "index", (used_bytes() - linked) / count, "B")


if __name__ == "__main__":
    main()
