"""Name look-ups of captured commands: answered by this machine's resolver or a setting, recorded.

In a company's network the resolver may know inside names alone, and a proxy finds the others. Then
a name that is not found gets a stand-in address, by which the proxy's tunnel finds the name again.

The tunnel carries IPv4 only, so look-ups of IPv6 addresses find nothing. Look-ups of HTTPS records
find nothing either, because they would lead clients to QUIC and to encrypted ClientHellos.
"""

from __future__ import annotations

import asyncio
import time
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network

from mitmproxy.dns import DNSFlow, DNSMessage, ResourceRecord
from mitmproxy.net.dns import classes, op_codes, response_codes, types
from mitmproxy.proxy.mode_specs import WireGuardMode

from flows.record import FlowRecord, Sink
from interceptor.addons.capture.runs import origin_fields, run_of
from interceptor.stock_addons import DnsResolver, MissingNameServers
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.hosts_file import HostsFile
from interceptor.wireguard.lease import Run, RunBook
from interceptor.wireguard.overrides import Overrides
from interceptor.wireguard.server import DNS_SERVER
from providers.base.upstream_proxy import UpstreamProxies

LOOKUP_TIMEOUT_S = 4.0
"""Shorter than resolvers wait before they ask again."""
METHOD = "DNS"
HTTPS_PORT = 443
STAND_INS = IPv4Network("198.18.0.0/15")
_NOTHING_THERE = (types.AAAA, types.HTTPS, types.SVCB)


class RunDns(DnsResolver):
    """mitmproxy's resolver with the rules of runs. Every tunnel has it at 10.0.0.53."""

    name = "dnsresolver"

    def __init__(
        self,
        runs: RunBook,
        overrides: Overrides,
        sink: Sink,
        proxies: UpstreamProxies | None = None,
    ) -> None:
        self._runs = runs
        self._overrides = overrides
        self._sink = sink
        self._proxies = proxies or UpstreamProxies()
        self._hosts = HostsFile()

    async def dns_request(self, flow: DNSFlow) -> None:
        """Answer a lookup."""
        if not isinstance(flow.client_conn.proxy_mode, WireGuardMode):
            await super().dns_request(flow)
            return
        question = flow.request.question
        if question is None or not flow.request.query or flow.request.op_code != op_codes.QUERY:
            flow.response = flow.request.fail(response_codes.NOTIMP)
            return
        run, name = run_of(flow.client_conn, self._runs), plain_name(question.name)
        if reason := _refusal(run, name, flow):
            flow.metadata["refused"] = reason
            flow.response = flow.request.fail(response_codes.REFUSED)
        elif name in self._overrides.addresses:
            address = self._overrides.addresses[name]
            flow.response = _answer(flow.request, [address] if question.type == types.A else [])
        elif (known := self._hosts.lookup(name)) is not None:
            flow.response = _answer(flow.request, known if question.type == types.A else [])
        elif question.type in _NOTHING_THERE:
            flow.response = _answer(flow.request, [])
        else:
            await super().dns_request(flow)
            self._stand_in(flow, run, name)

    def _stand_in(self, flow: DNSFlow, run: Run | None, name: str) -> None:
        """Answer a failed look-up with a stand-in address if a proxy would find the name."""
        question, response = flow.request.question, flow.response
        # Only a run remembers the names of its addresses.
        if run is None or question is None or question.type != types.A or response is None:
            return
        is_missing = response.response_code in (response_codes.NXDOMAIN, response_codes.SERVFAIL)
        if is_missing and "." in name and self._proxies.of("https", name, HTTPS_PORT):
            flow.response = _answer(flow.request, [stand_in_address(name)])

    async def resolve(self, message: DNSMessage) -> DNSMessage:
        """Look an address up. A name server that does not respond delays it only briefly."""
        try:
            return await asyncio.wait_for(super().resolve(message), LOOKUP_TIMEOUT_S)
        except (TimeoutError, MissingNameServers):
            return message.fail(response_codes.SERVFAIL)

    def dns_response(self, flow: DNSFlow) -> None:
        """Remember the addresses, and record the lookup."""
        question, response = flow.request.question, flow.response
        if (
            question is None
            or response is None
            or not isinstance(flow.client_conn.proxy_mode, WireGuardMode)
        ):
            return
        run, name = run_of(flow.client_conn, self._runs), plain_name(question.name)
        found = [
            str(record.ipv4_address)
            for record in response.answers
            if record.type == types.A and len(record.data) == 4
        ]
        if run is not None:
            for address in found:
                run.answers.add(name, address)
        if (
            question.type != types.AAAA
        ):  # it comes with a lookup of the IPv4 address, and always finds nothing
            code = response_codes.to_str(response.response_code)
            self._record(
                flow, run, ", ".join(found) or code, failed=code not in ("NOERROR", "NXDOMAIN")
            )

    def dns_error(self, flow: DNSFlow) -> None:
        """Record a look-up that failed."""
        if isinstance(flow.client_conn.proxy_mode, WireGuardMode):
            run = run_of(flow.client_conn, self._runs)
            self._record(flow, run, flow.error.msg if flow.error else "no answer", failed=True)

    def _record(self, flow: DNSFlow, run: Run | None, answer: str, *, failed: bool) -> None:
        question, response = flow.request.question, flow.response
        refused: str = flow.metadata.get("refused", "")
        asked_at = flow.request.timestamp or time.time()
        answered_at = max(asked_at, (response.timestamp if response else None) or asked_at)
        self._sink.finished(
            FlowRecord(
                id=flow.id,
                state="error" if failed or refused else "done",
                started_at=asked_at,
                finished_at=answered_at,
                source="wireguard",
                method=METHOD,
                host=plain_name(question.name) if question else "",
                path=types.to_str(question.type) if question else "",
                action="refused" if refused else "local",
                route=f"answered {answer}" if not failed else "",
                error=refused or (f"the lookup failed: {answer}" if failed else ""),
                duration_ms=(answered_at - asked_at) * 1000,
                **origin_fields(run, None),
            )
        )


def stand_in_address(name: str) -> IPv4Address:
    """Return the address that stands for a name: the same each time, in 198.18.0.0/15 (RFC 2544).

    Two names may share one; the request's own name then decides.
    """
    digest = blake2b(name.encode(), digest_size=4).digest()
    return STAND_INS[1 + int.from_bytes(digest) % (STAND_INS.num_addresses - 2)]


def _refusal(run: Run | None, name: str, flow: DNSFlow) -> str:
    if run is None or run.egress is None:
        return ""
    server = flow.server_conn.address
    if server is not None and server[0] != DNS_SERVER:
        return run.refusal_of_address(server[0])
    return run.refusal_of_name(name)


def _answer(request: DNSMessage, addresses: list[IPv4Address]) -> DNSMessage:
    assert request.question is not None  # noqa: S101  # the caller looked
    name = request.question.name
    ttl = ResourceRecord.DEFAULT_TTL
    return request.succeed(
        [ResourceRecord(name, types.A, classes.IN, ttl, one.packed) for one in addresses]
    )
