"""The processes of one installation on this machine: their start, their deaths, their stop.

    recorder  checks the configuration, opens the database, writes what the proxies recorded
    proxy     one or several, behind one listening socket
    console   pages, REST, websockets; may be left out

The supervisor owns what must outlive a process: the listening sockets, and for every proxy the
ring of shared memory through which its records reach the recorder. So a connection waits while its
proxy is started again, and a killed recorder goes on where it was.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ccproxy_site.supervise.become import NURSERY, own_packages_first
from ccproxy_site.supervise.child import Child
from ccproxy_site.supervise.control import Message
from ccproxy_site.supervise.feed import Feed
from ccproxy_site.supervise.nursery import Nursery
from ccproxy_site.supervise.nursery_start import NurseryProcess, can_fork, start_nursery
from interceptor.operate.listening import open_listeners
from providers.base.errors import ConfigError

READY_TIMEOUT_S = 120.0
STOP_MARGIN_S = 40.0
"""What a process may take to stop beyond its open streams' time: its record and its renewals."""
FEW_CORES = 2
"""With as many or fewer the console starts once the recorder has: it is needed last."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Mains:
    """The module of each kind of process."""

    recorder: str = "ccproxy_site.mains.recorder_main"
    proxy: str = "ccproxy_site.mains.proxy_main"
    console: str = "ccproxy_site.mains.console_main"
    nursery: str = NURSERY
    """What forks the others; "" starts each as a program of its own."""


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the command line."""

    workers: int = 1
    console: bool = True
    flow_lines: bool = False
    """The recorder writes a line for each flow on standard error."""

    def flags(self) -> list[str]:
        """Return the options as the recorder's arguments."""
        lines = ["--flow-lines"] if self.flow_lines else []
        console = [] if self.console else ["--no-console"]
        return ["--workers", str(self.workers), *console, *lines]


class Family:
    """The supervisor: `run` returns the exit code.

    Args:
        options: choices of the command line.
        mains: other modules than ours.
        nursery: one that runs already; else one is started where that can be.
    """

    def __init__(
        self,
        options: Options,
        mains: Mains | None = None,
        nursery: NurseryProcess | None = None,
    ) -> None:
        mains = mains or Mains()
        self._nursery_module = mains.nursery
        self._nursery_process = nursery
        self._nursery: Nursery | None = None
        flags = options.flags()
        self._recorder = Child("the recorder", mains.recorder, flags, has_django=True)
        self._proxies: list[Child] = []
        for number in range(1, options.workers + 1):
            role = f"proxy {number}" if options.workers > 1 else "the proxy"
            self._proxies.append(Child(role, mains.proxy, [], has_django=False))
        self._consoles: list[Child] = []
        if options.console:
            self._consoles.append(Child("the console", mains.console, [], has_django=True))
        self._children = [self._recorder, *self._proxies, *self._consoles]
        self._selector = selectors.DefaultSelector()
        self._listeners: list[socket.socket] = []
        self._feeds: dict[int, Feed] = {}
        """By their numbers: those of living proxies, and those that are not drained yet."""
        self._checked: dict[str, Any] = {}
        """What every proxy is told; empty until the recorder has checked the configuration."""
        self._notes: list[str] = []
        self._is_announced = False
        self._is_stopping = False
        self._failure = ""

    def run(self) -> int:
        """Run until a signal, or until a process cannot start."""
        wake = _wake_on_signals(self.stop)
        self._selector.register(wake, selectors.EVENT_READ, lambda: wake.recv(4096))
        self._open_nursery()
        self._start_first()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._is_stopping:
            self._turn(_seconds_until(self._next_start()))
            if not self._is_announced and time.monotonic() > deadline:
                self._fail("the processes did not start in time; the log says why")
        self._end_all()
        if self._failure:
            sys.stderr.write(f"ccproxy: {self._failure}\n")
        return 1 if self._failure else 0

    def stop(self) -> None:
        """Begin to stop; a second call does nothing more."""
        self._is_stopping = True

    def _fail(self, sentence: str) -> None:
        self._failure = self._failure or sentence
        self.stop()

    def _turn(self, timeout_s: float | None) -> None:
        """Wait for messages, signals or the time, and deal with them."""
        for key, _ in self._selector.select(timeout_s):
            key.data()
        for child in self._children:
            if child.ended() is not None:
                self._bury(child)
            if not child.is_started and not self._is_stopping:
                self._start_if_due(child)

    def _next_start(self) -> float | None:
        """Return the monotonic time at which something is due; None when nothing is."""
        due = [child.start_at for child in self._children if not child.is_started]
        if not self._is_announced:
            due.append(time.monotonic() + 1.0)
        return min(due, default=None)

    # --- lives

    def _open_nursery(self) -> None:
        process = self._nursery_process
        if process is None and self._nursery_module and can_fork():
            process = start_nursery(self._nursery_module, own_packages_first(dict(os.environ)))
        if process is None:
            return
        nursery = self._nursery = Nursery(process)
        self._selector.register(
            nursery.descriptor, selectors.EVENT_READ, lambda: self._hear_nursery(nursery)
        )

    def _hear_nursery(self, nursery: Nursery) -> None:
        nursery.hear()
        if nursery.is_gone:
            self._forget_nursery(nursery)
            self._note("the nursery has died; the next processes are started without it")

    def _dismiss_nursery(self) -> None:
        """End it once all processes are there: 13 MB that only a process that dies would need."""
        if self._nursery is not None:
            self._nursery.dismiss()
            self._forget_nursery(self._nursery)

    def _forget_nursery(self, nursery: Nursery) -> None:
        self._selector.unregister(nursery.descriptor)
        nursery.close()
        self._nursery = None

    def _start_first(self) -> None:
        """Start all processes, or where they would be in each other's way the console later."""
        if (os.cpu_count() or 1) <= FEW_CORES:
            for console in self._consoles:
                console.start_at = math.inf
        # The nursery forks what uses no Django, then imports it.
        for child in (*self._proxies, self._recorder, *self._consoles):
            self._start_if_due(child)

    def _start(self, child: Child) -> None:
        end = child.start(self._nursery)
        self._selector.register(end, selectors.EVENT_READ, lambda: self._hear(child))
        if child is not self._recorder and self._recorder.is_serving:
            self._serve(child)

    def _start_if_due(self, child: Child) -> None:
        if time.monotonic() >= child.start_at:
            self._start(child)

    def _bury(self, child: Child) -> None:
        code = child.ended()
        self._forget_control(child)
        child.bury()
        was_needed = not self._is_stopping
        if was_needed and not child.was_ready:
            self._fail(f"{child.role} ended with {code}; the log says why")
        elif was_needed:
            self._note(f"{child.role} ended with {code} and is started again")
        for feed in list(self._feeds.values()):
            if feed.child is child:
                self._close_feed(feed)

    def _hear(self, child: Child) -> None:
        message = child.control.hear() if child.control else None
        if message is None:
            # Its death is seen by its exit code.
            self._forget_control(child)
            return
        self._deal_with(child, message)

    def _forget_control(self, child: Child) -> None:
        if child.control is not None:
            self._selector.unregister(child.control.socket)
            child.control.close()
            child.control = None

    def _deal_with(self, child: Child, message: Message) -> None:
        words = message.words
        if "refused" in words:
            self._refused(child, str(words["refused"]))
        elif "checked" in words:
            self._serve_everyone(words["checked"])
        elif "drained" in words:
            self._drained(int(words["drained"]))
        elif "ready" in words:
            child.was_ready = True
            self._announce_when_ready()

    def _refused(self, child: Child, sentence: str) -> None:
        if child.was_ready:
            self._note(f"{child.role} could not start again: {sentence}")
        else:
            self._fail(sentence)

    def _announce_when_ready(self) -> None:
        if self._is_announced or not all(child.was_ready for child in self._children):
            return
        self._is_announced = True
        # Whoever serves pages knows the way into them.
        for child in self._consoles or [self._recorder]:
            child.say(announce=True)
        self._dismiss_nursery()

    def _note(self, sentence: str) -> None:
        """Have the recorder log a sentence, as soon as there is one."""
        self._notes.append(sentence)
        if self._recorder.is_serving:
            self._tell_notes()

    def _tell_notes(self) -> None:
        for sentence in self._notes:
            self._recorder.say(note=sentence)
        self._notes.clear()

    # --- what the processes are handed

    def _serve_everyone(self, checked: dict[str, Any]) -> None:
        """The recorder has checked everything, for the first time or again: serve the others.

        It answers once it is ready; until then, what it is asked waits in its sockets.
        """
        first = not self._checked
        self._checked = checked
        if first:
            try:
                self._listeners = open_listeners(checked["host"], checked["port"])
            except ConfigError as exc:
                self._fail(str(exc))
                return
            self._recorder.add_arguments("--again")
            for console in self._consoles:
                console.start_at = min(console.start_at, time.monotonic())
        self._recorder.is_serving = True
        for feed in self._feeds.values():
            feed.connect(self._recorder)
        for child in self._children:
            if child is not self._recorder and child.is_started:
                self._serve(child)
        self._tell_notes()

    def _serve(self, child: Child) -> None:
        """Hand a child what it needs to work, or a new connection with the recorder."""
        if child.is_serving:
            if child in self._consoles:
                self._join_console(child)
            return
        child.is_serving = True
        if child in self._consoles:
            child.say(serve=self._checked)
            self._join_console(child)
            return
        feed = Feed.of(child)
        self._feeds[feed.number] = feed
        fds = [listener.fileno() for listener in self._listeners]
        child.say([feed.ring.fd, *fds], serve=self._checked)
        feed.connect(self._recorder)

    def _join_console(self, console: Child) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._recorder.say([ours.fileno()], client={"kind": "console"})
            console.say([theirs.fileno()], recorder=True)

    def _close_feed(self, feed: Feed) -> None:
        """The feed's proxy is gone; the ring stays until the recorder has read it."""
        feed.is_open = False
        if feed.is_drained:
            self._drained(feed.number)

    def _drained(self, number: int) -> None:
        feed = self._feeds.get(number)
        if feed is None:
            return
        feed.is_drained = True
        # The recorder may know of the death before the exit code tells.
        if not feed.is_open:
            feed.ring.close()
            del self._feeds[number]

    # --- the end

    def _end_all(self) -> None:
        """End the proxies, then the recorder, then the console, which follows streams to the end.

        The listeners are closed first, so that a late connection is refused.
        """
        for listener in self._listeners:
            listener.close()
        drain_s = float(self._checked.get("drain_s", 0.0))
        self._end(self._proxies, drain_s + STOP_MARGIN_S)
        self._end([self._recorder], STOP_MARGIN_S)
        self._end(self._consoles, STOP_MARGIN_S)
        self._dismiss_nursery()

    def _end(self, children: list[Child], patience_s: float) -> None:
        for child in children:
            if self._has_work(child):
                child.say(stop=True)
            else:
                # It may be importing still.
                child.kill()
        deadline = time.monotonic() + patience_s
        while any(child.is_started for child in children):
            self._turn(min(1.0, max(0.0, deadline - time.monotonic())))
            if time.monotonic() > deadline:
                for child in children:
                    child.kill()

    def _has_work(self, child: Child) -> bool:
        """Return whether a process may have something under way.

        Nothing is recorded before the first recorder is ready, which has its checks behind it only.
        """
        return child.is_serving and (child.was_ready or child is not self._recorder)


def _seconds_until(moment: float | None) -> float | None:
    return None if moment is None else max(0.0, moment - time.monotonic())


def _wake_on_signals(on_stop: Callable[[], None]) -> socket.socket:
    """Have signals wake the selector; return the socket that becomes readable."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    # The descriptor outlives this function, for as long as the process.
    signal.set_wakeup_fd(os.dup(writing.fileno()))
    writing.close()
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: on_stop())
    return reading
