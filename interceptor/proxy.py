"""The proxy as one object: build it, run it on a loop, let it drain and stop."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from interceptor.addons.chain import Chain, ChainParts, build_chain
from interceptor.config.snapshot.schema import Snapshot
from interceptor.master import build_master
from interceptor.mitm.ending.drain import stop_all, wait_until_idle
from interceptor.mitm.listener import raise_backlog, share_listeners
from interceptor.operate.authority import check_authority, make_authority
from interceptor.operate.freed_memory import give_back_freed_memory
from interceptor.proxy_settings import ProxySettings, surroundings_of
from interceptor.stock_addons import Proxyserver
from interceptor.transform.cooldowns import Cooldowns
from interceptor.transport.lazy_transport import Transport
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.overrides import Overrides
from interceptor.wireguard.service import WireGuardService
from providers.base.errors import ConfigError
from providers.base.upstream_proxy import UpstreamProxies

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 15.0
MIN_TCP_TIMEOUT_S = 600
STOPPED = "ccproxy was stopped before this response was complete; send the request again"


class Proxy:
    """The embedded mitmproxy with our addon chain. It is made on the loop that runs it."""

    def __init__(self, settings: ProxySettings) -> None:
        share_listeners(settings.listeners)
        self.host, self.port, self.ca_dir = settings.host, settings.port, settings.ca_dir
        self.runs = RunBook()
        self.cooldowns = Cooldowns()
        self.transport = Transport(
            settings.store,
            ca_file=settings.provider_ca_file,
            proxies=settings.proxies,
            upstreams=settings.overrides.upstreams if settings.overrides else None,
        )
        self._store, self._resolver = settings.store, settings.resolver
        self._chain = self._make_chain(settings)
        self._ready = asyncio.Event()
        self._chain.addons.append(_Ready(self._ready))
        make_authority(settings.ca_dir)
        self._master = build_master(
            asyncio.get_running_loop(),
            settings.store,
            self._chain,
            host=settings.host,
            port=settings.port,
            ca_dir=settings.ca_dir,
            stock=settings.stock,
            options=_with_patience(settings),
        )
        self._task: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None
        self._wireguard = (
            WireGuardService(settings.wireguard, self.runs, self._is_provider)
            if settings.wireguard
            else None
        )

    def _make_chain(self, settings: ProxySettings) -> Chain:
        return build_chain(
            ChainParts(
                store=settings.store,
                sink=settings.sink,
                resolver=settings.resolver,
                around=surroundings_of(settings, self.cooldowns),
                runs=self.runs,
                overrides=settings.overrides or Overrides(),
                proxies=settings.proxies or UpstreamProxies(),
                transport=self.transport,
                mcp=settings.mcp,
                idle_timeout_s=settings.idle_timeout_s,
                own_call_timeout_s=settings.own_call_timeout_s,
                stream_over_bytes=settings.stream_over_bytes,
            )
        )

    @property
    def active_flows(self) -> int:
        """The number of running flows."""
        return self._chain.record.active_count

    @property
    def ca_path(self) -> Path:
        """The CA certificate that clients of the transparent listeners trust."""
        return self.ca_dir / "mitmproxy-ca-cert.pem"

    def _is_provider(self, host: str) -> bool:
        """Return whether a name is that of a configured provider's host, on any port."""
        providers = self._store.current.providers.values()
        return any(provider.owns(host, provider.effective_port) for provider in providers)

    @property
    def forward_port(self) -> int:
        """The port of the forward proxy for clients with a token, 0 without one."""
        return self._wireguard.forward_port if self._wireguard else 0

    def body_so_far(self, flow_id: str) -> bytes:
        """Return what the client of a running stream got; b"" for other flows."""
        return self._chain.record.body_so_far(flow_id)

    def configured(self, snapshot: Snapshot) -> None:
        """Take over what a new snapshot says about credential sources."""
        self._resolver.command_timeout_s = snapshot.command_timeout_s

    async def start(self) -> None:
        """Listen, and return once connections are accepted.

        Raises:
            ConfigError: the listener did not come up, or not at the address it was given, or the
                CA cannot be used. Nothing runs then.
        """
        await asyncio.to_thread(check_authority, self.ca_dir)
        self._task = asyncio.create_task(self._master.run(), name="mitmproxy")
        self._giving_back = asyncio.create_task(give_back_freed_memory(), name="freed memory")
        try:
            await self._listen(self._task)
        except BaseException:
            # mitmproxy runs on without a listener, and would keep the loop busy for ever.
            self._master.shutdown()
            await self.wait()
            raise

    async def _listen(self, master: asyncio.Task[None]) -> None:
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait(
            {master, waiting}, timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if not self._ready.is_set():
            raise ConfigError("the proxy did not start; the log says why")
        self._check_addresses()
        server = self._master.addons.get("proxyserver")
        if isinstance(server, Proxyserver):
            raise_backlog(server)
            if self._wireguard:
                await self._wireguard.start(server)

    def _check_addresses(self) -> None:
        server = self._master.addons.get("proxyserver")
        addresses = server.listen_addrs() if isinstance(server, Proxyserver) else []
        if not addresses:
            raise ConfigError(
                f"the proxy does not listen on {self.host}:{self.port}; the log says why"
            )
        for address in addresses:
            if address[0] != self.host and self.host not in ("localhost", ""):
                raise ConfigError(f"the proxy listens on {address[0]} instead of {self.host}")

    async def wait(self) -> None:
        """Return when the proxy ended, by itself or by `stop`."""
        if self._task:
            await asyncio.wait({self._task})
        if self._giving_back:
            self._giving_back.cancel()

    async def stop(self, drain_timeout_s: float) -> None:
        """Accept nothing new, let running flows finish for at most `drain_timeout_s`, then end.

        The clients of flows that still run get an error in their own format.
        """
        if self._wireguard:
            self._wireguard.refuse()
        server = self._master.addons.get("proxyserver")
        if isinstance(server, Proxyserver):
            await server.servers.update([])
            if not await wait_until_idle(server, drain_timeout_s):
                stopped = await stop_all(server, STOPPED)
                logger.warning("%d flows were stopped after %g s", stopped, drain_timeout_s)
        if self._wireguard:
            await self._wireguard.stop()
        await self.transport.stop()
        self._master.shutdown()
        await self.wait()


def _with_patience(settings: ProxySettings) -> dict[str, object]:
    """Return mitmproxy's options; its own clock must not end what ours still allows."""
    timeout_s = max(MIN_TCP_TIMEOUT_S, int(settings.idle_timeout_s) + 60)
    return {"tcp_timeout": timeout_s, **settings.options}


class _Ready:
    """Addon that says when the listeners are up."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def running(self) -> None:
        """Note that everything listens; mitmproxy calls it once."""
        self._event.set()
