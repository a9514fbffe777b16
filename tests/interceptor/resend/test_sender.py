"""The request as it leaves, what becomes of it, and the job that another process may send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from flows.bodies.complete_flow import load_flow
from flows.models import Flow, Resend
from interceptor.config.snapshot.load import load_snapshot
from interceptor.instances.processes import own_instance
from interceptor.resend.delivery import deliver
from interceptor.resend.grant_store import issue
from interceptor.resend.job import Job
from interceptor.resend.outgoing import outgoing
from interceptor.resend.sender import (
    MAX_SENDING,
    ResendBusyError,
    await_flow,
    join_senders,
    send_again,
)
from providers.audit.log import Caller, record_audit
from tests.fakes.raw_upstream import RawUpstream
from tests.flows.seed import add_flow, add_side
from tests.rows import make_provider, make_status

ADA = Caller("ada", "console")
BODY = b'{"model": "m"}'
REFUSAL = b'{"error": {"message": "No such rule."}}'


@pytest.fixture
def proxy() -> Iterator[RawUpstream]:
    """A server in the place of the proxy's listener."""
    with RawUpstream() as server:
        yield server


def job(port: int, **fields: Any) -> Job:
    """A job with the rows that it needs."""
    row = Resend(flow_id="f")
    token = issue(row)
    audit = record_audit("replay", "flow f", by=ADA)
    given = Job(
        ticket=row.ticket,
        audit_id=audit.pk,
        host="127.0.0.1",
        port=port,
        method="POST",
        target="/v1/messages",
        headers=[("Host", "here"), ("Content-Length", "14"), ("x-ccproxy-resend", token)],
        body=BODY,
    )
    return replace(given, **fields)


def answering(proxy: RawUpstream, status: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    proxy.steps = lambda: [head.encode() + body]


@pytest.mark.django_db
def test_the_bytes_that_leave_are_the_recorded_ones(proxy: RawUpstream) -> None:
    target = '/v1/a|b/%7e/../"?q=%C3%a4&x={}'
    headers = [
        ("Host", "127.0.0.1:4000"),
        ("X-APP", "caf\udce9"),
        ("content-TYPE", "application/json"),
        ("x-Empty", ""),
        ("Cookie", "a=b"),
        ("Content-Length", "14"),
        ("x-app", "again"),
    ]
    deliver(job(proxy.port, method="PATCH", target=target, headers=headers))
    assert proxy.requests == [
        f"PATCH {target} HTTP/1.1\r\n".encode()
        + b"Host: 127.0.0.1:4000\r\nX-APP: caf\xe9\r\ncontent-TYPE: application/json\r\n"
        + b"x-Empty: \r\nCookie: a=b\r\nContent-Length: 14\r\nx-app: again\r\n\r\n"
        + BODY
    ]


@pytest.mark.django_db
def test_nothing_is_added_to_a_request_without_a_body(proxy: RawUpstream) -> None:
    deliver(job(proxy.port, method="GET", headers=[("Host", "h")], body=b""))
    assert proxy.requests == [b"GET /v1/messages HTTP/1.1\r\nHost: h\r\n\r\n"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        ("404 Not Found", REFUSAL, "The proxy refused it with 404: No such rule."),
        ("503 Busy", b"<p>", "The proxy refused it with 503: Busy"),
        ("302 Found", b"", "The proxy refused it with 302: Found"),
    ],
)
def test_a_refusal_is_told(proxy: RawUpstream, status: str, body: bytes, problem: str) -> None:
    answering(proxy, status, body)
    given = job(proxy.port)
    deliver(given)
    assert Resend.objects.get(pk=given.ticket).problem == problem
    assert len(proxy.requests) == 1


@pytest.mark.django_db
def test_a_proxy_that_cannot_be_reached_is_told(proxy: RawUpstream) -> None:
    proxy.steps = lambda: ["reset"]
    for given in (job(proxy.port), job(1)):
        deliver(given)
        row = Resend.objects.get(pk=given.ticket)
        assert f"The proxy at 127.0.0.1:{given.port} could not be asked: " in row.problem


@pytest.mark.django_db
def test_a_response_that_breaks_off_belongs_to_the_flow(proxy: RawUpstream) -> None:
    given = job(proxy.port)
    Resend.objects.filter(pk=given.ticket).update(new_flow_id="new")
    proxy.steps = lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "reset"]
    deliver(given)
    assert Resend.objects.get(pk=given.ticket).problem == ""


@pytest.mark.django_db
def test_a_job_travels_sealed() -> None:
    given = job(4000, headers=[("X", "caf\udce9"), ("x-ccproxy-resend", "ccr-1")], body=b"\xff\x00")
    sealed = given.seal()
    assert Job.unseal(sealed) == given
    assert "messages" not in sealed and "ccr-1" not in sealed
    assert "ccr-1" not in repr(given)


# --- beginning to send


@pytest.fixture
def recorded(transactional_db: None, proxy: RawUpstream) -> Iterator[Any]:
    """A recorded request that can be sent again, and a proxy that runs."""
    make_provider("anthropic", host="api.anthropic.com", auth_type="none", auth_config={})
    make_status(instance=own_instance(), endpoints={"proxy_url": f"http://127.0.0.1:{proxy.port}"})
    flow = add_flow("f", 1, path="/v1/messages", provider="anthropic")
    headers = {"Accept": "a/b", "Content-Length": "14", "Host": "there"}
    add_side(flow, "client", headers, BODY, method="POST", url="http://there/v1/messages")
    found = load_flow("f")
    assert found is not None
    yield outgoing(found, load_snapshot(), as_forwarded=False)
    join_senders(30)


def test_it_is_sent_in_this_process(recorded: Any, proxy: RawUpstream) -> None:
    answering(proxy, "404 Not Found", REFUSAL)
    row = send_again(recorded, ADA)
    ended = await_flow(row.ticket, 30)
    assert ended is not None and "No such rule." in ended.problem
    # The client writes Host first, as RFC 9112 (3.2) asks; all else keeps its order.
    assert proxy.requests[0].startswith(
        b"POST /v1/messages HTTP/1.1\r\nHost: there\r\nAccept: a/b\r\nContent-Length: 14\r\n"
        b"x-ccproxy-resend: ccr-"
    )


def test_no_more_than_a_few_at_a_time(recorded: Any, proxy: RawUpstream) -> None:
    for number in range(MAX_SENDING):
        row = Resend(flow_id="f")
        issue(row)
        if number % 2:
            flow = add_flow(f"live-{number}", 1, state=Flow.State.LIVE)
            Resend.objects.filter(pk=row.ticket).update(new_flow_id=flow.pk)
    with pytest.raises(ResendBusyError, match="16 requests"):
        send_again(recorded, ADA)
    Resend.objects.filter(new_flow_id="").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert send_again(recorded, ADA).ticket
