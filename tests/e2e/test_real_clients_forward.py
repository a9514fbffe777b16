"""The vendors' command-line programs by way of the forward proxy, with a key of their own and with
a sentinel key.

They are large, so the usual suite leaves them out. To run those of a folder in which npm has
installed them:

    CCPROXY_TEST_REAL_CLIENTS=/folder pytest tests/e2e/test_real_clients_forward.py

Some need a newer Node than the system's; it may come from the npm package `node` in that folder.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from interceptor.wireguard.lease_client import take_forward_lease
from interceptor.wireguard.overrides import parse_overrides
from jail.ca_bundle import write_bundle
from jail.run.client_table import client_of
from jail.run.forward_variables import forward_variables
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import (
    CA_DIR,
    KEY,
    Running,
    key_auth,
    provider,
    running_proxy,
    snapshot,
)

WANTED = os.environ.get("CCPROXY_TEST_REAL_CLIENTS", "")
CLIENT_TIMEOUT_S = 240
ANTHROPIC, OPENAI, GOOGLE = (
    "api.anthropic.com",
    "api.openai.com",
    "generativelanguage.googleapis.com",
)
XAI = "api.x.ai"
QUIET_CODEX = ("analytics.enabled", "check_for_update_on_startup", "features.plugins")
OWN = {
    "anthropic": "sk-ant-api03-own-58e1c2d4b6a79f30",
    "openai": "sk-own-58e1c2d4b6a79f30",
    "google": "AIzaSyOwn58e1c2d4b6a79f30aabbccddeeff00",
    "xai": "xai-own-58e1c2d4b6a79f30",
}

pytestmark = [
    pytest.mark.real_clients,
    pytest.mark.timeout(900),
    pytest.mark.skipif(WANTED in ("", "1"), reason="CCPROXY_TEST_REAL_CLIENTS names no folder"),
]


@dataclass(frozen=True)
class Case:
    """A program, its words for one prompt, its variables, and the provider that it calls."""

    provider: str
    key: str
    """The variable of its key."""
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


CASES = {
    "claude": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("-p", "hello", "--model", "haiku"),
        (("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),),
    ),
    "codex": Case(
        "openai",
        "CODEX_API_KEY",
        ("exec", "--skip-git-repo-check", "-m", "gpt-5.2", "hello"),
    ),
    "gemini": Case(
        "google",
        "GEMINI_API_KEY",
        ("-p", "hello", "-m", "gemini-2.5-flash", "--approval-mode", "yolo"),
        (("GEMINI_CLI_TRUST_WORKSPACE", "true"),),
    ),
    "opencode": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("run", "hello", "-m", "anthropic/claude-haiku-4-5"),
        (("OPENCODE_DISABLE_MODELS_FETCH", "1"),),
    ),
    "qwen": Case(
        "openai",
        "OPENAI_API_KEY",
        ("-p", "hello"),
        (("OPENAI_MODEL", "gpt-5.2"), ("OPENAI_BASE_URL", "https://api.openai.com/v1")),
    ),
    "pi": Case(
        "anthropic",
        "ANTHROPIC_API_KEY",
        ("-p", "hello", "--provider", "anthropic", "--model", "claude-haiku-4-5"),
        (("PI_OFFLINE", "1"),),
    ),
    "copilot": Case(
        "openai",
        "COPILOT_PROVIDER_API_KEY",
        ("-p", "hello"),
        (
            ("COPILOT_PROVIDER_BASE_URL", "https://api.openai.com/v1"),
            ("COPILOT_PROVIDER_TYPE", "openai"),
            ("COPILOT_MODEL", "gpt-5.2"),
            ("COPILOT_OFFLINE", "true"),
        ),
    ),
    "grok": Case("xai", "XAI_API_KEY", ("-p", "hello", "--always-approve")),
    "cn": Case("anthropic", "ANTHROPIC_API_KEY", ("-p", "hello")),
}


@dataclass
class Bench:
    """The proxy, the scripted provider behind all names, and the folder of the run."""

    proxy: Running
    upstream: Upstream
    directory: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("clients")
    hosts = {"anthropic": ANTHROPIC, "openai": OPENAI, "google": GOOGLE, "xai": XAI}
    authority = make_authority(directory, *hosts.values())
    headers = {"anthropic": "x-api-key", "google": "x-goog-api-key"}
    config = snapshot(
        *(
            provider(name, 443, host=host, scheme="https", auth=key_auth(headers.get(name, "")))
            for name, host in hosts.items()
        )
    )
    with Upstream(authority.server_context(["http/1.1"])) as upstream:
        upstream.scripts["/v1/responses"] = lambda seen: _responses(upstream, seen)
        overrides = parse_overrides({}, dict.fromkeys(hosts.values(), f"127.0.0.1:{upstream.port}"))
        with running_proxy(
            config,
            config_dir=directory,
            overrides=overrides,
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy:
            yield Bench(proxy, upstream, directory)


def _responses(upstream: Upstream, seen: Seen) -> Script:
    """Codex asks for a websocket first, and goes on with requests after 426."""
    if seen.method == "GET":
        return Script(426, pieces=(b"{}",))
    return upstream.scripted_answer(seen)


def write_settings(home: Path, key: str) -> None:
    """Write what some programs need beside variables."""
    quiet = {"usageStatisticsEnabled": False}
    for name, kind in (("gemini", "gemini-api-key"), ("qwen", "openai")):
        (home / f".{name}").mkdir(parents=True)
        settings = {"security": {"auth": {"selectedType": kind}}, "privacy": quiet}
        (home / f".{name}" / "settings.json").write_text(json.dumps(settings))
    model = {"name": "c", "provider": "anthropic", "model": "claude-haiku-4-5", "apiKey": key}
    (home / ".continue").mkdir()
    (home / ".continue" / "config.yaml").write_text(
        json.dumps({"name": "x", "version": "1.0.0", "schema": "v1", "models": [model]})
    )


@pytest.mark.parametrize("kind", ["own", "sentinel"])
@pytest.mark.parametrize("name", CASES)
def test_a_program_is_answered_and_recorded(
    bench: Bench, tmp_path: Path, name: str, kind: str
) -> None:
    folder, case = Path(WANTED, "node_modules", ".bin"), CASES[name]
    program = folder / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    prefix = "sk-ant-api03-ccproxy" if case.provider == "anthropic" else "sk-ccproxy"
    key = OWN[case.provider] if kind == "own" else f"{prefix}-{case.provider}"
    write_settings(tmp_path, key)
    client = client_of(name)
    url, lease = take_forward_lease(
        bench.directory,
        label=f"{name}-{kind}",
        command=[name, *case.words],
        hosts=client.hosts if client else (),
        reads_all=False,
    )
    environ = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path), case.key: key}
    bundle = write_bundle(tmp_path, CA_DIR, environ)
    environ |= {**forward_variables(url, bundle, environ), **dict(case.variables)}
    words = list(case.words)
    if name == "codex":
        for setting in QUIET_CODEX:
            words += ["-c", f"{setting}=false"]
    bench.upstream.requests.clear()
    with lease:
        done = subprocess.run(
            [str(program), *words],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT_S,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = OWN[case.provider] if kind == "own" else KEY
    calls = [seen for seen in bench.upstream.requests if seen.method == "POST"]
    assert any(wanted in repr(seen.headers) for seen in calls)
    assert "ccproxy" not in "".join(seen.head.decode("latin-1") for seen in bench.upstream.requests)
    rows = [one for one in bench.proxy.sink.records if one.run_label == f"{name}-{kind}"]
    answered = [one for one in rows if one.method == "POST" and one.status_code == 200]
    assert answered and all(one.source == "forward" for one in rows)
