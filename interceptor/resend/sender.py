"""Begins to send a recorded request again: a grant, an audit row, and a job.

A task worker delivers the job where one is idle, else a thread of this process. No page waits for
the response: the proxy records it as a flow of its own, and pages watch that flow.
"""

from __future__ import annotations

import socket
import threading
import time
import weakref
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.db.models import Q

from flows.models import Flow, Resend
from interceptor.access.grant import HEADER
from interceptor.instances.health import running_interceptors
from interceptor.instances.processes import is_running, own_instance
from interceptor.models import InterceptorStatus
from interceptor.resend.delivery import deliver
from interceptor.resend.draft import ResendError, length_index
from interceptor.resend.grant_store import issue
from interceptor.resend.job import Job
from interceptor.resend.outgoing import Outgoing
from providers.audit.log import Caller, record_audit
from providers.base.loopback import is_loopback

MAX_SENDING: Final = 16
POLL_INTERVAL_S: Final = 0.03
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class ResendBusyError(ResendError):
    """Too many requests are being sent again at this moment."""


class ProxyAddress(NamedTuple):
    """Where a proxy listens, and the Host header by which it knows itself."""

    host: str
    port: int
    name: str


def send_again(request: Outgoing, by: Caller) -> Resend:
    """Begin to send; the row says later which flow it became. Needs a running proxy.

    Raises:
        ResendError: no proxy runs, or too many are under way.
        DatabaseError: nothing was sent.
    """
    address = proxy_address()
    if _count_under_way() >= MAX_SENDING:
        raise ResendBusyError(
            f"{MAX_SENDING} requests are being sent again already. Wait for one of them to end."
        )
    row = _row(request, by)
    audit = record_audit("replay", f"flow {row.flow_id}", by=by, detail=_manner(request))
    token = issue(row)
    _hand_over(
        Job(
            ticket=row.ticket,
            audit_id=audit.pk,
            host=address.host,
            port=address.port,
            method=request.method,
            target=request.target,
            headers=_headers(request, address.name, token),
            body=request.body,
        )
    )
    return row


def await_flow(ticket: str, timeout_s: float) -> Resend | None:
    """Return the row once its flow is recorded or it failed, at the latest after `timeout_s`.

    None when there is no such row.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        row = Resend.objects.filter(pk=ticket).first()
        if row is None or row.problem or is_recorded(row) or time.monotonic() >= deadline:
            return row
        time.sleep(POLL_INTERVAL_S)


def join_senders(timeout_s: float) -> None:
    """Wait until this process has read every response, for a command that is about to end."""
    deadline = time.monotonic() + timeout_s
    for thread in list(_threads):
        thread.join(max(0.0, deadline - time.monotonic()))


def is_recorded(row: Resend) -> bool:
    """Return True when the flow that it became can be shown."""
    return bool(row.new_flow_id) and Flow.objects.filter(pk=row.new_flow_id).exists()


def proxy_address() -> ProxyAddress:
    """Return where a running proxy listens, this process's own first, then the latest heard of.

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
    name = f"127.0.0.1:{port}" if is_loopback(host) else parts.netloc
    return ProxyAddress(_reachable(found[0], host), port, name)


def _count_under_way() -> int:
    """Count the grants that still wait for their request, and the resent flows that still run."""
    is_waiting = Q(new_flow_id="", problem="", expires_at__gt=datetime.now(UTC))
    is_live = Q(new_flow_id__in=Flow.objects.filter(state=Flow.State.LIVE).values("pk"))
    return Resend.objects.filter(is_waiting | is_live).count()


def _manner(request: Outgoing) -> str:
    how = "as the client sent it"
    if request.as_forwarded:
        how = f"as forwarded, to provider {request.provider}"
    return f"{how}, edited" if request.edited else how


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


def _headers(request: Outgoing, host: str, token: str) -> list[tuple[str, str]]:
    """Return the headers to send, in the recorded order and spelling.

    Only what belongs to this connection is new: the body's length, the grant, and Host where the
    recorded one names the provider or is missing.
    """
    headers = list(request.headers)
    if request.body or request.method not in ("GET", "HEAD", "OPTIONS"):
        headers.insert(length_index(request.side), ("Content-Length", str(len(request.body))))
    if request.as_forwarded:
        headers = [line for line in headers if line[0].lower() != "host"]
    if not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", host))
    return [*headers, (HEADER, token)]


def _reachable(status: InterceptorStatus, host: str) -> str:
    """Return the host to connect to: the loopback address of another machine means that machine."""
    machine = status.instance.rpartition(":")[0]
    return machine if is_loopback(host) and machine and machine != socket.gethostname() else host


def _hand_over(job: Job) -> None:
    """Let a task worker send it, or a thread of this process where no worker is idle."""
    if not settings.CELERY_TASK_ALWAYS_EAGER:
        # Celery takes 60 ms to import; without a broker nothing needs it here.
        from interceptor.resend.tasks import offer_to_worker

        if offer_to_worker(job):
            return
    thread = threading.Thread(
        target=_deliver_and_close, args=[job], name=f"resend {job.ticket[:8]}", daemon=True
    )
    thread.start()
    _threads.add(thread)


def _deliver_and_close(job: Job) -> None:
    try:
        deliver(job)
    finally:
        connection.close()
