"""Sums of a run by plain SQL, beside those that pages show."""

from __future__ import annotations

from random import Random

import pytest

from flows.figures.run_sums import RunSums, run_sums
from flows.lookup_method import NO_HTTP
from flows.models import Flow
from flows.queries.sessions import cache_share, totals_of
from providers.reading.django_reader import read
from tests.rows import make_flow

RUN, OTHER = "claude-ab12", "claude-cd34"
METHODS = ("GET", "POST", *sorted(NO_HTTP))


def some_flow(random: Random) -> None:
    def maybe(most: int) -> int | None:
        return random.choice((None, 0, random.randrange(most)))

    make_flow(
        run_label=random.choice((RUN, RUN, OTHER, "")),
        method=random.choice(METHODS),
        state=random.choice(list(Flow.State)),
        status_code=random.choice((None, 101, 200, 399, 400, 529)),
        error=random.choice(("", "Client disconnected")),
        input_tokens=maybe(2**31),
        output_tokens=maybe(9000),
        cache_read_tokens=maybe(9000),
        cost_usd=random.choice((None, "0.00000001", "1.25", "0")),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("flows", [0, 1, 2, 60])
@pytest.mark.parametrize("seed", range(3))
def test_the_sums_are_those_of_the_pages(flows: int, seed: int) -> None:
    random = Random(seed)
    for _ in range(flows):
        some_flow(random)
    chosen = Flow.objects.filter(run_label=RUN).exclude(method__in=NO_HTTP)
    expected = totals_of(chosen)
    sums = run_sums(read, RUN)
    assert sums.cost_usd is None or float(sums.cost_usd) == pytest.approx(float(expected["cost"]))
    assert sums._replace(cost_usd=None) == RunSums(
        requests=expected["requests"],
        failed=expected["failed"],
        running=chosen.filter(state=Flow.State.LIVE).count(),
        input_tokens=expected["input"],
        output_tokens=expected["output"],
        cache_read_tokens=expected["cache_read"],
        cacheable_tokens=expected["cacheable"],
        cost_usd=None,
    )
    assert (sums.cost_usd is None) == (expected["cost"] is None)
    assert sums.cache_share == cache_share(expected["cache_read"], expected["cacheable"])
