"""Transport of requests with a browser's TLS handshake; started by the first of them.

Until then neither uvicorn nor curl-cffi is imported, and nothing listens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from interceptor.config.snapshot.store import ConfigStore
from interceptor.transport.detour import AnnouncedRequests, Destination, Detour
from interceptor.transport.permitted import may_reach, owns, verifies
from providers.base.errors import ConfigError
from providers.base.upstream_proxy import UpstreamProxies
from providers.fingerprint_profiles import CAPTURED, check_profile, unavailable
from providers.provider_conf import ProviderConf
from shapes.replay.captured_handshake import CapturedHandshake

if TYPE_CHECKING:
    from interceptor.transport.loopback_server import LoopbackServer
    from interceptor.transport.transfer import Route

logger = logging.getLogger(__name__)

Address = tuple[str, int]

MAX_MEASURED = 64
"""Captured handshakes whose likeness is remembered."""


class TransportUnavailable(ConfigError):
    """A request cannot go out with its provider's profile; the message names the fix."""


class Transport:
    """The transport of one process.

    Args:
        store: says which providers there are; a hot reload holds from the next request on.
        ca_file: PEM file of further certificate authorities; None: the usual ones.
        proxies: the company's, by which providers are reached.
        upstreams: hosts that a setting replaces, by name in lower case.
    """

    def __init__(
        self,
        store: ConfigStore,
        *,
        ca_file: str | None = None,
        proxies: UpstreamProxies | None = None,
        upstreams: Mapping[str, Address] | None = None,
    ) -> None:
        self._store = store
        self._ca_file = ca_file or ""
        self._proxies = proxies or UpstreamProxies()
        self._upstreams = upstreams or {}
        self._book = AnnouncedRequests()
        self._starting = asyncio.Lock()
        self._measured: dict[CapturedHandshake, str] = {}
        self.server: LoopbackServer | None = None

    async def detour(self, provider: ProviderConf, destination: Destination) -> Detour:
        """Return the way of a request to this provider; starts the transport if need be.

        Raises:
            TransportUnavailable: an unknown profile, TLS that is not verified, no curl-cffi, or no
                captured handshake where the profile asks for one.
        """
        if not owns(provider, destination):
            raise TransportUnavailable(
                f"Provider {provider.name} has a fingerprint_profile, which needs verified TLS or"
                " an address of this machine."
            )
        async with self._starting:
            server = self.server or await self._start(provider)
        if problem := check_profile(provider.fingerprint_profile):
            raise TransportUnavailable(f"Provider {provider.name}: {problem}")
        detour = Detour(self._book, server.address, provider.fingerprint_profile, destination)
        detour.described = detour.profile
        if detour.profile == CAPTURED:
            detour.handshake = self._handshake(provider)
            detour.described = await self._describe(provider, detour.handshake)
        return detour

    def _handshake(self, provider: ProviderConf) -> CapturedHandshake:
        """Return the handshake of the active shape of the provider's type."""
        active = self._store.current.shapes.get(provider.type)
        if active is None or active.shape.handshake is None:
            raise TransportUnavailable(
                f"Provider {provider.name} has the fingerprint_profile {CAPTURED}, but no active"
                f" shape of the type {provider.type} has a TLS handshake. Capture one by `ccproxy"
                " jail` and activate it, or choose another profile."
            )
        return active.shape.handshake

    async def _describe(self, provider: ProviderConf, handshake: CapturedHandshake) -> str:
        """Return whose handshake it is and how near libcurl comes to it; measured once."""
        if handshake in self._measured:
            return self._measured[handshake]
        from interceptor.transport.captured_hello import likeness

        try:
            measured = await likeness(handshake)
        except Exception as exc:
            # curl-cffi raises its own errors and those of its C layer.
            raise TransportUnavailable(
                f"Provider {provider.name}: libcurl does not take the captured handshake"
                f" ({str(exc)[:200]}); choose another fingerprint_profile."
            ) from exc
        text = f"captured from {handshake.client or 'a client'}: {measured.sentence()}"
        while len(self._measured) >= MAX_MEASURED:
            del self._measured[next(iter(self._measured))]
        self._measured[handshake] = text
        return text

    async def _start(self, provider: ProviderConf) -> LoopbackServer:
        try:
            module = await asyncio.to_thread(import_module, "interceptor.transport.loopback_server")
            server: LoopbackServer = module.LoopbackServer(self._book, self._route)
        except Exception as exc:
            # A broken native library raises more than ImportError; the other providers go on.
            raise TransportUnavailable(f"Provider {provider.name}: {unavailable(exc)}") from exc
        self.server = server
        logger.info("requests with a fingerprint_profile leave by way of 127.0.0.1")
        return server

    def _route(self, detour: Detour) -> Route | None:
        """Return the route of a request by the running configuration; None where it may not go."""
        from interceptor.transport.transfer import Route

        snapshot, destination = self._store.current, detour.destination
        if not may_reach(snapshot, destination):
            return None
        scheme, host, port = destination
        really_at = self._upstreams.get(host.lower().rstrip("."))
        proxy = None if really_at else self._proxies.of(scheme, host, port)
        return Route(
            destination=destination,
            profile=detour.profile,
            handshake=detour.handshake,
            verify=verifies(snapshot, destination),
            ca_file=self._ca_file,
            proxy=proxy,
            really_at=really_at,
        )

    async def stop(self) -> None:
        """Stop, if it was started."""
        if self.server is not None:
            await self.server.stop()
            self.server = None
