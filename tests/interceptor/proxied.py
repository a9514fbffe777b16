"""The real proxy on a thread, with a configuration built by hand and a list for a sink.

No database.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from cryptography.fernet import Fernet

from flows.record import FlowDelta, FlowRecord
from interceptor.config.snapshot.schema import RuleConf, Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.hooks.table import HookConf, build_plan
from interceptor.operate.stock import stock_from
from interceptor.pipeline.hook import Stage
from interceptor.proxy import Proxy
from interceptor.proxy_settings import ProxySettings
from interceptor.wireguard.service import WireGuardSettings
from providers.auth.base import KeyAuth
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import CredentialResolver
from providers.base.keyring import Keyring
from providers.base.pattern import compile_pattern
from providers.provider_conf import ProviderConf
from tests.loop_thread import end_loop
from tests.patience import PATIENCE_S
from tests.ports import free_port

CA_DIR = Path(tempfile.gettempdir()) / "ccproxy-test-ca"
KEY = "real-key-0123456789"
KEYRING = Keyring([Fernet.generate_key().decode()])
_PROXY_ARGUMENTS = (
    "notes",
    "reasoning",
    "recording",
    "require_token",
    "own_credentials",
    "rules",
    "idle_timeout_s",
    "own_call_timeout_s",
    "stream_over_bytes",
    "grants",
    "overrides",
    "proxies",
    "capacity",
    "threads",
    "mcp",
    "sends_trace",
)
DEFAULT_HOOKS = (
    HookConf("inbound", "inject_auth", 1),
    HookConf("inbound", "extract_session_id", 2),
    HookConf("outbound", "verbose_mode", 1),
    HookConf("outbound", "commitbee_compat", 2),
)


@dataclass
class ListSink:
    """Keeps everything it is told."""

    records: list[FlowRecord] = field(default_factory=list)
    deltas: list[FlowDelta] = field(default_factory=list)
    live: list[FlowRecord] = field(default_factory=list)

    def started(self, record: FlowRecord) -> None:
        self.live.append(record)

    def delta(self, delta: FlowDelta) -> None:
        self.deltas.append(delta)

    def progress(self, record: FlowRecord) -> None:
        self.live.append(record)

    def finished(self, record: FlowRecord) -> None:
        self.records.append(record)

    def of(self, answer: httpx.Response, timeout_s: float = PATIENCE_S) -> FlowRecord:
        """The record of the flow that an answer belongs to."""
        wanted, deadline = answer.headers["x-ccproxy-flow"], time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for record in self.records:
                if record.id == wanted:
                    return record
            time.sleep(0.005)
        raise AssertionError(f"flow {wanted} was not recorded")

    def wait(self, count: int = 1, timeout_s: float = PATIENCE_S) -> FlowRecord:
        """The newest record, once there are `count`."""
        deadline = time.monotonic() + timeout_s
        while len(self.records) < count:
            assert time.monotonic() < deadline, (
                f"only {len(self.records)} of {count} flows were recorded"
            )
            time.sleep(0.005)
        return self.records[-1]


def key_auth(header: str = "", key: str = KEY) -> KeyAuth:
    """A stored key as a credential source."""
    return KeyAuth(ciphertext=KEYRING.encrypt(key), header=header)


def provider(name: str, port: int, **more: Any) -> ProviderConf:
    """A provider on loopback with a stored key."""
    values: dict[str, Any] = {
        "type": "anthropic",
        "host": "127.0.0.1",
        "scheme": "http",
        "port": port,
        "path": "/v1/messages",
        "auth": key_auth("x-api-key"),
    }
    return ProviderConf(name=name, **{**values, **more})


def rule(action: str = "redirect", *, name: str = "r", **more: Any) -> RuleConf:
    """A rule whose expressions are given as text."""
    patterns = {k: compile_pattern(v) for k, v in more.items() if k.startswith("match_")}
    return RuleConf(id=1, name=name, action=action, **{**more, **patterns})


def snapshot(
    *providers: ProviderConf,
    rules: tuple[RuleConf, ...] = (),
    hooks: tuple[HookConf, ...] = DEFAULT_HOOKS,
) -> Snapshot:
    """A configuration."""
    return Snapshot(
        revision=1,
        providers=MappingProxyType({p.name: p for p in providers}),
        rules=rules,
        inbound=build_plan(hooks, Stage.INBOUND),
        outbound=build_plan(hooks, Stage.OUTBOUND),
        seal=build_plan(hooks, Stage.SEAL),
    )


@dataclass
class Running:
    """A proxy that listens."""

    url: str
    port: int
    sink: ListSink
    store: ConfigStore
    secrets: SecretRegistry
    stop: Callable[[float], None]
    proxy: Proxy
    on_loop: Callable[[Any], Any]
    """Wait for a coroutine that runs where the proxy does."""


@contextmanager
def running_proxy(
    config: Snapshot, *, config_dir: Path | None = None, **options: Any
) -> Iterator[Running]:
    """Start the proxy on a free port; stop it at the end.

    With a config directory it hands out WireGuard leases.
    """
    port = free_port()
    sink, store, secrets = ListSink(), ConfigStore(config), SecretRegistry()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)

    limits = options.pop("wireguard_limits", {})
    wireguard = WireGuardSettings(config_dir, "127.0.0.1", port, **limits) if config_dir else None

    async def start() -> Proxy:
        resolver = CredentialResolver(open_keyring=lambda: KEYRING, secrets=secrets)
        made = Proxy(
            ProxySettings(
                store=store,
                sink=sink,
                resolver=resolver,
                host="127.0.0.1",
                port=port,
                ca_dir=CA_DIR,
                version="test",
                stock=options.pop("stock", stock_from(os.environ)),
                **{name: options.pop(name) for name in _PROXY_ARGUMENTS if name in options},
                options=options,
                wireguard=wireguard,
            )
        )
        await made.start()
        return made

    proxy = call(start())
    try:
        yield Running(
            f"http://127.0.0.1:{port}",
            port,
            sink,
            store,
            secrets,
            lambda timeout_s: call(proxy.stop(timeout_s)),
            proxy,
            call,
        )
    finally:
        call(proxy.stop(0.2))
        end_loop(loop, thread)
