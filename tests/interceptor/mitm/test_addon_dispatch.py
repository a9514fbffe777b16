"""The cached dispatch keeps mitmproxy's promises: order, isolation, async functions, halting."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import tflow

from interceptor.mitm.addon_dispatch import CachedAddonManager


class Seen:
    """Notes its calls."""

    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name, self._log, self._error = name, log, error

    async def request(self, _: Any) -> None:
        await asyncio.sleep(0)
        self._log.append(self.name)
        if self._error:
            raise self._error


class Sync:
    """A plain function."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def request(self, _: Any) -> None:
        self._log.append("sync")

    def update(self, flows: list[Any]) -> None:
        self._log.append(f"update {len(flows)}")


def fire(*addons: Any) -> None:
    async def main() -> None:
        master = Master(Options())
        addons_of: Any = CachedAddonManager(master)
        addons_of.add(*addons[:1])
        event = HttpRequestHook(tflow.tflow())
        await addons_of.handle_lifecycle(event)
        addons_of.add(*addons[1:])  # what was looked up before must not hide them
        await addons_of.handle_lifecycle(event)

    asyncio.run(main())


def test_it_works() -> None:
    log: list[str] = []
    fire(Seen("a", log), Sync(log), Seen("b", log))
    assert log == ["a", "a", "sync", "b", "update 1"]


def test_a_failing_addon_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    with caplog.at_level(logging.ERROR):
        fire(Seen("a", log), Seen("bad", log, ValueError("boom")), Seen("b", log))
    assert log == ["a", "a", "bad", "b"]
    assert "Addon error: boom" in caplog.text


def test_halting_ends_the_chain() -> None:
    log: list[str] = []
    fire(Seen("a", log), Seen("stop", log, exceptions.AddonHalt()), Seen("b", log))
    assert log == ["a", "a", "stop"]
