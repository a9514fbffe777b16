"""The official command-line programs stop at a refusal and show its sentence.

    CCPROXY_TEST_REAL_CLIENTS=1 pytest tests/e2e/test_faults_real_clients.py

See `real_clients.py`. Their requests go to the proxy on loopback alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from interceptor.config.snapshot.schema import ClientTokenConf
from providers.auth.base import FileAuth
from tests.e2e.real_clients import MARKS, codex_settings, run_program
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, rule, running_proxy, snapshot

pytestmark = MARKS


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    missing = FileAuth(file=str(tmp_path_factory.mktemp("none") / "key"), header="x-api-key")
    with Upstream() as upstream:
        config = snapshot(
            provider("here", upstream.port),
            provider("other", upstream.port),
            provider("missing", upstream.port, auth=missing),
            # A type with a list of models of its own, in which the client's is not.
            provider("odd", upstream.port, type="perplexity_pro", path="/"),
            rules=(rule(name="off", match_path="^/off/", dest_provider="switched-off"),),
        )
        token = ClientTokenConf("other", sha256(b"cct-other").hexdigest(), frozenset({"other"}))
        config = replace(config, client_tokens=(token,))
        with running_proxy(config) as running:
            yield running
        assert not upstream.requests


def run(name: str, programs: Path, home: Path, url: str, key: str) -> str:
    """Give a program one prompt; all that it prints."""
    words = {
        "claude": ["-p", "hello", "--model", "haiku"],
        "codex": ["exec", "--skip-git-repo-check", "-m", "gpt-5.2", "hello"],
        "gemini": ["-p", "hello", "-m", "gemini-2.5-flash", "--approval-mode", "yolo"],
    }[name]
    if name == "codex":
        words += codex_settings(url)
    done = run_program(programs / name, words, home, url, key)
    assert done.returncode, "the program took a refusal for success"
    return done.stdout + done.stderr


# Kind of refusal: the key, the base URL's path, and a part of the sentence.
CASES = {
    "unknown provider": ("sk-ccproxy-nobody", "", "not configured or switched off"),
    "no credential": ("sk-ccproxy-missing", "", "check the path"),
    "unknown token": ("sk-ccproxy-here.cct-unknown", "", "client token"),
    "out of scope": ("sk-ccproxy-here.cct-other", "", "does not cover"),
    "switched off": ("sk-ccproxy-here", "/off", "switched off"),
    "unknown model": ("sk-ccproxy-odd", "", "in ccproxy's catalogue"),
    "no route": ("key-of-the-user", "", "sk-ccproxy-"),
}
RETRIES_501 = ("codex", "gemini")
"""Codex stops after 25 s, Gemini CLI after 230 s. See docs/compatibility.md."""


@pytest.mark.parametrize("name", ["claude", "codex", "gemini"])
@pytest.mark.parametrize("kind", CASES)
def test_a_program_asks_once_and_shows_the_sentence(
    programs: Path, proxy: Running, tmp_path: Path, name: str, kind: str
) -> None:
    if (kind, name) == ("no route", "gemini"):
        pytest.skip("it asks again for nearly four minutes")
    key, path, says = CASES[kind]
    proxy.sink.records.clear()
    said = run(name, programs, tmp_path / "home", proxy.url + path, key)
    assert says in said
    posts = [record for record in proxy.sink.records if record.method == "POST"]
    # A client with an unknown token is turned away before anything is recorded.
    if kind != "unknown token" and not (kind == "no route" and name in RETRIES_501):
        assert len(posts) == 1
