"""Uploads by Celery's workers, where there is a broker."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Final

from django.conf import settings

from providers.fields import keyring

logger = logging.getLogger(__name__)

WORKER_TIMEOUT_S: Final = 0.5
"""How long a worker may take to say that it is there."""
EXPIRES_S: Final = 30.0
"""A job that no worker has taken until then is not done later."""


class CeleryUploads:
    """Jobs for task workers; implements `UploadsElsewhere`."""

    async def start(self, job: dict[str, Any]) -> str:
        """Hand a job to a worker and return the task's id; "" where no worker is there."""
        return await asyncio.to_thread(_start, job) if settings.REDIS_URL else ""

    async def state(self, task: str) -> dict[str, Any]:
        """Return what is known of a task: `beat` with `done` and `total`, `urls`, or `failed`."""
        return await asyncio.to_thread(_state, task)


def _away() -> tuple[type[Exception], ...]:
    """Return the exceptions of a broker that cannot be reached."""
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    return OperationalError, RedisError, OSError


def _start(job: dict[str, Any]) -> str:
    # Celery costs memory that a recorder without a broker need not spend.
    from celery import current_app

    from providers.tasks import upload_attachments

    # A broker keeps what it is given in clear, and the job holds a session and files.
    sealed = keyring().encrypt(json.dumps(job))
    try:
        if not current_app.control.ping(timeout=WORKER_TIMEOUT_S, limit=1):
            return ""
        return str(upload_attachments.apply_async((sealed,), expires=EXPIRES_S).id)
    except _away() as exc:
        logger.warning("the broker cannot be reached, so the proxy uploads: %s", exc)
        return ""


def _state(task: str) -> dict[str, Any]:
    from celery import current_app

    from providers.tasks import UPLOADING

    try:
        # State and result in one look: `AsyncResult` looks for each, and a task may end meanwhile.
        known = current_app.backend.get_task_meta(task, cache=False)
    except _away() as exc:
        logger.warning("the broker cannot be reached: %s", exc)
        return {}
    state, info = known["status"], known.get("result")
    if state == UPLOADING and isinstance(info, dict):
        return info
    if state == "SUCCESS" and isinstance(info, dict):
        current_app.backend.forget(task)
        if "sealed" in info:
            return {"urls": json.loads(keyring().decrypt(info["sealed"]))}
        return info
    if state in ("FAILURE", "REVOKED"):
        return {"failed": "The worker that uploads the files has failed.", "status": 502}
    return {}
