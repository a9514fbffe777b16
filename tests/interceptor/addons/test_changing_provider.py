"""A conversation through the proxy that goes to another vendor, and comes back to its own."""

from __future__ import annotations

import json
from typing import Any

import httpx
from websockets.sync.client import connect

from providers.wire.rules.replay import ReplayStore, seal
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import provider, running_proxy, snapshot
from tests.providers.wire.asking import A, C, user
from tests.providers.wire.marks.signing_vendor import VENDORS, Vendor
from tests.providers.wire.marks.test_changing_provider import Client

PATHS = {A: "/v1/messages", C: "/v1/chat/completions"}


def scripted(vendor: Vendor) -> Any:
    """A vendor that answers if nothing is wrong with the request."""

    def choose(seen: Seen) -> Script:
        body = seen.json
        if problems := vendor.problems(body):
            error = {"type": "error", "error": {"type": "refused", "message": str(problems)}}
            return Script(status=400, pieces=(json.dumps(error).encode(),))
        return Script(pieces=(json.dumps(vendor.answer()).encode(),))

    return choose


class SharedMemory:
    """What all processes remember, without a database."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def recall(self, digests: list[str]) -> dict[str, str]:
        return {one: self.texts[one] for one in digests if one in self.texts}

    async def keep(self, texts: dict[str, str]) -> None:
        self.texts |= texts


def test_reasoning_outlives_the_process_that_translated_it(monkeypatch: Any) -> None:
    anthropic, memory, client = VENDORS[A](), SharedMemory(), Client(C)
    with Upstream() as upstream:
        upstream.scripts = {PATHS[A]: scripted(anthropic)}
        store = ReplayStore()
        for module in ("interceptor.proxy_settings", "providers.wire.rules.answers"):
            monkeypatch.setattr(f"{module}.STORE", store)
        monkeypatch.setattr("providers.wire.rules.portable.STORE", store)
        config = snapshot(provider("an", upstream.port))
        with running_proxy(config, reasoning=memory) as running:
            for _ in range(3):
                asked = client.request("claude-opus-4-6")
                headers = {"authorization": "Bearer sk-ccproxy-an"}
                answer = httpx.post(running.url + PATHS[C], json=asked, headers=headers)
                # The vendor refuses a tool loop without the thinking that it signed.
                assert answer.status_code == 200, answer.text
                client.take(answer.json())
                running.sink.of(answer)
                # As in another worker, or after a start.
                store.clear()
    assert len(memory.texts) == 3


def test_no_mark_reaches_the_clients_own_vendor() -> None:
    anthropic, deepseek = VENDORS[A](), VENDORS[C]()
    with Upstream() as upstream:
        upstream.scripts = {PATHS[A]: scripted(anthropic), PATHS[C]: scripted(deepseek)}
        providers = (
            provider("an", upstream.port),
            provider("ds", upstream.port, type="openai", path=PATHS[C]),
        )
        client = Client(A)
        with running_proxy(snapshot(*providers)) as running:
            for name in ("an", "ds", "an", "ds", "an"):
                asked = client.request("claude-opus-4-6")
                headers = {"x-api-key": f"sk-ccproxy-{name}", "anthropic-version": "2023-06-01"}
                answer = httpx.post(running.url + PATHS[A], json=asked, headers=headers)
                assert answer.status_code == 200, answer.text
                record = running.sink.of(answer)
                client.take(answer.json())
            # The flow shows what was taken out, and why.
            assert "messages.thinking" in dict(record.losses)
        untouched = json.dumps(asked, separators=(",", ":"))
        assert "ccproxy1:" in untouched
        assert b"ccproxy1:" not in upstream.last.body
    first = upstream.requests[0]
    assert json.loads(first.body)["messages"] == [{"role": "user", "content": "go"}]


def test_no_mark_reaches_openai_by_websocket() -> None:
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(A, "S")}
    message = {"type": "response.create", "model": "gpt-5.2", "input": [sealed, user("hi")]}
    with Upstream() as upstream:
        upstream.scripts = {"/v1/responses": Script(echo=True)}
        made = provider("oai", upstream.port, type="openai_responses", path="/v1/responses")
        with running_proxy(snapshot(made)) as running:
            headers = {"authorization": "Bearer sk-ccproxy-oai"}
            url = f"ws://127.0.0.1:{running.port}/v1/responses"
            with connect(url, additional_headers=headers, compression=None, proxy=None) as client:
                client.send(json.dumps(message))
                # The provider sends back what it got.
                assert json.loads(client.recv())["input"] == [user("hi")]
                untouched = json.dumps({**message, "input": [user("hi")]})
                client.send(untouched)
                assert client.recv() == untouched
