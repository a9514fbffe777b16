"""A proxy's connection with the recorder, which may come and go. No Django."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from ccproxy_site.process.bridge import Bridge
from interceptor.recorder.asking import RecorderQuestions

logger = logging.getLogger("ccproxy")


RECORDER_GONE = "the recorder has ended and is being started again; flows wait until it is back"


class RecorderLink:
    """Conversation with the recorder, over all its lives.

    Args:
        on_config: gets the rows of a configuration, pickled.
        on_watch: gets the ids of the running flows that pages look at.
        on_recording: gets why flows are not stored now, "" when they are.
        on_notes: gets the sessions for which events wait.
        on_waiting: gets how many flows wait for their links and for the index, {} if unknown.
    """

    def __init__(
        self,
        on_config: Callable[[bytes], None],
        on_watch: Callable[[frozenset[str]], None],
        on_recording: Callable[[str], None],
        on_notes: Callable[[frozenset[str]], None],
        on_waiting: Callable[[Mapping[str, int]], None],
    ) -> None:
        self.connections = 0
        """Counts the recorder's lives that were met."""
        self._on_config, self._on_watch, self._on_recording = on_config, on_watch, on_recording
        self._on_notes, self._on_waiting = on_notes, on_waiting
        self._bridge: Bridge | None = None
        self._bell: int | None = None
        self._hearing: set[asyncio.Task[None]] = set()
        self._configured = asyncio.Event()
        self.questions = RecorderQuestions()

    def connect(self, end: socket.socket, bell: int) -> None:
        """Talk with a recorder from now on, instead of the one before."""
        if self._bell is not None:
            os.close(self._bell)
        os.set_blocking(bell, False)
        self._bell = bell
        task = asyncio.create_task(self._talk(end))
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)
        # What was put while nobody listened is read now.
        self.ring_bell()

    @property
    def is_connected(self) -> bool:
        """A recorder is there."""
        return self._bridge is not None

    def ring_bell(self) -> None:
        """Wake the recorder: something is in the ring."""
        if self._bell is not None:
            # A full pipe has woken it already, and one that is gone will read when it is back.
            with contextlib.suppress(OSError):
                os.write(self._bell, b"\0")

    def say(self, **words: Any) -> None:
        """Say something, if a recorder is there."""
        if self._bridge is not None:
            self._bridge.say(**words)

    async def configured(self) -> None:
        """Return once there is a configuration."""
        await self._configured.wait()

    async def close(self) -> None:
        """End the conversation, so that the recorder knows that no record will come."""
        if self._bridge is not None:
            await self._bridge.close()
        for task in list(self._hearing):
            task.cancel()

    async def _talk(self, end: socket.socket) -> None:
        bridge = await Bridge.open(end)
        self._bridge = bridge
        self.connections += 1
        self.questions.connect(bridge.say)
        try:
            while (words := await bridge.hear()) is not None:
                self._take(words)
        finally:
            if self._bridge is bridge:
                self._bridge = None
                self.questions.disconnect(bridge.say)
                self._on_recording(RECORDER_GONE)
                self._on_waiting({})
            await bridge.close()

    def _take(self, words: dict[str, Any]) -> None:
        if "config" in words:
            self._on_config(words["config"])
            self._configured.set()
        elif "watch" in words:
            self._on_watch(frozenset(words["watch"]))
        elif "reply" in words:
            self.questions.hear(words)
        elif "notes" in words:
            self._on_notes(frozenset(words["notes"]))
        elif "recording" in words:
            self._on_recording(words["recording"])
        elif "waiting" in words:
            self._on_waiting(words["waiting"])
