"""Guard of downloads that a client asks for: no address of this machine or of its network.

Names are resolved here and the checked address itself is connected to, so that a name server that
answers differently the next time changes nothing (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

import httpcore

from providers.base.errors import RefuseRequest
from providers.base.http_client import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Permits = Callable[[Address], bool]
Resolve = Callable[[str, int], Awaitable[list[str]]]

# RFC 6052: an IPv4 address in the last four bytes.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(RefuseRequest):
    """An address that a client must not reach through the proxy."""


def is_public(address: Address) -> bool:
    """Return True for an address of the public internet.

    Example: 8.8.8.8 → True; 10.0.0.1, 169.254.169.254, ::ffff:127.0.0.1, 2002:7f00:1:: → False.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connector that checks each address when it connects."""

    def __init__(self, permits: Permits = is_public, resolve: Resolve = resolved) -> None:
        self._permits = permits
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            raise AddressRefused(f"The address {host} is not known.") from None
        # One bad address refuses all: which one is used is the name server's choice.
        for text in addresses:
            if not self._permits(ipaddress.ip_address(text.partition("%")[0])):
                raise AddressRefused(f"{host} is no address of the public internet.")
        if not addresses:
            raise AddressRefused(f"The address {host} is not known.")
        return await self._inner.connect_tcp(addresses[0], port, timeout, local_address)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Transport of httpx over guarded connections; it keeps none open."""

    def __init__(self, backend: GuardedBackend) -> None:
        self._backend = backend
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._pool is None:
            # Reading the authorities takes some 20 ms, too long for the event loop.
            context = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context, network_backend=self._backend, max_keepalive_connections=0
            )
        inner = httpcore.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=await request.aread(),
            extensions=request.extensions,
        )
        try:
            response = await self._pool.handle_async_request(inner)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as exc:
            raise httpx.ConnectError(str(exc) or type(exc).__name__) from exc
        return httpx.Response(
            response.status, headers=response.headers, stream=_Stream(response.stream)
        )

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    """A response's body as httpx wants it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                yield chunk
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as exc:
            raise httpx.ReadError(str(exc) or type(exc).__name__) from exc

    async def aclose(self) -> None:
        await self._inner.aclose()
