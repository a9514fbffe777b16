"""Sends a recorded request again: a grant, an audit row, and a real request to the proxy on a
thread of its own.

The console never waits for the answer: the proxy records it as a flow of its own, and pages watch
that flow. What the thread reads itself is thrown away; it only learns whether the proxy took the
request.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import weakref
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

from django.db import DatabaseError, connection

from flows.models import Flow, Resend
from interceptor.access.grant import HEADER
from interceptor.instances.health import running_interceptors
from interceptor.instances.processes import is_running, own_instance
from interceptor.models import InterceptorStatus
from interceptor.resend.draft import ResendError, length_place
from interceptor.resend.grant_store import issue
from interceptor.resend.outgoing import Outgoing
from providers.audit.log import Caller, record_audit, settle_audit
from providers.base.loopback import is_loopback
from providers.models import AuditEntry

logger = logging.getLogger(__name__)

MAX_SENDING: Final = 16
SILENCE_TIMEOUT_S: Final = 3600.0
"""The proxy has its own, shorter limits; this one only keeps a thread from living for ever."""
ASK_EVERY_S: Final = 0.03
_CHUNK_BYTES: Final = 64 * 1024
_sending = threading.BoundedSemaphore(MAX_SENDING)
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class ResendBusyError(ResendError):
    """Too many requests are being sent again at this moment."""


@dataclass(frozen=True, slots=True)
class _Job:
    ticket: str
    token: str
    address: tuple[str, int]
    host: str
    request: Outgoing
    audit: AuditEntry


def send_again(request: Outgoing, by: Caller) -> Resend:
    """Begin to send; the row says later which flow it became. Needs a running proxy.

    Raises:
        ResendError: no proxy runs, or too many are under way.
        DatabaseError: nothing was sent.
    """
    address, host = proxy_address()
    if not _sending.acquire(blocking=False):
        raise ResendBusyError(
            f"{MAX_SENDING} requests are being sent again already. Wait for one of them to end."
        )
    try:
        row = _row(request, by)
        where = (
            f"as forwarded, to provider {request.provider}"
            if request.as_forwarded
            else "as the client sent it"
        )
        detail = f"{where}{', edited' if request.edited else ''}"
        audit = record_audit("replay", f"flow {row.flow_id}", by=by, detail=detail)
        token = issue(row)
        job = _Job(row.ticket, token, address, host, request, audit)
        thread = threading.Thread(
            target=_run, args=[job], name=f"resend {row.flow_id[:8]}", daemon=True
        )
        thread.start()
        _threads.add(thread)
    except BaseException:
        _sending.release()
        raise
    return row


def _row(request: Outgoing, by: Caller) -> Resend:
    flow = request.flow.flow
    return Resend(
        flow_id=flow.pk,
        as_forwarded=request.as_forwarded,
        edited=request.edited,
        provider=request.provider,
        origin=request.origin,
        session_id=flow.session_id if request.as_forwarded else "",
        actor=by.name[:200],
    )


def await_flow(ticket: str, timeout_s: float) -> Resend | None:
    """The row, once its flow is recorded or it failed, at the latest after `timeout_s`; None when
    there is no such.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        row = Resend.objects.filter(pk=ticket).first()
        if row is None or row.problem or is_recorded(row) or time.monotonic() >= deadline:
            return row
        time.sleep(ASK_EVERY_S)


def join_senders(timeout_s: float) -> None:
    """Wait until this process has read every answer, for a command that is about to end."""
    deadline = time.monotonic() + timeout_s
    for thread in list(_threads):
        thread.join(max(0.0, deadline - time.monotonic()))


def is_recorded(row: Resend) -> bool:
    """Whether the flow that it became can be shown."""
    return bool(row.new_flow_id) and Flow.objects.filter(pk=row.new_flow_id).exists()


def proxy_address() -> tuple[tuple[str, int], str]:
    """Where a running proxy listens, this process's own first, and what to call it there.

    Raises:
        ResendError: none runs.
    """
    found = [
        status
        for status in running_interceptors()
        if is_running(status) and status.endpoints.get("proxy_url")
    ]
    found.sort(
        key=lambda status: (status.instance != own_instance(), -status.heartbeat_at.timestamp())
    )
    if not found:
        raise ResendError("No proxy is running that could send it. Start one: ccproxy start")
    parts = urlsplit(str(found[0].endpoints["proxy_url"]))
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    return (_reachable(found[0], host), port), (
        f"127.0.0.1:{port}" if is_loopback(host) else parts.netloc
    )


def _reachable(status: InterceptorStatus, host: str) -> str:
    """The loopback address of another machine means that machine."""
    machine = status.instance.rpartition(":")[0]
    return machine if is_loopback(host) and machine and machine != socket.gethostname() else host


def _run(job: _Job) -> None:
    try:
        problem = _exchange(job)
    except (OSError, HTTPException, ValueError) as exc:
        problem = (
            f"The proxy at {job.address[0]}:{job.address[1]} could not be asked:"
            f" {str(exc) or type(exc).__name__}."
        )
    finally:
        _sending.release()
    try:
        # An answer that broke off belongs to the flow; here only what never became one matters.
        row = Resend.objects.get(pk=job.ticket)
        if not row.new_flow_id:
            Resend.objects.filter(pk=job.ticket, new_flow_id="").update(
                problem=problem or "The proxy did not take it."
            )
        settle_audit(
            job.audit,
            "done" if row.new_flow_id else "failed",
            f"flow {row.new_flow_id}" * bool(row.new_flow_id),
        )
    except (DatabaseError, Resend.DoesNotExist):
        logger.warning(
            "what became of a request that was sent again could not be written down", exc_info=True
        )
    finally:
        connection.close()


def _exchange(job: _Job) -> str:
    """Send it and let the answer pass; what the proxy said where it refused."""
    caller = HTTPConnection(*job.address, timeout=SILENCE_TIMEOUT_S)
    try:
        _write(caller, job)
        answer = caller.getresponse()
        first = answer.read(_CHUNK_BYTES)
        while answer.read(_CHUNK_BYTES):
            pass
        return _said(answer, first)
    finally:
        caller.close()


def _write(caller: HTTPConnection, job: _Job) -> None:
    """Headers as they are, in their order and spelling; only what belongs to this connection is
    written anew.
    """
    request = job.request
    caller.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    if request.as_forwarded or not any(name.lower() == "host" for name, _ in request.headers):
        caller.putheader("Host", job.host)
    lines = list(request.headers)
    if request.body or request.method not in ("GET", "HEAD", "OPTIONS"):
        lines.insert(length_place(request.side), ("Content-Length", str(len(request.body))))
    for name, value in lines:
        if not (request.as_forwarded and name.lower() == "host"):
            caller.putheader(name, value.encode("utf-8", "surrogateescape"))
    caller.putheader(HEADER, job.token)
    caller.endheaders(request.body or None)


def _said(answer: HTTPResponse, body: bytes) -> str:
    """The message of the proxy's own error."""
    try:
        parsed: Any = json.loads(body)
        message = parsed["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = answer.reason
    return f"The proxy refused it with {answer.status}: {str(message)[:500]}"
