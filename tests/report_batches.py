"""Workers of xdist report tests that pass in batches.

xdist sends five messages a test, each written value by value in Python, and each wakes two threads
of the controller: three milliseconds of CPU time a test. Here a worker keeps the reports of tests
that pass until something else is to be said, half a second is over, or its file ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

type Event = tuple[str, dict[str, Any]]

LONGEST_S: Final = 0.5
"""The run's dots may lag this much behind."""
BATCH: Final = "batch"
MARKS: Final = ("logstart", "logfinish")
"""Begin and end of a test, which only a verbose run shows."""


class BatchingChannel:
    """The channel of a worker to its controller."""

    def __init__(self, channel: Any, *, is_verbose: bool) -> None:
        self._channel = channel
        self._is_verbose = is_verbose
        self._waiting: list[Event] = []
        self._sent_at = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, event: Event) -> None:
        """Send an event after those that wait, or let it wait."""
        name, values = event
        if name in MARKS and not self._is_verbose:
            return
        if not says_of_a_pass(event):
            self._send_waiting()
            self._channel.send(event)
            return
        # The names of the test's parents and marks, which nothing reads of a test that passes.
        values["data"]["keywords"] = {}
        self._waiting.append(event)
        if time.monotonic() - self._sent_at > LONGEST_S:
            self._send_waiting()

    def _send_waiting(self) -> None:
        if self._waiting:
            # JSON is written at once, in C.
            self._channel.send((BATCH, {"events": json.dumps(self._waiting)}))
            self._waiting.clear()
        self._sent_at = time.monotonic()


def says_of_a_pass(event: Event) -> bool:
    """Tell if an event is a report of a step that passed, and has nothing to show."""
    name, values = event
    if name != "testreport":
        return False
    data = values["data"]
    # Properties may be bytes, which JSON has no word for.
    return data["outcome"] == "passed" and not data["sections"] and not data["user_properties"]


def unpacking(receive: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a controller's function that takes events, also in batches."""

    def take(event: Any) -> None:
        if isinstance(event, tuple) and event[0] == BATCH:
            for name, values in json.loads(event[1]["events"]):
                receive((name, values))
        else:
            receive(event)

    return take


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the batches between a worker and its channel."""
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.channel = BatchingChannel(
                plugin.channel, is_verbose=config.getoption("verbose") > 0
            )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.process_from_remote = unpacking(node.process_from_remote)
