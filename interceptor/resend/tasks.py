"""The Celery task that sends a recorded request again, for installations with a broker."""

from __future__ import annotations

import logging
from typing import Final

from celery import current_app, shared_task
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from interceptor.resend.delivery import deliver
from interceptor.resend.grant_store import LIFETIME
from interceptor.resend.job import Job

logger = logging.getLogger(__name__)

WORKER_TIMEOUT_S: Final = 0.5
"""How long a worker may take to say that it is there."""


@shared_task(name="interceptor.deliver", ignore_result=True)  # type: ignore[untyped-decorator]
def deliver_sealed(sealed: str) -> None:
    """Deliver a sealed job."""
    deliver(Job.unseal(sealed))


def offer_to_worker(job: Job) -> bool:
    """Hand a job to a task worker; False when none answers, so that the caller sends it itself.

    The grant is good for half a minute: a job must not wait for a worker that is not there, or for
    one with a single slot (`--pool solo`) that is busy and so does not answer.
    """
    try:
        if not current_app.control.ping(timeout=WORKER_TIMEOUT_S, limit=1):
            return False
        deliver_sealed.apply_async((job.seal(),), expires=LIFETIME.total_seconds())
    except (OperationalError, RedisError, OSError) as exc:
        logger.warning("the broker cannot be reached, so this process sends: %s", exc)
        return False
    return True
