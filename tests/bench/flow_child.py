# ruff: noqa: E402  Django has to be set up before its models are imported
"""Fills the record of this process's database and measures the console on it: one figure a line, as
JSON.

`python -m tests.bench.flow_child COUNT`, with `CCPROXY_CONFIG_DIR` and perhaps `DATABASE_URL` in
the environment.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median, quantiles
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")

import django

django.setup()

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ccproxy_site.process.database import ensure_database
from flows.bodies.complete_flow import load_flows
from flows.export.har import har_text
from flows.models import Flow
from flows.queries.flow_set import jq_window, newest, rows_of
from flows.services import clear_everything
from tests.bench.flow_seed import RARE_WORD, seed
from tests.bench.pace import pace
from tests.bench.result import Figure

ROUNDS = 20
MAX_QUERIES = 15
HAR_FLOWS = 1000
JQ_FLOWS = 10_000
LISTS: Sequence[tuple[str, dict[str, str], float]] = (
    ("newest", {}, 200),
    ("by provider", {"provider": "google"}, 300),
    ("by status", {"status": "5xx"}, 300),
    ("failed", {"error": "true"}, 300),
    ("by model", {"model": "gpt-5-mini"}, 300),
    ("by session", {"session": "session-7-3"}, 300),
    ("dear", {"cost_min_usd": "0.4"}, 300),
    ("by tokens", {"tokens_min": "91500"}, 300),
    ("provider and status", {"provider": "openai", "status": "5xx"}, 300),
    ("nothing there", {"provider": "openai", "model": "claude-haiku-4-5"}, 300),
    ("text, frequent", {"q": "import9"}, 500),
    ("text, rare", {"q": RARE_WORD}, 500),
    ("text, two words", {"q": f"{RARE_WORD} index"}, 500),
    ("text, nowhere", {"q": "xylophonist"}, 500),
)


def measured(
    what: str, case: str, call: Callable[[], Any], target_ms: float, rounds: int = ROUNDS
) -> Iterator[Figure]:
    """The 95th percentile of a call's times, the first one left out; and what it takes of this
    process.

    On a machine that is busy with other work the two are far apart. A server of its own is not in
    the second.
    """
    call()
    times, cpu = [], []
    for _ in range(rounds):
        begun, cpu_begun = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - cpu_begun) * 1000)
    yield Figure(f"{what}, p95", case, quantiles(times, n=20)[-1], "ms", target_ms)
    yield Figure(f"{what}, CPU, median", case, median(cpu), "ms")


def pages(client: Client) -> Iterator[Figure]:
    """Pages of the console, their times and queries."""
    for case, query, target_ms in LISTS:
        yield from page(client, "list", case, "/flows/", query, target_ms)
    older = Flow.objects.order_by("-started_at")[Flow.objects.count() // 2]
    micros = int(older.started_at.timestamp() * 1_000_000)
    yield from page(
        client, "list", "a page in the middle", "/flows/", {"cursor": f"{micros}_{older.pk}"}, 200
    )
    for tab in ("", "chat", "request", "changes", "context"):
        yield from page(
            client, "flow page", tab or "as it opens", f"/flows/{older.pk}/", {"tab": tab}, 150
        )


def page(
    client: Client, what: str, case: str, path: str, query: dict[str, str], target_ms: float
) -> Iterator[Figure]:
    """One page."""
    ask = partial(_ask, client, path, query)
    with CaptureQueriesContext(connection) as asked:
        ask()
    queries = len(asked)
    yield from measured(what, case, ask, target_ms)
    yield Figure(f"{what}, queries", case, queries, "queries", MAX_QUERIES)


def exports() -> Iterator[Figure]:
    """HAR and jq, and what they hold in memory."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far was that of the seed
    before, begun = _peak_mb(), time.perf_counter()
    ids = list(newest(HAR_FLOWS).values_list("pk", flat=True))
    size = sum(len(piece) for piece in har_text(rows_of(ids), load_flows(ids)))
    yield Figure("export", f"HAR of {len(ids)} flows", time.perf_counter() - begun, "s", 10)
    yield Figure("export", f"HAR of {size / 1e6:.0f} MB, memory", _peak_mb() - before, "MB", 150)
    begun = time.perf_counter()
    flows = Flow.objects.order_by("-started_at", "-id")
    found, _ = jq_window(flows, ["map(select(.response.status_code >= 500)) | map(.id)"])
    assert found, "jq found nothing"
    yield Figure("jq", f"over {JQ_FLOWS} flows", time.perf_counter() - begun, "s", 10)


def clearing() -> Iterator[Figure]:
    """Delete everything."""
    count = Flow.objects.count()
    begun = time.perf_counter()
    clear_everything()
    assert not Flow.objects.filter(instance="").exists(), "what was seeded is still there"
    yield Figure("clear", f"all {count} flows", time.perf_counter() - begun, "s", 10)


def _ask(client: Client, path: str, query: dict[str, str]) -> None:
    response = client.get(path, query)
    assert response.status_code == 200, response.status_code
    assert response.content


def _peak_mb() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def main() -> None:
    """Fill, measure, clear."""
    ensure_database()
    begun = time.perf_counter()
    count = seed(int(sys.argv[1])) if not Flow.objects.exists() else Flow.objects.count()
    say(Figure("seed", f"{count} flows", time.perf_counter() - begun, "s"))
    user, _ = get_user_model().objects.get_or_create(
        username="bench", is_staff=True, is_superuser=True
    )
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    for figure in chain(pages(client), exports(), pace(cookie, clearing)):
        say(figure)


def say(figure: Figure) -> None:
    """Hand a figure to the parent."""
    print(json.dumps(asdict(figure)), flush=True)


if __name__ == "__main__":
    main()
