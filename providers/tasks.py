"""Celery tasks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from typing import Any, Final

from celery import shared_task

from providers.auth.proactive import renew_due
from providers.base.errors import RefuseRequest
from providers.credentials.handle import auth_of
from providers.credentials.stored_logins import stored_logins
from providers.fields import keyring
from providers.models import Provider
from providers.perplexity.upload_job import UploadJob

UPLOADING: Final = "UPLOADING"
"""State of a task that uploads: `done` of `total` files, and a `beat` that grows while it lives."""
BEAT_S: Final = 1.0


@shared_task(name="providers.renew_logins", ignore_result=True)  # type: ignore[untyped-decorator]
def renew_logins() -> int:
    """Renew the logins of enabled providers that expire soon. Return the number of valid ones."""
    sources = [auth_of(row) for row in Provider.objects.filter(enabled=True)]

    async def renew() -> int:
        return await renew_due(stored_logins(), sources)

    return asyncio.run(renew())


@shared_task(name="providers.upload_attachments", bind=True)  # type: ignore[untyped-decorator]
def upload_attachments(task: Any, sealed: str) -> dict[str, Any]:
    """Upload a sealed job's files. Return their sealed addresses, or a sentence and a status."""
    job = UploadJob.of_values(json.loads(keyring().decrypt(sealed)))
    facts = {"done": 0, "total": len(job.sources), "beat": 0}

    # The task knows its own id in the thread alone that runs it.
    report = partial(task.update_state, task.request.id, UPLOADING)

    def progress(done: int, total: int) -> None:
        facts.update(done=done, total=total)

    async def beat() -> None:
        while True:
            facts["beat"] += 1
            await asyncio.to_thread(report, dict(facts))
            await asyncio.sleep(BEAT_S)

    async def run() -> list[str]:
        beating = asyncio.create_task(beat())
        try:
            return await job.run(progress)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    try:
        urls = asyncio.run(run())
    except RefuseRequest as exc:
        return {"failed": str(exc), "status": exc.status_code}
    return {"sealed": keyring().encrypt(json.dumps(urls))}
