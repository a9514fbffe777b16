"""Reasoning that clients cannot carry: kept for other processes, and for the next start."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from typing import Any, Final, Protocol

from providers.base.names import WireFormatName
from providers.wire.marks.carried_keys import carried_keys
from providers.wire.rules.replay import ReplayStore, entry_text, entry_value

logger = logging.getLogger(__name__)

RECALL_TIMEOUT_S: Final = 2.0
"""A request does not wait longer: without its reasoning it is worse, but it works."""
MAX_WAITING: Final = 1000
MAX_UNKNOWN: Final = 20_000


class KeepsReasoning(Protocol):
    """Memory of all processes. Both may raise `RecorderAway` and `RecorderRefused`."""

    async def recall(self, digests: list[str]) -> dict[str, str]:
        """Return the texts of those that are known, by digest."""

    async def keep(self, texts: dict[str, str]) -> None:
        """Keep texts by digest."""


def digest_of(key: str) -> str:
    """Return the name of an entry outside of this process."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class ReasoningMemory:
    """Link between this process's store and the memory of all processes. Lives on one loop."""

    def __init__(self, memory: KeepsReasoning, store: ReplayStore) -> None:
        self._memory, self._store = memory, store
        self._waiting: dict[str, str] = {}
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        store.on_put = self._put

    async def restore(self, body: Any, src: WireFormatName, dst: WireFormatName) -> None:
        """Get what the translation of a request needs and this process does not have."""
        if not isinstance(body, dict):
            return
        wanted = [key for key in carried_keys(body, src, dst) if self._is_new(key)]
        if not wanted:
            return
        by_digest = {digest_of(key): key for key in wanted}
        try:
            async with asyncio.timeout(RECALL_TIMEOUT_S):
                found = await self._memory.recall(list(by_digest))
        except Exception as exc:
            logger.info("reasoning of a conversation was not recalled: %s", exc)
            return
        # Most calls have no reasoning to return: those are not asked for again.
        self._remember_unknown([key for digest, key in by_digest.items() if digest not in found])
        for digest, text in found.items():
            self._store.adopt(by_digest[digest], entry_value(text), len(text))

    def _is_new(self, key: str) -> bool:
        return key not in self._unknown and self._store.get(key) is None

    def _remember_unknown(self, keys: list[str]) -> None:
        self._unknown |= dict.fromkeys(keys)
        while len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)

    def _put(self, key: str, value: Any) -> None:
        if len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[digest_of(key)] = entry_text(value)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def settle(self) -> None:
        """Wait until everything that the store got so far is kept."""
        if self._task is not None:
            await self._task

    async def _keep(self) -> None:
        while self._waiting:
            texts, self._waiting = self._waiting, {}
            try:
                await self._memory.keep(texts)
            except Exception as exc:
                logger.info("reasoning of a conversation was not kept: %s", exc)
