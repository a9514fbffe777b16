"""`/v1/models`: configured names, names that providers list themselves, and broken lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.request_path.upstream_models import models_url, names_in
from providers.auth.base import CommandAuth, FileAuth
from providers.provider_conf import ProviderConf
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import KEY, Running, provider, running_proxy, snapshot

LISTS = {
    "/v1/models": {"object": "list", "data": [{"id": "qwen"}, {"id": "shared"}]},
    "/v1beta/models": {"models": [{"name": "models/gemini-x"}]},
}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        for path, listed in LISTS.items():
            server.scripts[path] = Script(pieces=(json.dumps(listed).encode(),))
        yield server


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Running]:
    configuration = snapshot(
        provider("local", upstream.port, type="openai", path="/v1/chat/completions", auth=None),
        provider("named", upstream.port, model_names=("shared", "own")),
        provider("google", upstream.port, type="google", path="/v1beta/models/{model}:{action}"),
    )
    with running_proxy(configuration) as running:
        yield running


def listed(proxy: Running, query: str = "", **headers: str) -> list[tuple[str, str]]:
    data = httpx.get(f"{proxy.url}/v1/models{query}", headers=headers).json()["data"]
    return [(entry.get("owned_by", ""), entry["id"]) for entry in data]


def test_a_provider_without_names_is_asked_and_a_model_stands_for_each_of_its_providers(
    proxy: Running, upstream: Upstream
) -> None:
    wanted = [
        ("local", "qwen"), ("local", "shared"), ("named", "shared"), ("named", "own"),
        ("google", "gemini-x"),
    ]  # fmt: skip
    assert listed(proxy) == wanted
    asked = len(upstream.requests)
    assert listed(proxy) == wanted
    assert len(upstream.requests) == asked, "a list is good for a while"


def test_refresh_asks_every_provider_with_its_credential(
    proxy: Running, upstream: Upstream
) -> None:
    assert ("named", "qwen") in listed(proxy, "?refresh=true")
    keyed = [seen for seen in upstream.requests if seen.header("anthropic-version")]
    assert [seen.header("x-api-key") for seen in keyed] == [KEY]
    first = len(upstream.requests)
    listed(proxy, "?refresh=true")
    assert len(upstream.requests) == first + 3


def test_a_sentinel_key_chooses_one_provider(proxy: Running) -> None:
    assert listed(proxy, authorization="Bearer sk-ccproxy-google") == [("google", "gemini-x")]
    anthropic = {"x-api-key": "sk-ccproxy-named", "anthropic-version": "2023-06-01"}
    assert [name for _, name in listed(proxy, **anthropic)] == ["shared", "own"]


def test_providers_without_a_credential_are_left_out_and_no_command_runs_for_it(
    upstream: Upstream, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    configuration = snapshot(
        provider(
            "nobody", upstream.port, model_names=("a",), auth=FileAuth(file=str(tmp_path / "no"))
        ),
        provider(
            "asks", upstream.port, model_names=("b",), auth=CommandAuth(command=f"touch {mark}")
        ),
        provider("open", upstream.port, model_names=("c",), auth=None),
    )
    with running_proxy(configuration) as proxy:
        assert listed(proxy) == [("asks", "b"), ("open", "c")]
    assert not mark.exists()


@pytest.mark.parametrize(
    "script",
    [Script(500), Script(pieces=(b"no json",)), Script(reset_after=0), Script(pieces=(b"[]",))],
)
def test_a_provider_that_fails_leaves_the_others(
    proxy: Running, upstream: Upstream, script: Script
) -> None:
    upstream.scripts["/v1/models"] = script
    assert listed(proxy) == [("named", "shared"), ("named", "own"), ("google", "gemini-x")]


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "models", "id", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(listed=json_values)
def test_any_json_is_read_as_names(listed: Any) -> None:
    assert all(isinstance(name, str) for name in names_in(listed))


def test_the_list_stands_below_the_providers_base() -> None:
    conf = ProviderConf("g", "openai", "::1", scheme="http", port=8080, path="/x/chat/completions")
    assert models_url(conf) == "http://[::1]:8080/x/models"
