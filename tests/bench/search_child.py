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
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")

import django

django.setup()

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Model, Sum
from django.db.models.functions import Length
from django.test import Client

from ccproxy_site.process.database import ensure_database
from flows.lineage.linker import Linker
from flows.models import Flow, FlowBody, FlowLink, FlowParts, FlowText, SearchShelf
from flows.queries.filters import PagedFlowFilter
from flows.queries.list_order import NEWEST_FIRST, ordered_page
from flows.queries.selectors import PAGE_ROWS, rows
from flows.record import SideRecord
from flows.redaction.redactor import Redactor
from flows.search.indexer import Indexer
from flows.search.segment_rows import build_segment
from flows.search.text_filter import page_hits
from flows.writer.batch import write_batch
from flows.writer.retention import used_bytes
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.bench.result import Figure
from tests.flows.agent_session import Texts, Turn, made_up, record, recorded, session

SESSION_FLOWS = 40
START_BYTES = 4000
OWN_FLOWS = 2000
ROUNDS = 12
RARE_TEXT = "Zygomorphe Blüten im April"
_CORPUS = Path(
    os.environ.get("CCPROXY_TEST_CORPUS") or Path(__file__).parents[2] / "../shared/data"
)
_CLIENT = "clients/claude-2.1.197.json"


def say(what: str, case: str, value: float, unit: str, target: float | None = None) -> None:
    """Hand a figure to the parent."""
    print(json.dumps(asdict(Figure(what, case, value, unit, target))), flush=True)


def main() -> None:
    """Record, index, copy, search, open pages."""
    count = int(sys.argv[1])
    ensure_database()
    own = min(count, OWN_FLOWS)
    _record(own)
    _index(own)
    _record_rare(own)
    _copy(count // own)
    began, cpu = time.perf_counter(), time.process_time()
    while build_segment():
        pass
    total = Flow.objects.count()
    say("CPU a flow", "segments", 1000 * (time.process_time() - cpu) / total, "ms")
    say("segments of all flows", "one after the other", time.perf_counter() - began, "s")
    _share()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    _search()
    _pages()


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
    say("growth of the file", "linking", (linked - before) / count, "B")
    say("growth of the file", "texts of the index", (used_bytes() - linked) / count, "B")


def _record_rare(number: int) -> None:
    """Record a flow with words that no other has."""
    request = {"model": "m", "messages": [_user(RARE_TEXT)]}
    turn = Turn(json.dumps(request).encode(), b'{"type": "message", "content": []}')
    flow = replace(record(number, turn), id="rare", session_id="rare", started_at=time.time())
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(flow)])
    linker, indexer = Linker(), Indexer()
    while linker.link_pending() or indexer.index_pending(10):
        pass


def _copy(times: int) -> None:
    """Copy the rows of the recorded sessions: other ids, sessions and times, the same texts."""
    for copy in range(1, times):

        def other(column: str, number: int = copy) -> str:
            return f"substr({column}, 1, 9) || '{number:04x}' || substr({column}, 14)"

        earlier = f"strftime('%Y-%m-%d %H:%M:%f', started_at, '-{copy * 4} hours') || '000'"
        session_id = f"session_id || '-{copy}'"
        with transaction.atomic():
            _copy_rows(Flow, {"id": other("id"), "session_id": session_id, "started_at": earlier})
            _copy_rows(FlowParts, {"flow_id": other("flow_id")})
            links = {"flow_id": other("flow_id"), "session": f"session || '-{copy}'"}
            _copy_rows(FlowLink, links | {"thread": other("thread"), "previous": other("previous")})
            _copy_rows(FlowText, {"flow_id": other("flow_id"), "segment": "NULL"})


def _copy_rows(model: type[Model], changed: dict[str, str]) -> None:
    columns = [str(field.column) for field in model._meta.concrete_fields]
    values = ", ".join(changed.get(column, f'"{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    table, key = model._meta.db_table, columns[0]
    if "flow_id" in columns:
        key = "flow_id"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}"
            f" WHERE substr({key}, 10, 4) = '0000'"
        )


def _share() -> None:
    count = Flow.objects.count()
    parts = FlowText.objects.aggregate(total=Sum(Length("parts")))["total"]
    shelves = SearchShelf.objects.aggregate(total=Sum(Length("postings")))["total"]
    say("index", "texts a flow", parts / count, "B")
    say("index", "trigrams a flow", shelves / count, "B")
    # The copies share the bodies of the sessions that were recorded, as recorded ones would not.
    bodies = FlowBody.objects.aggregate(total=Sum(Length("blob")))["total"]
    own = min(count, OWN_FLOWS)
    stored = used_bytes() / count + bodies / own
    say("index", "of the stored bytes", 100 * (parts + shelves) / count / stored, "%", 25)


def _search() -> None:
    for case, text, target in (
        ("rare", "zygomorphe Blüten", 300),
        ("rare phrase", '"zygomorphe Blüten im April"', 300),
        ("nowhere", "xylophonist", 100),
        ("nowhere, of frequent letters", "terinationes", 100),
        (
            "nowhere, a phrase of frequent words",
            '"the file of the test that is in the error"',
            None,
        ),
        ("nowhere, three letters", "qzx", 100),
        ("nowhere, two letters", "qq", None),
        ("frequent", "function", None),
        ("two frequent words", "function error", None),
        ("in the system prompt", "claude", None),
    ):
        hits = 0

        def ask(words: str = text) -> None:
            nonlocal hits
            filters = PagedFlowFilter({"q": words}, queryset=Flow.objects.all())
            page = ordered_page(rows(filters.qs), NEWEST_FIRST, "", PAGE_ROWS)
            page_hits(words, page.flows)
            hits = len(page.flows)

        _measure("search, a page with its hits", case, ask, target)
        say("search, rows", case, hits, "")


def _pages() -> None:
    user = get_user_model().objects.create_superuser("bench", password="bench")
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(user)
    flow_id = (
        f"{(OWN_FLOWS // 2) // SESSION_FLOWS * SESSION_FLOWS + 20:08x}-0000-4000-8000-000000000000"
    )
    for path in (
        "/flows/", "/flows/?provider=anthropic", "/flows/?status=5xx", "/flows/?error=true",
        "/flows/?model=m", "/flows/?session=session-3", "/flows/?tokens_min=1", "/flows/?q=xylophonist",
        "/flows/?q=zygomorphe", "/flows/?q=function", "/flows/?sort=-cost", "/flows/?header=request-id",
        "/flows/sessions/", "/flows/session/session-3/", "/usage/", "/dashboard/", f"/flows/{flow_id}/",
        f"/flows/{flow_id}/?tab=chat", f"/flows/{flow_id}/?tab=client", f"/flows/{flow_id}/?tab=changes",
        f"/flows/{flow_id}/?tab=context", "/api/flows/", "/api/flows/?q=zygomorphe", "/api/sessions/",
    ):  # fmt: skip
        status = 0

        def get(address: str = path) -> None:
            nonlocal status
            status = client.get(address).status_code

        _measure("page", path, get, 200)
        if status != 200:
            say("page, status", path, status, "")


def _measure(what: str, case: str, call: Callable[[], None], target_ms: float | None) -> None:
    """Say the 95th percentile of the times of a call, the first one left out, and its CPU time."""
    call()
    times, cpu = [], []
    for _ in range(ROUNDS):
        began, cpu_began = time.perf_counter(), time.process_time()
        call()
        times.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - cpu_began))
    say(what, f"{case}, p95", quantiles(times, n=20)[18], "ms", target_ms)
    say(what, f"{case}, CPU", median(cpu), "ms")


if __name__ == "__main__":
    main()
