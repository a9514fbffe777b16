"""The Celery application: `celery -A ccproxy_site.celery worker --beat`, for installations with
REDIS_URL.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_init
from django.conf import settings
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")


@worker_init.connect  # type: ignore[untyped-decorator]
def _trace_tasks(**_: object) -> None:
    """Trace the tasks of this worker, if telemetry is on."""
    # By name: the site's rooms above this one are of no use to a process that is no worker.
    instrument = import_string("ccproxy_site.telemetry.instrumentation.instrument_worker")
    instrument(settings.CCPROXY)


app = Celery("ccproxy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["interceptor.resend"])
