"""Delivers one job: a real request to the proxy, and the rows that tell what became of it.

The response is read only to learn whether the proxy took the request; the proxy records it.
"""

from __future__ import annotations

import json
import logging
import ssl
from typing import Any, Final

from django.db import DatabaseError

from flows.models import Resend
from interceptor.resend.job import Job
from providers.audit.log import settle_audit
from providers.base.http_client import httpx
from providers.models import AuditEntry

logger = logging.getLogger(__name__)

SILENCE_TIMEOUT_S: Final = 3600.0
"""The proxy has its own, shorter limits; this one only keeps a thread from living for ever."""
_MESSAGE_BYTES: Final = 64 * 1024


def deliver(job: Job) -> None:
    """Send the request, read the response to its end, and write down what became of it. Blocks."""
    try:
        problem = _exchange(job)
    except (httpx.HTTPError, OSError, ValueError) as exc:
        reason = str(exc) or type(exc).__name__
        problem = f"The proxy at {job.host}:{job.port} could not be asked: {reason}."
    try:
        _settle(job, problem)
    except (DatabaseError, Resend.DoesNotExist, AuditEntry.DoesNotExist):
        logger.warning(
            "what became of a request that was sent again could not be written down", exc_info=True
        )


def _exchange(job: Job) -> str:
    """Send the request and let the response pass; return what the proxy said if it refused."""
    headers = [
        (name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in job.headers
    ]
    request = httpx.Request(
        job.method,
        httpx.URL(scheme="http", host=job.host, port=job.port),
        headers=headers,
        content=job.body or None,
        extensions={
            # The recorded bytes: a parsed URL would be normalised.
            "target": job.target.encode(),
            "timeout": httpx.Timeout(SILENCE_TIMEOUT_S).as_dict(),
        },
    )
    # The listener speaks plain HTTP. An empty context trusts nobody, and is made at once: loading
    # the certificate authorities takes 17 ms in which the proxy of this process stands still.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with httpx.Client(trust_env=False, verify=nobody) as client:
        response = client.send(request, stream=True)
        beginning = bytearray()
        for piece in response.iter_raw():
            if len(beginning) < _MESSAGE_BYTES:
                beginning += piece
        response.close()
    message = _message(response, beginning)[:500]
    return f"The proxy refused it with {response.status_code}: {message}"


def _message(response: httpx.Response, body: bytes | bytearray) -> str:
    """Return the message of the proxy's own error, else the status line's reason."""
    try:
        parsed: Any = json.loads(body)
        return str(parsed["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return response.reason_phrase


def _settle(job: Job, problem: str) -> None:
    """Write down which flow it became, or why none. A response that broke off is the flow's."""
    row = Resend.objects.get(pk=job.ticket)
    audit = AuditEntry.objects.get(pk=job.audit_id)
    if row.new_flow_id:
        settle_audit(audit, "done", f"flow {row.new_flow_id}")
        return
    Resend.objects.filter(pk=job.ticket, new_flow_id="").update(problem=problem)
    settle_audit(audit, "failed")
