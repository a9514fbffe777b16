"""One piece of work done by several servers in turn, again and again: a machine that slows down
slows all of them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import fmean, median, quantiles
from typing import NamedTuple

from tests.bench.load import Answer, Connection, closed_loop, connected
from tests.bench.servers import Target
from tests.bench.traffic import times

Make = Callable[[int], bytes]
"""Makes a request for a server's port."""


@dataclass(frozen=True, slots=True)
class Load:
    """What each server is asked in a round: `requests` of them over `connections`."""

    make: Make
    requests: int
    connections: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One server in one round.

    CPU time is that of all its processes, until what it recorded was written and linked.
    """

    wall_s: float
    cpu_s: float
    index_cpu_s: float
    """CPU time after that, until the texts were indexed for the search."""
    proxy_cpu_s: float
    """Of the processes that accept requests, alone."""
    answers: list[Answer]

    @property
    def delays_s(self) -> list[float]:
        """Of each streamed event."""
        return [delay for answer in self.answers for delay in answer.event_delays]


class Spread(NamedTuple):
    """A median, and the bounds between which the true one is in 95 of 100 cases."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Return the median and its interval.

    The bounds are values themselves, whose ranks follow from the binomial distribution: no
    assumption about how the values scatter. Up to five values they are the least and the greatest.
    """
    found = sorted(values)
    number = len(found)
    kept_rank, outside = 0, 0.0
    for rank in range((number + 1) // 2):
        # Cases in which the true median is not between the values of this rank from both ends.
        outside += 2 * math.comb(number, rank) / 2**number
        if outside > 0.05:
            break
        kept_rank = rank
    return Spread(median(found), found[kept_rank], found[number - 1 - kept_rank])


class Series:
    """The samples of all rounds, by server."""

    def __init__(self, samples: dict[str, list[Sample]]) -> None:
        self._samples = samples

    def value(self, name: str, measure: Callable[[Sample], float]) -> float:
        """The median over the rounds."""
        return median(map(measure, self._samples[name]))

    def ratio(self, name: str, base: str, measure: Callable[[Sample], float]) -> float:
        """The median of the ratios within each round."""
        return median(self.ratios(name, (base,), measure))

    def ratios(
        self, name: str, bases: Sequence[str], measure: Callable[[Sample], float]
    ) -> list[float]:
        """The ratios within each round, to the mean of several servers."""
        others = zip(*(self._samples[base] for base in bases), strict=True)
        pairs = zip(self._samples[name], others, strict=True)
        return [measure(sample) / fmean(map(measure, other)) for sample, other in pairs]

    def added(self, name: str, base: str, measure: Callable[[Sample], float]) -> float:
        """The median of the differences within each round."""
        pairs = zip(self._samples[name], self._samples[base], strict=True)
        return median(measure(sample) - measure(other) for sample, other in pairs)


def measure(targets: Sequence[Target], load: Load, rounds: int) -> Series:
    """Ask every server in every round; each round begins with another one."""
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    for number in range(rounds):
        first = number % len(targets)
        for target in (*targets[first:], *targets[:first]):
            samples[target.name].append(sample(target, load))
    return Series(samples)


def measure_loads(target: Target, loads: Mapping[str, Load], rounds: int) -> Series:
    """Give one server several loads in every round; each round begins with another one."""
    samples: dict[str, list[Sample]] = {name: [] for name in loads}
    names = list(loads)
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            samples[name].append(sample(target, loads[name]))
    return Series(samples)


def sample(target: Target, load: Load, later_s: float = 0.0) -> Sample:
    """Ask a server once; `later_s` is how long it works on after its last record."""
    target.settle()
    before_s, proxy_before_s = target.cpu_s(), target.proxy_cpu_s()
    wall_s, answers = asyncio.run(_ask(target, load))
    target.acknowledged += len(answers)
    target.wait_for_record()
    recorded_s = target.cpu_s()
    target.settle()
    time.sleep(later_s)
    index_s = target.cpu_s() - recorded_s
    proxy_s = target.proxy_cpu_s() - proxy_before_s
    return Sample(wall_s, recorded_s - before_s, index_s, proxy_s, answers)


def sample_at_once(
    targets: Sequence[Target], load: Load, later_s: float = 0.0
) -> dict[str, Sample]:
    """Ask several servers in the same seconds, request by request in turn; return their samples.

    What disturbs one of them disturbs all. `later_s` as in `sample`.
    """
    for target in targets:
        target.settle()
    before_s = {target.name: target.cpu_s() for target in targets}
    proxy_before_s = {target.name: target.proxy_cpu_s() for target in targets}
    wall_s, answers = asyncio.run(_ask_in_turn(targets, load))
    for target in targets:
        target.acknowledged += len(answers[target.name])
    for target in targets:
        target.wait_for_record()
    recorded_s = {target.name: target.cpu_s() for target in targets}
    for target in targets:
        target.settle()
    time.sleep(later_s)
    return {
        target.name: Sample(
            wall_s,
            recorded_s[target.name] - before_s[target.name],
            target.cpu_s() - recorded_s[target.name],
            target.proxy_cpu_s() - proxy_before_s[target.name],
            answers[target.name],
        )
        for target in targets
    }


async def _ask_in_turn(
    targets: Sequence[Target], load: Load
) -> tuple[float, dict[str, list[Answer]]]:
    """Ask with `load.connections` clients, each of which goes from server to server."""
    answers: dict[str, list[Answer]] = {target.name: [] for target in targets}
    async with AsyncExitStack() as stack:
        clients: dict[str, list[Connection]] = {}
        for target in targets:
            opened = connected(target.port, load.connections)
            clients[target.name] = await stack.enter_async_context(opened)

        async def one(client: int) -> None:
            for number in range(load.requests // load.connections):
                # A, B, C and then C, B, A: none is always the first, or always behind the same.
                for target in targets if (client + number) % 2 else reversed(targets):
                    connection = clients[target.name][client]
                    answer = await connection.ask(load.make(target.port))
                    if answer.status_code != 200:
                        raise AssertionError(f"an answer has status {answer.status_code}")
                    answers[target.name].append(answer)

        began = time.perf_counter()
        await asyncio.gather(*(one(client) for client in range(load.connections)))
        return time.perf_counter() - began, answers


async def _ask(target: Target, load: Load) -> tuple[float, list[Answer]]:
    async with connected(target.port, load.connections) as connections:
        began = time.perf_counter()
        answers = await closed_loop(
            connections, times(load.requests, lambda: load.make(target.port))
        )
        return time.perf_counter() - began, answers


def p50_ms(sample: Sample) -> float:
    """Half of the requests were answered within this time."""
    return median(answer.taken_s for answer in sample.answers) * 1e3


def p99_ms(sample: Sample) -> float:
    """99 of 100 requests were."""
    return quantiles((answer.taken_s for answer in sample.answers), n=100)[98] * 1e3


def first_byte_ms(sample: Sample) -> float:
    """From the request to the first byte of its answer's body."""
    return median(answer.first_byte_s for answer in sample.answers) * 1e3


def event_ms(sample: Sample) -> float:
    """From the provider's write of an event to the client's read."""
    return median(sample.delays_s) * 1e3


def cpu_per_1000_requests(sample: Sample) -> float:
    """CPU seconds."""
    return sample.cpu_s / len(sample.answers) * 1000


def cpu_with_index_per_1000_requests(sample: Sample) -> float:
    """CPU seconds, until the texts are indexed for the search."""
    return (sample.cpu_s + sample.index_cpu_s) / len(sample.answers) * 1000


def proxy_cpu_per_1000_requests(sample: Sample) -> float:
    """CPU seconds of the processes that accept requests."""
    return sample.proxy_cpu_s / len(sample.answers) * 1000


def cpu_per_1000_events(sample: Sample) -> float:
    """CPU seconds, the request and its record included."""
    return sample.cpu_s / len(sample.delays_s) * 1000


def requests_per_s(sample: Sample) -> float:
    """Throughput."""
    return len(sample.answers) / sample.wall_s
