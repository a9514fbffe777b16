"""Gate of the forward proxy: who may use it, and where to.

Each listener belongs to one run, and takes that run's password alone. A name is looked up here, and
the connection goes to the very address that was checked: a name that changes its address between
the two (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import socket
import time
import uuid
from ipaddress import ip_address
from typing import Final, NamedTuple

from mitmproxy.connection import Client
from mitmproxy.http import HTTPFlow, Response

from flows.record import FlowRecord, Sink
from interceptor.access.client_access import find_token
from interceptor.access.closed_addresses import (
    closed_sentence,
    is_address,
    refusal_of_host,
    refusal_of_number,
)
from interceptor.addons.capture.runs import came_by_forward, origin_fields, run_of
from interceptor.config.snapshot.schema import ClientTokenConf
from interceptor.config.snapshot.store import ConfigStore
from interceptor.forward.mode import source_of
from interceptor.forward.server import STATIC_KEY
from interceptor.wireguard.hosts import plain_name
from interceptor.wireguard.lease import FORWARD_USER, RunBook
from interceptor.wireguard.overrides import Overrides
from providers.base.upstream_proxy import UpstreamProxies

logger = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S: Final = 10.0
MAX_STRANGERS_A_MINUTE: Final = 100
"""Refusals of callers without credentials that are recorded; any program could fill the record."""
NO_CREDENTIALS: Final = (
    "this port belongs to one run of ccproxy run --forward, and takes that run's credentials alone"
)
NOT_A_CLIENT: Final = (
    "this forward proxy takes a client token as the password (ccproxy clienttoken add NAME)"
)
_CHALLENGE: Final = 'Basic realm="ccproxy"'
_HEADERS: Final = (b"proxy-authorization", b"proxy-connection")


class Refused(NamedTuple):
    """Reason of a refusal, and the status code that the client gets."""

    reason: str
    status_code: int


class ForwardGate:
    """Addon for CONNECT, and what others ask about clients of the forward proxy.

    Args:
        runs: the running commands, with their passwords.
        store: the configuration, with the client tokens.
        overrides: names and destinations that are replaced; these are not looked up.
        proxies: the company's; a name that one of them is asked for is not looked up.
        sink: receiver of refused connections.
    """

    def __init__(
        self,
        runs: RunBook,
        store: ConfigStore,
        overrides: Overrides,
        proxies: UpstreamProxies,
        sink: Sink,
    ) -> None:
        self._store = store
        self._runs = runs
        self._overrides = overrides
        self._proxies = proxies
        self._sink = sink
        self._inside: set[str] = set()
        self._tokens: dict[str, ClientTokenConf] = {}
        self._found: dict[tuple[str, str], str] = {}
        self._strangers: list[float] = []

    def client_disconnected(self, client: Client) -> None:
        """Forget the connection."""
        self._inside.discard(client.id)
        self._tokens.pop(client.id, None)
        if came_by_forward(client):
            for key in [key for key in self._found if key[0] == client.id]:
                del self._found[key]

    async def http_connect(self, flow: HTTPFlow) -> None:
        """Open a tunnel, or refuse and record it."""
        if not came_by_forward(flow.client_conn):
            return
        host, port = flow.request.data.host, flow.request.data.port
        # What is inside may still turn out to be plain HTTP.
        refused = self._stranger(flow) or await self._closed(flow.client_conn, "https", host, port)
        if refused is None:
            self._inside.add(flow.client_conn.id)
            return
        flow.response = Response.make(
            refused.status_code,
            f"{refused.reason}\n",
            {"content-type": "text/plain; charset=utf-8", "connection": "close"},
        )
        self.challenge(flow, refused)
        if self.may_record(refused):
            self._record(flow, refused.reason)

    async def refusal_of_request(self, flow: HTTPFlow) -> Refused | None:
        """Return why a request is refused; None where it may go on.

        Takes the headers out that were for the proxy. A request in a tunnel was let in with it.
        """
        client, request = flow.client_conn, flow.request
        if not came_by_forward(client) or client.id in self._inside:
            return None
        refused = self._stranger(flow)
        fields = request.headers.fields
        request.headers.fields = tuple(
            [field for field in fields if field[0].lower() not in _HEADERS]
        )
        if refused is not None:
            return refused
        if request.scheme != "http":
            return Refused("a request with https in its URL needs a tunnel: use CONNECT", 403)
        return await self._closed(client, "http", request.data.host, request.data.port)

    def challenge(self, flow: HTTPFlow, refused: Refused) -> None:
        """Ask for credentials where they were missing (RFC 9110, 11.7.1)."""
        if flow.response is not None and refused.status_code == 407:
            flow.response.status_code = 407
            flow.response.headers["proxy-authenticate"] = _CHALLENGE

    def may_record(self, refused: Refused) -> bool:
        """Return whether a refusal is recorded; those of strangers are limited."""
        if refused.status_code != 407:
            return True
        now = time.monotonic()
        self._strangers = [at for at in self._strangers if now - at < 60]
        if len(self._strangers) >= MAX_STRANGERS_A_MINUTE:
            return False
        self._strangers.append(now)
        return True

    def token_of(self, client: Client) -> ClientTokenConf | None:
        """Return the client token that a client of the static listener has shown."""
        return self._tokens.get(client.id)

    async def checked_address(self, client: Client, host: str) -> tuple[str, str]:
        """Return (address, "") to connect to for a name, or ("", why not).

        Raises nothing: a name that is not found is a reason.
        """
        reason = refusal_of_host(host)
        if reason:
            return "", reason
        if is_address(host):
            return host, ""
        known = self._found.get((client.id, host))
        if known:
            return known, ""
        replaced = self._overrides.addresses.get(host)
        if replaced is not None:
            return str(replaced), ""
        address, reason = await _look_up(host)
        if address:
            self._found[client.id, host] = address
        return address, reason

    def _stranger(self, flow: HTTPFlow) -> Refused | None:
        """Refuse a request without the credentials of the listener's run."""
        shown = _basic(flow.request.headers.get("proxy-authorization", ""))
        if flow.client_conn.proxy_mode.data == STATIC_KEY:
            text = shown.partition(b":")[2].decode("utf-8", "surrogateescape")
            token = find_token(text, self._store.current.client_tokens)
            if token is None:
                return Refused(NOT_A_CLIENT, 407)
            self._tokens[flow.client_conn.id] = token
            return None
        run = run_of(flow.client_conn, self._runs)
        password = run.forward.password if run and run.forward else ""
        wanted = f"{FORWARD_USER}:{password}".encode()
        if password and hmac.compare_digest(shown, wanted):
            return None
        return Refused(NO_CREDENTIALS, 407)

    def _out_of_scope(self, client: Client, host: str) -> str:
        """Return why a client's token does not reach a host; "" where it does."""
        token = self._tokens.get(client.id)
        if token is None or not token.providers:
            return ""
        providers = self._store.current.providers.values()
        if any(p.name in token.providers and p.owns(host, p.effective_port) for p in providers):
            return ""
        names = ", ".join(sorted(token.providers))
        return f"the client token {token.name} reaches the hosts of {names} alone"

    async def _closed(self, client: Client, scheme: str, host: str, port: int) -> Refused | None:
        """Refuse a destination that must not be reached, or is not found."""
        if reason := self._out_of_scope(client, plain_name(host)):
            return Refused(reason, 403)
        if plain_name(host) in self._overrides.upstreams:
            return None
        reason = refusal_of_host(host)
        if reason:
            return Refused(closed_sentence(host, port, reason), 403)
        # Only the company's proxy may know the name.
        if self._proxies.of(scheme, host, port) is not None:
            return None
        address, reason = await self.checked_address(client, host)
        if address:
            return None
        status = 502 if reason.startswith("it ") else 403
        return Refused(closed_sentence(host, port, reason), status)

    def _record(self, flow: HTTPFlow, reason: str) -> None:
        host, port = flow.request.data.host, flow.request.data.port
        now = time.time()
        run = run_of(flow.client_conn, self._runs)
        known = origin_fields(run, None) if flow.client_conn.id in self._inside or run else {}
        self._sink.finished(
            FlowRecord(
                id=str(uuid.uuid4()),
                state="error",
                started_at=flow.request.timestamp_start or now,
                finished_at=now,
                source=source_of(flow.client_conn),
                method="TCP",
                host=host,
                path=f"{host}:{port}",
                client_url=f"tcp://{_shown(host, port)}",
                action="refused",
                error=reason,
                **known,
            )
        )


async def _look_up(host: str) -> tuple[str, str]:
    """Return (address, "") of a name, or ("", why it is not used). IPv4 is preferred."""
    try:
        loop = asyncio.get_running_loop()
        asked = loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        infos = await asyncio.wait_for(asked, LOOKUP_TIMEOUT_S)
    except (OSError, TimeoutError, UnicodeError) as exc:
        return "", f"it was not found ({getattr(exc, 'strerror', None) or 'no answer'})"
    found = [str(info[4][0]).partition("%")[0] for info in infos]
    for address in found:
        # One bad address is enough: another look-up could choose it.
        reason = refusal_of_number(ip_address(address))
        if reason:
            return "", reason
    fours = [address for address in found if ":" not in address]
    return (fours or found)[0], ""


def _basic(header: str) -> bytes:
    """Return the name and password of an RFC 7617 header; b"" where it is none."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(rest.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
