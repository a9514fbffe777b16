"""Metrics that ccproxy offers: names, kinds, units. Pure.

The `gen_ai.*` ones follow the GenAI conventions (see `flows.telemetry.conventions`), boundaries
included. Prometheus names are made by the rules of OpenTelemetry's compatibility specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Labels = dict[str, str]
Kind = Literal["counter", "gauge", "histogram"]

_UNIT_SUFFIXES: Final = {"s": "seconds", "By": "bytes", "USD": "usd", "1": "ratio"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. `bounds` are the upper bounds of a histogram's buckets, without infinity."""

    name: str
    kind: Kind
    unit: str
    help: str
    bounds: tuple[float, ...] = ()

    @property
    def prometheus_name(self) -> str:
        """The name for Prometheus, without `_total`: `a.b` in seconds → `a_b_seconds`."""
        name = self.name.replace(".", "_")
        suffix = _UNIT_SUFFIXES.get(self.unit)
        return f"{name}_{suffix}" if suffix else name


@dataclass(slots=True)
class Distribution:
    """Value of a histogram: a count for each bucket, the last one without a bound, and the sum."""

    buckets: list[int]
    sum: float = 0.0

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.buckets)


@dataclass(frozen=True, slots=True)
class Point:
    """Value of a metric for one set of labels."""

    instrument: Instrument
    labels: Labels
    value: float | Distribution

    def as_json(self) -> list[Any]:
        """Return the point as the heartbeat's row stores it."""
        value: Any = self.value
        if isinstance(value, Distribution):
            value = {"buckets": value.buckets, "sum": value.sum}
        return [self.instrument.name, self.labels, value]


_SECONDS: Final = tuple(0.01 * 2**power for power in range(14))
TOKEN_USAGE: Final = Instrument(
    "gen_ai.client.token.usage", "histogram", "{token}", "Tokens of one call of a model.",
    tuple(float(4**power) for power in range(14)),
)  # fmt: skip
DURATION: Final = Instrument(
    "gen_ai.client.operation.duration", "histogram", "s", "Duration of a call of a model.",
    _SECONDS,
)  # fmt: skip
FIRST_CHUNK: Final = Instrument(
    "gen_ai.client.operation.time_to_first_chunk", "histogram", "s",
    "Time to the first chunk of a streamed response.", _SECONDS,
)  # fmt: skip
FLOWS: Final = Instrument(
    "ccproxy.flows", "counter", "{flow}", "Finished flows by provider and outcome."
)
TOKENS: Final = Instrument(
    "ccproxy.tokens", "counter", "{token}", "Reported tokens by provider, model and type."
)
COST: Final = Instrument("ccproxy.cost", "counter", "USD", "Cost of the calls with a known price.")
RETRIES: Final = Instrument(
    "ccproxy.retries", "counter", "{attempt}", "Attempts after the first one, by provider."
)
REFUSALS: Final = Instrument(
    "ccproxy.credential.refusals", "counter", "{response}", "Responses with status 401."
)
RENEWALS: Final = Instrument(
    "ccproxy.credential.renewals", "counter", "{attempt}",
    "Requests sent again with a credential that was renewed after a 401.",
)  # fmt: skip
CACHE_SHARE: Final = Instrument(
    "ccproxy.cache.hit_share", "gauge", "1", "Share of the input tokens that a cache served."
)
ACTIVE_FLOWS: Final = Instrument(
    "ccproxy.flows.active", "gauge", "{flow}", "Flows that run, by proxy."
)
QUEUE_DEPTH: Final = Instrument(
    "ccproxy.queue.depth", "gauge", "{record}", "Records that wait for the database."
)
WRITER_LAG: Final = Instrument(
    "ccproxy.writer.lag", "gauge", "s", "Age of the oldest record that waits."
)
RECORDS_DROPPED: Final = Instrument(
    "ccproxy.records.dropped", "counter", "{record}", "Flows that were not recorded."
)
BODIES_DROPPED: Final = Instrument(
    "ccproxy.bodies.dropped", "counter", "{record}", "Flows recorded without their bodies."
)
COOLDOWNS: Final = Instrument(
    "ccproxy.cooldowns", "gauge", "{candidate}", "Candidates that chains of fallbacks skip."
)
SPANS_SENT: Final = Instrument(
    "ccproxy.telemetry.spans.sent", "counter", "{span}", "Spans that the collector took."
)
SPANS_DROPPED: Final = Instrument(
    "ccproxy.telemetry.spans.dropped", "counter", "{span}", "Spans that never reached it."
)
SPANS_WAITING: Final = Instrument(
    "ccproxy.telemetry.spans.waiting", "gauge", "{span}", "Spans that wait for the collector."
)
ALL: Final = (
    TOKEN_USAGE, DURATION, FIRST_CHUNK, FLOWS, TOKENS, COST, RETRIES, REFUSALS, RENEWALS,
    CACHE_SHARE, ACTIVE_FLOWS, QUEUE_DEPTH, WRITER_LAG, RECORDS_DROPPED, BODIES_DROPPED, COOLDOWNS,
    SPANS_SENT, SPANS_DROPPED, SPANS_WAITING,
)  # fmt: skip
_BY_NAME: Final = {instrument.name: instrument for instrument in ALL}


def point_of(stored: Any) -> Point | None:
    """Return a point from `Point.as_json`; None for one of another version."""
    try:
        name, labels, value = stored
        instrument = _BY_NAME[name]
        if isinstance(value, dict):
            buckets = [int(count) for count in value["buckets"]]
            if len(buckets) != len(instrument.bounds) + 1:
                return None
            return Point(instrument, dict(labels), Distribution(buckets, float(value["sum"])))
        return Point(instrument, dict(labels), float(value))
    except (ValueError, TypeError, KeyError):
        return None
