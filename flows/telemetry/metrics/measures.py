"""Counters and histograms of finished flows, since the recorder's start.

A flow costs a few look-ups in dictionaries. Label sets are bounded: models and hosts come from
clients.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from threading import Lock
from typing import Final

from flows.models import Flow
from flows.record import AttemptRecord
from flows.telemetry.conventions import (
    ERROR_TYPE,
    OPERATION,
    PROVIDER_NAME,
    REQUEST_MODEL,
    TOKEN_TYPE,
)
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.flow_attributes import error_type, is_failed
from flows.telemetry.metrics import instruments as metrics
from flows.telemetry.metrics.instruments import Distribution, Instrument, Labels, Point
from flows.telemetry.provider_names import operation_of, provider_name

MAX_SETS: Final = 100
"""Label sets of one metric; what comes later is counted as `OTHER`."""
OTHER: Final = "_OTHER"
_MAX_LABEL_CHARS: Final = 100
_UNAUTHORIZED: Final = 401
_Key = tuple[tuple[str, str], ...]


class FlowMeasures:
    """The counters. `finished` is called on the writer's thread, `points` on any."""

    def __init__(self, max_sets: int = MAX_SETS) -> None:
        self._max_sets = max_sets
        self._lock = Lock()
        self._counters: dict[Instrument, dict[_Key, float]] = {}
        self._histograms: dict[Instrument, dict[_Key, Distribution]] = {}
        self._cacheable: dict[str, tuple[int, int]] = {}
        """(tokens that a cache served, input tokens) by provider, where caching was reported."""

    def finished(self, flow: FinishedFlow) -> None:
        """Count a finished flow."""
        row = flow.row
        # A recorded row of an import or of another format never lacks these columns.
        provider = (row.provider or row.host)[:_MAX_LABEL_CHARS]
        with self._lock:
            outcome = "failed" if is_failed(row) else "ok"
            self._add(metrics.FLOWS, 1, provider=provider, outcome=outcome)
            self._count_attempts(provider, row, flow.record.attempts)
            operation = operation_of(row.path, row.client_format, is_websocket=row.is_websocket)
            if operation:
                self._count_call(operation, row)
            self._count_tokens(provider, row)

    def points(self) -> list[Point]:
        """Return the values so far."""
        with self._lock:
            return [*self._points()]

    def _points(self) -> Iterator[Point]:
        for instrument, sums in self._counters.items():
            for key, total in sums.items():
                yield Point(instrument, dict(key), total)
        for instrument, found in self._histograms.items():
            for key, value in found.items():
                copied = Distribution(list(value.buckets), value.sum)
                yield Point(instrument, dict(key), copied)
        for provider, (read, possible) in self._cacheable.items():
            if possible:
                yield Point(metrics.CACHE_SHARE, {"provider": provider}, read / possible)

    def _count_attempts(
        self, provider: str, row: Flow, attempts: tuple[AttemptRecord, ...]
    ) -> None:
        if len(attempts) < 2:
            if row.status_code == _UNAUTHORIZED and row.forwarded_url:
                self._add(metrics.REFUSALS, 1, provider=provider)
            return
        before: int | None = None
        for attempt in attempts:
            name = (attempt.provider or provider)[:_MAX_LABEL_CHARS]
            if attempt.number > 1:
                self._add(metrics.RETRIES, 1, provider=name)
            if attempt.status_code == _UNAUTHORIZED:
                self._add(metrics.REFUSALS, 1, provider=name)
            if before == _UNAUTHORIZED:
                self._add(metrics.RENEWALS, 1, provider=name)
            before = attempt.status_code

    def _count_call(self, operation: str, row: Flow) -> None:
        labels = {
            OPERATION: operation,
            PROVIDER_NAME: provider_name(row.host, row.provider_type, row.provider_format),
            REQUEST_MODEL: _model(row),
        }
        if row.duration_ms is not None:
            failed = {ERROR_TYPE: error_type(row)} if is_failed(row) else {}
            self._observe(metrics.DURATION, row.duration_ms / 1000, labels | failed)
        if row.is_stream and row.first_event_ms is not None:
            self._observe(metrics.FIRST_CHUNK, row.first_event_ms / 1000, labels)
        for kind, tokens in (("input", row.input_tokens), ("output", row.output_tokens)):
            if tokens is not None:
                self._observe(metrics.TOKEN_USAGE, tokens, labels | {TOKEN_TYPE: kind})

    def _count_tokens(self, provider: str, row: Flow) -> None:
        model = _model(row)
        for kind, tokens in (
            ("input", row.input_tokens),
            ("output", row.output_tokens),
            ("cache_read", row.cache_read_tokens),
            ("cache_creation", row.cache_write_tokens),
            ("reasoning", row.reasoning_tokens),
        ):
            if tokens:
                self._add(metrics.TOKENS, tokens, provider=provider, model=model, type=kind)
        if row.cost_usd is not None:
            self._add(metrics.COST, float(row.cost_usd), provider=provider, model=model)
        if row.cache_read_tokens is not None and row.input_tokens is not None:
            known = provider in self._cacheable or len(self._cacheable) < self._max_sets
            name = provider if known else OTHER
            read, possible = self._cacheable.get(name, (0, 0))
            self._cacheable[name] = read + row.cache_read_tokens, possible + row.input_tokens

    def _add(self, instrument: Instrument, number: float, **labels: str) -> None:
        sums = self._counters.setdefault(instrument, {})
        key = self._key(labels, sums)
        sums[key] = sums.get(key, 0) + number

    def _observe(self, instrument: Instrument, value: float, labels: Labels) -> None:
        found = self._histograms.setdefault(instrument, {})
        key = self._key(labels, found)
        distribution = found.get(key)
        if distribution is None:
            distribution = found[key] = Distribution([0] * (len(instrument.bounds) + 1))
        # A bound belongs to its bucket: 0.02 → the bucket "up to 0.02".
        distribution.buckets[bisect_left(instrument.bounds, value)] += 1
        distribution.sum += value

    def _key(self, labels: Labels, known: dict[_Key, float] | dict[_Key, Distribution]) -> _Key:
        key = tuple(labels.items())
        if key in known or len(known) < self._max_sets:
            return key
        return tuple((name, OTHER) for name in labels)


def _model(row: Flow) -> str:
    return (row.sent_model or row.requested_model)[:_MAX_LABEL_CHARS]
