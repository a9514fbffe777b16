"""Services start in order and stop backwards, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ccproxy_site.process.service import ServiceList
from providers.base.errors import ConfigError


class Part:
    """A service that writes down what is done with it."""

    stop_limit_s = 30.0

    def __init__(
        self,
        name: str,
        seen: list[str],
        *,
        start_error: BaseException | None = None,
        stop_error: Exception | None = None,
    ) -> None:
        self.name, self.seen = name, seen
        self.start_error, self.stop_error = start_error, stop_error

    async def start(self) -> None:
        self.seen.append(f"start {self.name}")
        if self.start_error:
            raise self.start_error

    async def stop(self) -> None:
        self.seen.append(f"stop {self.name}")
        if self.stop_error:
            raise self.stop_error


class Stuck(Part):
    """A service that never ends."""

    stop_limit_s = 0.01

    async def stop(self) -> None:
        await super().stop()
        await asyncio.Event().wait()


async def test_it_works():
    seen: list[str] = []
    services = ServiceList([Part("a", seen), Part("b", seen), Part("c", seen)])
    await services.start()
    await services.stop()
    assert seen == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]
    await services.stop()
    assert len(seen) == 6


async def test_a_failure_in_the_middle_stops_what_runs_backwards(caplog):
    seen: list[str] = []
    failing = Part("c", seen, start_error=ConfigError("port 1 is taken"))
    services = ServiceList([Part("a", seen), Part("b", seen), failing, Part("d", seen)])
    with pytest.raises(ConfigError, match="port 1 is taken"):
        await services.start()
    assert seen == ["start a", "start b", "start c", "stop b", "stop a"]
    assert [record.getMessage() for record in caplog.records] == [
        "c did not start: port 1 is taken"
    ]
    # A refusal is a sentence for the user, and needs no traceback.
    assert caplog.records[0].exc_info is None
    await services.stop()
    assert len(seen) == 5


async def test_a_defect_is_logged_with_its_traceback(caplog):
    services = ServiceList([Part("a", [], start_error=ValueError("x"))])
    with pytest.raises(ValueError, match="x"):
        await services.start()
    assert caplog.records[0].exc_info is not None


async def test_a_cancelled_start_stops_what_runs():
    seen: list[str] = []
    services = ServiceList([Part("a", seen), Part("b", seen, start_error=asyncio.CancelledError())])
    with pytest.raises(asyncio.CancelledError):
        await services.start()
    assert seen == ["start a", "start b", "stop a"]


async def test_one_that_does_not_stop_keeps_no_other_from_it(caplog):
    seen: list[str] = []
    broken = Part("c", seen, stop_error=OSError("gone"))
    services = ServiceList([Part("a", seen), Stuck("b", seen), broken])
    await services.start()
    with caplog.at_level(logging.ERROR):
        await services.stop()
    assert seen[3:] == ["stop c", "stop b", "stop a"]
    assert [record.getMessage() for record in caplog.records] == [
        "c did not stop",
        "b did not stop within 0.01 s",
    ]


async def test_a_slow_stop_is_waited_for():
    seen: list[str] = []
    may_end = asyncio.Event()

    class Slow(Part):
        async def stop(self) -> None:
            await super().stop()
            await may_end.wait()
            self.seen.append(f"stopped {self.name}")

    services = ServiceList([Part("a", seen), Slow("b", seen)])
    await services.start()
    stopping = asyncio.create_task(services.stop())
    await asyncio.sleep(0)
    assert seen == ["start a", "start b", "stop b"]
    may_end.set()
    await stopping
    assert seen[3:] == ["stopped b", "stop a"]
