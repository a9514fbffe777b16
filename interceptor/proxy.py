"""The proxy as one object: build it, run it on a loop, let it drain and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from socket import socket

from flows.record import Sink
from interceptor.access.caller_rules import GuardRules, guard_rules
from interceptor.access.grant import GrantBook, NoGrants
from interceptor.addons.chain import build_chain
from interceptor.addons.mcp.forward_mcp import McpAddress
from interceptor.addons.timeouts import DEFAULT_IDLE_TIMEOUT_S
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.activity import ActivityBoard
from interceptor.exchange.recording_state import RecordingState
from interceptor.hooks.code_assist_projects import CodeAssistProjects
from interceptor.hooks.perplexity_accounts import PerplexityAccounts
from interceptor.master import build_master
from interceptor.mitm.ending.drain import stop_all, wait_until_idle
from interceptor.mitm.listener import raise_backlog, share_listeners
from interceptor.notes.note_book import NoNotes, NoteBook
from interceptor.operate.authority import check_authority, make_authority
from interceptor.operate.freed_memory import give_back_freed_memory
from interceptor.operate.stock import Why
from interceptor.pipeline.perplexity_account import RemembersThreads, UploadsElsewhere
from interceptor.pipeline.provider_clients import ProviderClients
from interceptor.request_path.surroundings import Surroundings
from interceptor.request_path.upstream_models import DEFAULT_TIMEOUT_S, UpstreamModels
from interceptor.shaping.billing_signer import BillingSigner
from interceptor.stock_addons import Proxyserver
from interceptor.transform.capacity_policy import CapacityPolicy
from interceptor.transform.carried_reasoning import KeepsReasoning, ReasoningMemory
from interceptor.transform.cooldowns import Cooldowns
from interceptor.transport.lazy_transport import Transport
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.overrides import Overrides
from interceptor.wireguard.service import WireGuardService, WireGuardSettings
from providers.auth.resolve import CredentialResolver
from providers.base.errors import ConfigError
from providers.base.upstream_proxy import UpstreamProxies
from providers.wire.rules.replay import STORE

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 15.0
MIN_TCP_TIMEOUT_S = 600
STOPPED = "ccproxy was stopped before this response was complete; send the request again"


class Proxy:
    """The embedded mitmproxy with our addon chain.

    Args:
        store: the configuration it runs on.
        sink: where flows go.
        resolver: turns credential handles into tokens.
        host: bind address.
        port: TCP port of the reverse listener.
        ca_dir: where the CA lives.
        version: shown by /health.
        require_token: clients must show a client token.
        own_credentials: clients may bring their own credential, by a base path.
        rules: who may call; None: only by loopback names and `host`.
        idle_timeout_s: how long a provider may be silent.
        own_call_timeout_s: how long a provider may take to begin its response to a request that
            the proxy sends again by itself; None: no limit of its own.
        stream_over_bytes: responses over this size are never held; None: no such size.
        grants: what the console may send again; None: nothing.
        stock: kinds of mitmproxy patches to leave out.
        options: further mitmproxy options.
        listeners: sockets to accept from, instead of opening one at host:port.
        wireguard: where captured commands ask for their listeners; None: nowhere.
        overrides: names and destinations that are replaced; None: none.
        proxies: the company's, by which providers are reached; None: none.
        recording: whether flows are stored; None: they are.
        capacity: what to do when Code Assist has none; None: nothing.
        threads: keeps threads of Perplexity; None: they end with this process.
        uploads: task workers for files that go to Perplexity; None: this process does it.
        mcp: where the MCP server listens; None: nowhere.
        sends_trace: requests name our span as their parent.
        notes: keeps events for sessions; None: nothing does.
        notify_secret: what programs must show that send them; "": nothing.
    """

    def __init__(
        self,
        *,
        store: ConfigStore,
        sink: Sink,
        resolver: CredentialResolver,
        host: str,
        port: int,
        ca_dir: Path,
        version: str,
        require_token: bool = False,
        own_credentials: bool = True,
        rules: GuardRules | None = None,
        idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S,
        own_call_timeout_s: float | None = None,
        stream_over_bytes: int | None = None,
        grants: GrantBook | None = None,
        stock: frozenset[Why] = frozenset(),
        options: dict[str, object] | None = None,
        listeners: Sequence[socket] = (),
        wireguard: WireGuardSettings | None = None,
        overrides: Overrides | None = None,
        proxies: UpstreamProxies | None = None,
        recording: RecordingState | None = None,
        capacity: CapacityPolicy | None = None,
        threads: RemembersThreads | None = None,
        uploads: UploadsElsewhere | None = None,
        reasoning: KeepsReasoning | None = None,
        mcp: McpAddress | None = None,
        sends_trace: bool = False,
        notes: NoteBook | None = None,
        notify_secret: str = "",
    ) -> None:
        share_listeners(listeners)
        self.host, self.port, self.ca_dir = host, port, ca_dir
        self._resolver = resolver
        self._ready = asyncio.Event()
        self.runs = RunBook()
        ca_file = _text_option(options, "ssl_verify_upstream_trusted_ca")
        self.transport = Transport(
            store,
            ca_file=ca_file,
            proxies=proxies,
            upstreams=overrides.upstreams if overrides else None,
        )
        self.cooldowns = Cooldowns()
        activity = ActivityBoard()
        self._chain = build_chain(
            store,
            sink,
            resolver,
            Surroundings(
                resolver=resolver,
                grants=grants or NoGrants(),
                rules=rules or guard_rules(host, (), ()),
                models=UpstreamModels(
                    resolver,
                    timeout_s=own_call_timeout_s or DEFAULT_TIMEOUT_S,
                    ca_file=ca_file,
                    proxies=proxies,
                ),
                projects=CodeAssistProjects(
                    ProviderClients(
                        ca_file=_text_option(options, "ssl_verify_upstream_trusted_ca"),
                        proxies=proxies,
                    )
                ),
                perplexity=PerplexityAccounts(
                    ProviderClients(ca_file=ca_file, proxies=proxies),
                    threads,
                    workers=uploads,
                    tell=activity.tell,
                ),
                reasoning=ReasoningMemory(reasoning, STORE) if reasoning else None,
                version=version,
                require_token=require_token,
                own_credentials=own_credentials,
                verifies_tls=not (options or {}).get("ssl_insecure"),
                recording=recording or RecordingState(),
                activity=activity,
                capacity=capacity,
                cooldowns=self.cooldowns,
                sends_trace=sends_trace,
                notes=notes or NoNotes(),
                notify_secret=notify_secret,
                signer=BillingSigner(resolver.decrypt),
            ),
            idle_timeout_s=idle_timeout_s,
            own_call_timeout_s=own_call_timeout_s,
            stream_over_bytes=stream_over_bytes,
            runs=self.runs,
            overrides=overrides,
            proxies=proxies,
            transport=self.transport,
            mcp=mcp,
        )
        self._chain.addons.append(_Ready(self._ready))
        # mitmproxy's own clock must not end what ours still allows.
        options = {"tcp_timeout": max(MIN_TCP_TIMEOUT_S, int(idle_timeout_s) + 60)} | (
            options or {}
        )
        make_authority(ca_dir)
        self._master = build_master(
            asyncio.get_running_loop(),
            store,
            self._chain,
            host=host,
            port=port,
            ca_dir=ca_dir,
            stock=stock,
            options=options,
        )
        self._task: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None
        self._store = store
        self._wireguard = (
            WireGuardService(wireguard, self.runs, self._is_provider) if wireguard else None
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


def _text_option(options: dict[str, object] | None, name: str) -> str | None:
    """Return an option that is a text, None where it is not set."""
    found = (options or {}).get(name)
    return found if isinstance(found, str) else None


class _Ready:
    """Addon that says when the listeners are up."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def running(self) -> None:
        """Note that everything listens; mitmproxy calls it once."""
        self._event.set()
