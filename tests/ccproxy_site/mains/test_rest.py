"""The recorder at rest: it looks whether flows are stored now and then, and soon after records."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ccproxy_site.mains import recorder as module
from ccproxy_site.mains.joined_proxies import JoinedProxies
from ccproxy_site.mains.recorder import Recorder


class Watch:
    """Counts looks; there is never a problem."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> str:
        self.looks += 1
        return ""


class Writer:
    """A writer with nothing to do."""

    is_refused = is_behind = False

    def keep_up(self) -> None:
        """Nothing waits."""


class Links:
    """Links of flows that are all there."""

    backlog = None


def _at_rest(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[float]]:
    """Return a recorder without its parts, and the pauses that it makes between looks."""
    pauses: list[float] = []
    recorder: Any = Recorder.__new__(Recorder)
    recorder._recording, recorder._writer, recorder._links = Watch(), Writer(), Links()
    recorder._has_records = asyncio.Event()
    recorder._proxies, recorder._consoles = JoinedProxies(), []
    go_on = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await go_on(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return recorder, pauses


async def _looks(recorder: Any, number: int) -> None:
    """Return once the recorder has looked so often."""
    following = asyncio.create_task(recorder._follow_recording())
    async with asyncio.timeout(60):
        while recorder._recording.looks < number and not following.done():
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    if following.done():
        following.result()
    following.cancel()


def test_a_look_at_rest_wakes_the_process_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDING_AT_REST_S", 0.0)

    async def rest() -> list[float]:
        recorder, pauses = _at_rest(monkeypatch)
        await _looks(recorder, 3)
        return pauses

    assert asyncio.run(rest()) == []


def test_records_are_followed_by_a_look_that_waits_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RECORDING_AT_REST_S", 3600.0)

    async def record() -> list[float]:
        recorder, pauses = _at_rest(monkeypatch)
        recorder._has_records.set()
        await _looks(recorder, 2)
        assert not recorder._has_records.is_set()
        return pauses

    assert asyncio.run(record()) == [module.RECORDING_EVERY_S]
