"""A page that watches a running answer over the console's websocket."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e.console import Console
from tests.patience import PATIENCE_S


@dataclass
class Watcher:
    """What the page was told."""

    socket: ClientConnection
    text: str = ""

    def until(self, wanted: str, timeout_s: float = PATIENCE_S) -> None:
        """Read until the text shows `wanted`."""
        deadline = time.monotonic() + timeout_s
        while wanted not in self.text:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"only {self.text!r} arrived"
            with contextlib.suppress(TimeoutError):
                self.hear(json.loads(self.socket.recv(left_s)))

    def hear(self, message: dict[str, Any]) -> None:
        """One message of the console."""
        if message["type"] == "text":
            self.text += "".join(text for _, text in message["pieces"])


@contextlib.contextmanager
def watching(console: Console, flow_id: str) -> Iterator[Watcher]:
    """The flow's page, opened now."""
    base = str(console.pages.base_url).rstrip("/")
    cookies = "; ".join(f"{name}={value}" for name, value in console.pages.cookies.items())
    url = f"{base.replace('http', 'ws', 1)}/ws/flows/{flow_id}/?from=0"
    with connect(
        url, origin=Origin(base), additional_headers={"Cookie": cookies}, proxy=None
    ) as socket:
        yield Watcher(socket)
