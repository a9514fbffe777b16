"""Threads of Perplexity that the recorder remembers for a proxy."""

from __future__ import annotations

from dataclasses import asdict

from interceptor.recorder.asking import Recorder
from providers.perplexity.threads import ThreadIds


class RemoteThreads:
    """Memory of a proxy without a database; implements `RemembersThreads`.

    Both raise `RecorderAway` and `RecorderRefused`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def recall(self, key: str) -> ThreadIds | None:
        """Return and forget the thread of a conversation."""
        answer = await self._recorder.ask("thread.recall", key=key)
        found = answer["ids"]
        return ThreadIds(**found) if found else None

    async def remember(self, key: str, ids: ThreadIds, ttl_s: float) -> None:
        """Keep the thread of a conversation."""
        await self._recorder.ask("thread.remember", key=key, ids=asdict(ids), ttl_s=ttl_s)
