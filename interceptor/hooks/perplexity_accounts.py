"""Perplexity accounts of one proxy process; implements `UsesPerplexity`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from interceptor.pipeline.perplexity_account import RemembersThreads, UploadsElsewhere
from interceptor.pipeline.provider_clients import ProviderClients
from providers.auth.resolve import Credential
from providers.base.errors import RefuseRequest
from providers.perplexity.attachments import read_all
from providers.perplexity.site_calls import Site
from providers.perplexity.threads import ThreadIds
from providers.perplexity.upload_job import UploadJob
from providers.perplexity.uploads import Progress, upload_all
from providers.provider_conf import ProviderConf
from providers.wire.perplexity.ask_conf import UploadConf

if TYPE_CHECKING:
    from providers.perplexity.address_guard import GuardedBackend

logger = logging.getLogger(__name__)

MAX_REMEMBERED = 10_000
STORE_TIMEOUT_S = 3.0
MARGIN_S = 10.0
POLL_S = 0.2
SILENCE_S = 10.0
MAX_JOB_CHARS = 4_000_000
"""A larger job would not cross the bridge to the recorder; this process does it."""


class PerplexityAccounts:
    """Calls of the site on the proxy's event loop.

    Threads are in this process's memory at once, and in the store a moment later, for other
    processes and for the next start.

    Args:
        clients: open the way to providers.
        store: keeps threads beyond this process; None: they end with it.
        backend: connects downloads of attachments; None: the guarded one.
        clock: seconds.
        workers: task workers that upload files; None: this process does.
        silence_s: how long a worker may be silent before it counts as dead.
        tell: takes a flow's id and what the flow waits for.
    """

    def __init__(
        self,
        clients: ProviderClients,
        store: RemembersThreads | None = None,
        backend: GuardedBackend | None = None,
        clock: Callable[[], float] = time.monotonic,
        workers: UploadsElsewhere | None = None,
        silence_s: float = SILENCE_S,
        tell: Callable[[str, str], None] = lambda flow_id, text: None,
    ) -> None:
        self._tell = tell
        self._clients = clients
        self._store = store
        self._backend = backend
        self._clock = clock
        self._workers = workers
        self._silence_s = silence_s
        self._threads: dict[str, tuple[float, ThreadIds]] = {}
        self._saving: set[asyncio.Task[None]] = set()

    def site(self, conf: ProviderConf, credential: Credential | None) -> Site:
        """See `UsesPerplexity`."""
        via = self._clients.via(conf)
        return Site(conf, credential, self._clients.open, via.url if via else "")

    async def upload(
        self, flow_id: str, site: Site, sources: list[str], limits: UploadConf
    ) -> list[str]:
        """See `UsesPerplexity`."""

        def progress(done: int, total: int) -> None:
            text = f"uploading {done + 1} of {total} files"
            self._tell(flow_id, text if done < total else "waiting for the uploaded files")

        limit_s = (
            limits.fetch_timeout_s + limits.upload_timeout_s + limits.subscribe_timeout_s + MARGIN_S
        )
        try:
            async with asyncio.timeout(limit_s):
                found = await self._by_worker(site, sources, limits, progress)
                if found is not None:
                    return found
                files = await read_all(sources, limits, self._backend)
                return await upload_all(site, files, limits, progress)
        except TimeoutError:
            raise RefuseRequest(
                f"The request's files were not uploaded within {limit_s:g} s.", status_code=504
            ) from None

    async def _by_worker(
        self, site: Site, sources: list[str], limits: UploadConf, progress: Progress
    ) -> list[str] | None:
        """Let a task worker upload; None where none is there, or the job is too large for one."""
        is_large = sum(map(len, sources)) > MAX_JOB_CHARS
        if self._workers is None or is_large:
            return None
        job = UploadJob.of(site, sources, limits)
        if job is None:
            return None
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                task = await self._workers.start(job.as_values())
        except Exception as exc:
            logger.warning("no task worker can be asked, so this process uploads: %s", exc)
            return None
        return await self._followed(self._workers, task, progress) if task else None

    async def _followed(
        self, workers: UploadsElsewhere, task: str, progress: Progress
    ) -> list[str]:
        """Follow a task to its end, or until its worker has been silent for too long."""
        known: dict[str, Any] = {}
        heard_at = self._clock()
        while self._clock() - heard_at < self._silence_s:
            await asyncio.sleep(POLL_S)
            try:
                state = await workers.state(task)
            except Exception as exc:
                logger.warning("the task of an upload cannot be looked up: %s", exc)
                continue
            if "urls" in state:
                return [str(url) for url in state["urls"]]
            if "failed" in state:
                raise RefuseRequest(str(state["failed"]), status_code=int(state["status"]))
            if state and state != known:
                known, heard_at = state, self._clock()
                progress(int(state["done"]), int(state["total"]))
        raise RefuseRequest(
            f"The worker that uploads the request's files was silent for {self._silence_s:g} s;"
            " see whether Celery's workers and their broker run.",
            status_code=504,
        )

    async def recall(self, key: str) -> ThreadIds | None:
        """See `UsesPerplexity`."""
        until, known = self._threads.pop(key, (0.0, None))
        kept: ThreadIds | None = None
        if self._store is not None:
            try:
                async with asyncio.timeout(STORE_TIMEOUT_S):
                    # A save that still runs would bring back what is used up here.
                    await asyncio.gather(*self._saving, return_exceptions=True)
                    kept = await self._store.recall(key)
            except Exception as exc:
                logger.warning("a remembered thread cannot be read: %s", exc)
        return known if known is not None and until > self._clock() else kept

    def remember(self, key: str, ids: ThreadIds, ttl_s: float) -> None:
        """See `UsesPerplexity`."""
        self._threads[key] = self._clock() + ttl_s, ids
        while len(self._threads) > MAX_REMEMBERED:
            del self._threads[next(iter(self._threads))]
        if self._store is not None:
            task = asyncio.get_running_loop().create_task(self._save(self._store, key, ids, ttl_s))
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)

    async def _save(self, store: RemembersThreads, key: str, ids: ThreadIds, ttl_s: float) -> None:
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await store.remember(key, ids, ttl_s)
        except Exception as exc:
            logger.warning("a thread is remembered by this process alone: %s", exc)
