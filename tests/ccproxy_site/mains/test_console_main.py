"""The console's process hears its supervisor until it ends."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from ccproxy_site.mains.console_main import ConsoleProcess
from ccproxy_site.supervise.control import Control, Message


@pytest.mark.parametrize("word", ["announce", "recorder"])
def test_what_comes_after_stop_begins_nothing(word: str) -> None:
    async def told() -> tuple[int, int]:
        near, far = socket.socketpair()
        with near, far:
            process = ConsoleProcess(Control(near), {})
            before = len(asyncio.all_tasks())
            process._told(Message({"stop": True}))
            process._told(Message({word: True}, [os.dup(far.fileno())]))
            return before, len(asyncio.all_tasks())

    before, after = asyncio.run(told())
    assert after == before
