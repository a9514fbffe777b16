"""Threads outlive the proxy that remembers them."""

from __future__ import annotations

from typing import Any

from interceptor.hooks.perplexity_accounts import PerplexityAccounts
from interceptor.pipeline.provider_clients import ProviderClients
from interceptor.recorder.remote_threads import RemoteThreads
from providers.perplexity.threads import ThreadIds
from tests.fakes.perplexity import PerplexityUpstream
from tests.interceptor.perplexity.conftest import HOOKS, account
from tests.interceptor.perplexity.test_threads import post, thread_of, user
from tests.interceptor.proxied import running_proxy, snapshot


class FakeRecorder:
    """Another process: remembers what it was told, over restarts of the proxy."""

    is_here = True

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    async def ask(self, name: str, **values: Any) -> dict[str, Any]:
        if name == "thread.remember":
            self.rows[values["key"]] = values["ids"]
            return {}
        return {"ids": self.rows.pop(values["key"], None)}


async def test_a_thread_is_used_once() -> None:
    store = RemoteThreads(FakeRecorder())
    ids = ThreadIds("b", "c")
    for kept in (None, store):
        accounts = PerplexityAccounts(ProviderClients(), kept)
        accounts.remember("k", ids, 60)
        assert await accounts.recall("k") == ids
        assert await accounts.recall("k") is None


def test_a_thread_survives_a_restart(site: PerplexityUpstream) -> None:
    store = RemoteThreads(FakeRecorder())
    config = snapshot(account(site.port), hooks=HOOKS)
    said = [user("Before the restart")]
    with running_proxy(config, threads=store) as before:
        first = post(before, said).json()["choices"][0]["message"]["content"]
    said += [{"role": "assistant", "content": first}, user("And after it")]
    with running_proxy(config, threads=store) as after:
        second = post(after, said).json()["choices"][0]["message"]["content"]
    assert thread_of(second) == ("2", thread_of(first)[1])
