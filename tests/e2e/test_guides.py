"""The commands of docs/guides, run as written against a scripted provider.

Stand-ins take the place of the agents (tests/fakes/agent.py). CCPROXY_TEST_CLIENTS names a folder of
real programs (`node_modules/.bin`), which then run instead, those that are there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.calls import CCPROXY
from tests.e2e import steps
from tests.e2e.process import ROOT, Interceptor
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Script, Upstream
from tests.patience import PATIENCE_S
from tests.warm.starter import warm_command

GUIDES = ROOT / "docs/guides"
AGENTS = ("claude", "codex", "gemini", "opencode", "aider")
HOSTS = ("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com")
REAL = os.environ.get("CCPROXY_TEST_CLIENTS", "")
ELSEWHERE = re.compile(r"ccproxy (jail|run --forward)|^export ")
"""Ways that have tests of their own, and a config directory that this test chooses itself."""
NO_RULES = "inspector:\n  transforms: []\n"
# The user's own keys and those that ccproxy holds; no vendor made them.
OWN = "own-key-7f2e9b1c4d8a6035"
STORED = "stored-key-1a5c8e3f7b9d2064"


@dataclass
class Desk:
    """Where the reader of a guide sits: a folder, a running interceptor, a shell."""

    folder: Path
    interceptor: Interceptor
    vendor: Upstream

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        places = [str(self.folder / "bin"), *filter(None, [REAL]), os.environ["PATH"]]
        own = ("OPENAI_API_KEY", "MY_GEMINI_KEY", "MY_ANTHROPIC_KEY", "ANTHROPIC_API_KEY")
        environ = self.interceptor.environ | dict.fromkeys(own, OWN)
        environ |= {"PATH": os.pathsep.join(places), "HOME": str(self.folder)}
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    authority = make_authority(folder, *HOSTS)
    _put_programs(folder / "bin")
    for name in ("my-key.txt", "openai-key.txt", "anthropic-key.txt"):
        (folder / name).write_text(f"{STORED}\n")
    (folder / "no-rules.yaml").write_text(NO_RULES)
    with Upstream(authority.server_context(["http/1.1"]), calls_tools=False) as vendor:
        # Claude Code looks with HEAD whether it is online.
        vendor.scripts["/api/hello"] = Script(pieces=(b"",))
        overrides = dict.fromkeys(HOSTS, f"127.0.0.1:{vendor.port}")
        interceptor = Interceptor(
            folder,
            CCPROXY_INSPECTOR__UPSTREAM_OVERRIDES=json.dumps(overrides),
            CCPROXY_INSPECTOR__MITMPROXY__SSL_VERIFY_UPSTREAM_TRUSTED_CA=str(authority.ca_file),
        )
        try:
            yield Desk(folder, interceptor.start(), vendor)
            interceptor.stop()
        finally:
            interceptor.kill()


def _put_programs(folder: Path) -> None:
    """Put `ccproxy`, `python` and the stand-ins into a folder of the PATH."""
    folder.mkdir()
    for name, command in {"ccproxy": warm_command(CCPROXY), "python": [sys.executable]}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (folder / name).chmod(0o755)
    for name in AGENTS:
        if REAL and (Path(REAL) / name).exists():
            continue
        (folder / name).symlink_to(ROOT / "tests/fakes/agent.py")


def _steps(guide: Path) -> Iterator[tuple[str, str]]:
    """Yield ("file NAME", text) and ("run", command) of a guide, from top to bottom."""
    blocks = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", guide.read_text(), re.M | re.S)
    for language, file, text in blocks:
        if file:
            yield f"file {file}", text
        elif language == "console":
            commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
            yield from (("run", command) for command in commands)


@pytest.mark.parametrize("name", sorted(path.name for path in GUIDES.glob("*.md")))
def test_the_commands_of_a_guide_work(desk: Desk, name: str) -> None:
    seen = len(desk.vendor.requests)
    runs = 0
    for what, text in _steps(GUIDES / name):
        if what != "run":
            (desk.folder / what.removeprefix("file ")).write_text(text)
            continue
        if ELSEWHERE.search(text):
            continue
        done = desk.shell(text)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        if "importconfig" in text or "setkey" in text:
            # A reader types the next command later.
            desk.interceptor.settle()
        if "ccproxy run" in text:
            runs += 1
            assert "came through ccproxy" not in done.stderr, f"{text}\n{done.stderr}"
            assert len(desk.vendor.requests) > seen, text
            _check_credential(desk, text)
            seen = len(desk.vendor.requests)
    assert runs
    # For the next guide, whose reader has no flows; in a process that has Django loaded already.
    rules = str(desk.folder / "no-rules.yaml")
    clean = [["importconfig", rules], ["flows", "clear", "--all", "--yes"]]
    desk.interceptor.call(steps.printed_by, clean)
    desk.interceptor.settle()


def _check_credential(desk: Desk, command: str) -> None:
    """The vendor got the stored key where a sentinel key was given, else the user's own."""
    headers = {key.lower(): value for key, value in desk.vendor.last.headers}
    sent = [headers.get(key, "") for key in ("x-api-key", "authorization", "x-goog-api-key")]
    wanted = STORED if "sk-" in command and "ccproxy" in command.split()[0] else OWN
    assert any(wanted in value for value in sent), f"{command}\n{sent}"


def test_every_guide_is_linked() -> None:
    quickstart = (ROOT / "docs/quickstart.md").read_text()
    for path in GUIDES.glob("*.md"):
        assert f"(guides/{path.name})" in quickstart
