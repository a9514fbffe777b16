"""Settings of one proxy, and the services that its request path may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from flows.record import Sink
from interceptor.access.caller_rules import GuardRules, guard_rules
from interceptor.access.grant import GrantBook, NoGrants
from interceptor.addons.mcp.forward_mcp import McpAddress
from interceptor.addons.timeouts import DEFAULT_IDLE_TIMEOUT_S
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.activity import ActivityBoard
from interceptor.exchange.recording_state import RecordingState
from interceptor.hooks.code_assist_projects import CodeAssistProjects
from interceptor.hooks.perplexity_accounts import PerplexityAccounts
from interceptor.notes.note_book import NoNotes, NoteBook
from interceptor.operate.stock import Why
from interceptor.pipeline.perplexity_account import RemembersThreads, UploadsElsewhere
from interceptor.pipeline.provider_clients import ProviderClients
from interceptor.request_path.surroundings import Surroundings
from interceptor.request_path.upstream_models import DEFAULT_TIMEOUT_S, UpstreamModels
from interceptor.shaping.billing_signer import BillingSigner
from interceptor.transform.capacity_policy import CapacityPolicy
from interceptor.transform.carried_reasoning import KeepsReasoning, ReasoningMemory
from interceptor.transform.cooldowns import Cooldowns
from interceptor.wireguard.overrides import Overrides
from interceptor.wireguard.service import WireGuardSettings
from providers.auth.resolve import CredentialResolver
from providers.base.upstream_proxy import UpstreamProxies
from providers.wire.rules.replay import STORE


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Parts and settings of one proxy."""

    store: ConfigStore
    """The configuration it runs on."""
    sink: Sink
    """Where flows go."""
    resolver: CredentialResolver
    """Turns credential handles into tokens."""
    host: str
    """Bind address."""
    port: int
    """TCP port of the reverse listener."""
    ca_dir: Path
    """Where the CA lives."""
    version: str
    """Shown by /health."""
    listeners: Sequence[socket] = ()
    """Sockets to accept from, instead of opening one at host:port."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Further options of mitmproxy."""
    stock: frozenset[Why] = frozenset()
    """Kinds of mitmproxy patches to leave out."""

    require_token: bool = False
    """Clients must show a client token."""
    own_credentials: bool = True
    """Clients may bring their own credential, by a base path."""
    rules: GuardRules | None = None
    """Who may call; None: only by loopback names and `host`."""
    grants: GrantBook = field(default_factory=NoGrants)
    """What the console may send again."""

    idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S
    """How long a provider may be silent."""
    own_call_timeout_s: float | None = None
    """How long a provider may take to begin its response to a request that the proxy sends again
    by itself; None: no limit of its own.
    """
    stream_over_bytes: int | None = None
    """Responses over this size are never held; None: no such size."""

    proxies: UpstreamProxies | None = None
    """The company's, by which providers are reached; None: none."""
    overrides: Overrides | None = None
    """Names and destinations that are replaced; None: none."""
    wireguard: WireGuardSettings | None = None
    """Where captured commands ask for their listeners; None: nowhere."""
    mcp: McpAddress | None = None
    """Where the MCP server listens; None: nowhere."""

    recording: RecordingState = field(default_factory=RecordingState)
    """Whether flows are stored."""
    capacity: CapacityPolicy | None = None
    """What to do when Code Assist has none; None: nothing."""
    threads: RemembersThreads | None = None
    """Keeps threads of Perplexity; None: they end with this process."""
    uploads: UploadsElsewhere | None = None
    """Task workers for files that go to Perplexity; None: this process does it."""
    reasoning: KeepsReasoning | None = None
    """Keeps reasoning for the other processes; None: each has its own alone."""
    notes: NoteBook = field(default_factory=NoNotes)
    """Keeps events for sessions."""
    notify_secret: str = ""
    """What programs must show that send them; "": nothing."""
    sends_trace: bool = False
    """Requests name our span as their parent."""

    @property
    def provider_ca_file(self) -> str | None:
        """The file with the authorities of providers; None: those of the system."""
        found = self.options.get("ssl_verify_upstream_trusted_ca")
        return found if isinstance(found, str) else None


def surroundings_of(settings: ProxySettings, cooldowns: Cooldowns) -> Surroundings:
    """Return what the steps of a proxy's request path may ask."""
    activity = ActivityBoard()
    clients = ProviderClients(ca_file=settings.provider_ca_file, proxies=settings.proxies)
    reasoning = ReasoningMemory(settings.reasoning, STORE) if settings.reasoning else None
    return Surroundings(
        resolver=settings.resolver,
        grants=settings.grants,
        rules=settings.rules or guard_rules(settings.host, (), ()),
        models=UpstreamModels(
            settings.resolver,
            timeout_s=settings.own_call_timeout_s or DEFAULT_TIMEOUT_S,
            ca_file=settings.provider_ca_file,
            proxies=settings.proxies,
        ),
        version=settings.version,
        require_token=settings.require_token,
        own_credentials=settings.own_credentials,
        verifies_tls=not settings.options.get("ssl_insecure"),
        projects=CodeAssistProjects(clients),
        perplexity=PerplexityAccounts(
            clients, settings.threads, workers=settings.uploads, tell=activity.tell
        ),
        reasoning=reasoning,
        recording=settings.recording,
        activity=activity,
        capacity=settings.capacity,
        cooldowns=cooldowns,
        sends_trace=settings.sends_trace,
        notes=settings.notes,
        notify_secret=settings.notify_secret,
        signer=BillingSigner(settings.resolver.decrypt),
    )
