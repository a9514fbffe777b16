"""A proxy in front of the scripted Perplexity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interceptor.hooks.table import HookConf
from providers.auth.base import KeyAuth
from providers.provider_conf import ProviderConf
from providers.wire.perplexity.ask_conf import SESSION_COOKIE, AskConf, ThreadConf
from tests.fakes.perplexity import TOKEN, PerplexityUpstream
from tests.interceptor.proxied import (
    DEFAULT_HOOKS,
    KEYRING,
    Running,
    provider,
    running_proxy,
    snapshot,
)

HOOKS = (
    *DEFAULT_HOOKS,
    HookConf("inbound", "extract_pplx_files", 3),
    HookConf("inbound", "pplx_thread_inject", 4, params={"continue_by_history": True}),
    HookConf("outbound", "pplx_stamp_headers", 3),
    HookConf("outbound", "pplx_preflight", 4),
)


def session_auth(token: str = TOKEN) -> KeyAuth:
    return KeyAuth(ciphertext=KEYRING.encrypt(token), header="cookie", prefix=f"{SESSION_COOKIE}=")


def account(port: int, name: str = "pplx", **more: object) -> ProviderConf:
    """A Perplexity account on the scripted server."""
    values = {
        "type": "perplexity_pro",
        "path": "/rest/sse/perplexity_ask",
        "auth": session_auth(),
        "ask": AskConf(),
    }
    return provider(name, port, **{**values, **more})


@pytest.fixture(scope="module")
def site() -> Iterator[PerplexityUpstream]:
    with PerplexityUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(site: PerplexityUpstream) -> Iterator[Running]:
    config = snapshot(
        account(site.port),
        account(site.port, "strict", ask=AskConf(thread=ThreadConf(consistency_mode="strict"))),
        account(site.port, "ignore", ask=AskConf(thread=ThreadConf(consistency_mode="ignore"))),
        account(site.port, "expired", auth=session_auth("an-old-token-987654321")),
        hooks=HOOKS,
    )
    with running_proxy(config) as running:
        yield running
