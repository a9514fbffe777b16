"""Times of captures in every form, and the order of a file's flows."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.imports.capture_time import in_file_order, moment_of
from flows.imports.har_reader import records_of_har
from tests.flows.imports.har_files import entry, har

MOMENT = datetime(2026, 1, 13, 14, 41, 11, tzinfo=UTC).timestamp()
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-13T14:41:11.000Z",
        "2026-01-13T15:41:11.000+01:00",
        "2026-01-13T15:41:11+0100",
        "2026-01-13 15:41:11 +01:00",
        "2026-01-13T14:41:11.0000000Z",
        "2026-01-13T14:41:11",
        "2026-01-13T03:41:11.000 PM+01:00",
        "2026-01-13T03:41:11.000\u202fp.m.+01:00",
        "\u200e٢٠٢٦-٠١-١٣T١٤:٤١:١١.٠٠٠Z",
        "2026-01-13T14:41:11,000Z",
        "Tue, 13 Jan 2026 14:41:11 GMT",
        "Tue Jan 13 2026 15:41:11 GMT+0100 (Central European Standard Time)",
        1768315271,
        1768315271.0,
        "1768315271",
        1768315271000,
        "1768315271000",
        "1768315271000.0",
        1768315271000000,
        1768315271000000000,
    ],
)
def test_a_time_is_understood(written: Any) -> None:
    assert moment_of(written) == pytest.approx(MOMENT, abs=1e-3)


@pytest.mark.parametrize(
    "written",
    [
        None, "", "yesterday", "1/13/2026, 3:41:11 PM", "0001-01-01T00:00:00Z", "2569-01-13T14:41:11Z",
        0, -1, 17, "17", True, [], {}, float("nan"), float("inf"), 10**400, "9" * 400,
        "1970-01-01T00:00:00Z", "2026-13-45T00:00:00Z", "2026-01-13T15:41:11 PM",
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_understood_is_unknown(written: Any) -> None:
    assert moment_of(written) is None


@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_every_moment_and_offset_comes_back(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment_of(local.isoformat()) == pytest.approx(local.timestamp(), abs=1e-6)
    twelve = local.strftime("%Y-%m-%dT%I:%M:%S.%f %p%z")
    assert moment_of(twelve) == pytest.approx(local.timestamp(), abs=1e-6)


@given(written=st.text(max_size=30) | st.integers() | st.floats() | st.none())
def test_no_value_raises(written: Any) -> None:
    moment = moment_of(written)
    assert moment is None or 0 < moment < 4_102_444_801


@given(
    steps=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    unknown=st.sets(st.integers(0, 11)),
)
def test_flows_stand_in_the_files_order(steps: list[int], unknown: set[int]) -> None:
    entries = []
    at = 1_768_315_271_000
    for index, step in enumerate(steps):
        at += step
        entries.append(entry(startedDateTime="soon" if index in unknown else at, comment=index))
    flows = [flow for flow in records_of_har(har(*entries)) if flow is not None]
    starts = [datetime.fromtimestamp(flow.record.started_at, UTC) for flow in flows]
    assert all(earlier < later for earlier, later in itertools.pairwise(starts))
    assert [flow.has_time for flow in flows] == [
        index not in unknown for index in range(len(steps))
    ]


@given(moments=st.lists(st.none() | st.integers(1_700_000_000, 1_700_000_005), max_size=12))
def test_known_times_are_kept_to_the_millisecond(moments: list[int | None]) -> None:
    times = in_file_order(moments, NOW)
    assert len(set(times)) == len(moments)
    for moment, at in zip(moments, times, strict=True):
        assert moment is None or abs(at - moment) < 1e-3


def test_the_worked_example() -> None:
    seconds = [None, 50e-6 + NOW, None, 50e-6 + NOW, 20e-6 + NOW]
    times = in_file_order(seconds, 0.0)
    assert [round((at - NOW) * 1e6) for at in times] == [49, 50, 51, 52, 20]
