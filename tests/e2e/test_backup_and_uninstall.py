"""docs/backup.md and docs/uninstall.md, followed beside one running interceptor."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

from providers.models import Provider
from tests.calls import CCPROXY, call_elsewhere
from tests.e2e.conftest import config_for
from tests.e2e.process import ROOT, Interceptor, running
from tests.fakes.upstream import Upstream
from tests.patience import PATIENCE_S

STORED = "stored-key-5e1f0c9a7b3d2486"
TEXT = "a question that survives the move"
BACKUP = (ROOT / "docs/backup.md").read_text()
UNINSTALL = (ROOT / "docs/uninstall.md").read_text()


@dataclass
class Desk:
    """The account of someone who uses ccproxy: a home, a folder for temporary files, a shell."""

    site: Interceptor

    @property
    def home(self) -> Path:
        return self.site.folder / "home"

    @property
    def temporary(self) -> Path:
        return self.site.folder / "tmp"

    def shell(self, commands: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=self.home,
            env=self.site.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )


@pytest.fixture(scope="module")
def desk(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    for name in ("home", "tmp", "bin"):
        (folder / name).mkdir()
    for name, command in {"ccproxy": CCPROXY, "python3": (sys.executable,)}.items():
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    environ = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    site = Interceptor(folder, config_for(upstream, folder), **environ)
    with running(site):
        desk = Desk(site)
        (folder / "key.txt").write_text(f"{STORED}\n")
        done = desk.shell([f"ccproxy setkey missing < {folder / 'key.txt'}"])
        assert done.returncode == 0, done.stderr
        _ask(site)
        yield desk


def _ask(site: Interceptor) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": TEXT}]}
    headers = {"x-api-key": "sk-ccproxy-up"}
    reply = httpx.post(f"{site.url}/v1/messages", json=body, headers=headers, trust_env=False)
    assert reply.status_code == 200, reply.text
    site.flow(reply.headers["x-ccproxy-flow"])


def commands_under(heading: str, page: str) -> list[str]:
    """Return the commands of a page's section, in order."""
    section = page.split(f"\n## {heading}")[1].split("\n## ")[0]
    return re.findall(r"^\$ (.+)$", section, re.MULTILINE)


def stored_key(provider: str) -> str:
    """Return a provider's stored key, decrypted with this config directory's key file."""
    return str(Provider.objects.get(name=provider).secret.decrypt())


def test_a_backup_of_a_running_ccproxy_is_restored(desk: Desk) -> None:
    backup = commands_under("Back up, while it runs", BACKUP)
    restore = commands_under("Restore", BACKUP)
    # The last one starts a second proxy; what it would show is read without it.
    assert restore.pop() == "ccproxy --config restored start"
    done = desk.shell([*backup, *restore])
    assert done.returncode == 0, done.stdout + done.stderr
    assert TEXT[:20] in done.stdout or "/v1/messages" in done.stdout
    assert re.search(r"missing .*stored", done.stdout), done.stdout
    assert "Traceback" not in done.stderr

    restored = desk.home / "restored"
    kept = {path.name for path in restored.iterdir()}
    assert {"ccproxy.sqlite3", "secret.key", "django.key", "ccproxy.yaml"} <= kept
    assert (restored / "mitmproxy-ca.pem").read_bytes() == (
        desk.site.config_dir / "mitmproxy-ca.pem"
    ).read_bytes()
    environ = desk.site.environ | {"CCPROXY_CONFIG_DIR": str(restored)}
    assert call_elsewhere(stored_key, environ, "missing") == STORED
    assert {path.stat().st_mode & 0o077 for path in [restored, *restored.rglob("*")]} == {0}
    with sqlite3.connect(restored / "ccproxy.sqlite3") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM flows_flow").fetchone() == (1,)


def test_what_an_uninstalled_ccproxy_leaves_is_listed(desk: Desk) -> None:
    table = UNINSTALL.split("In that directory are:")[1].split("Outside of it")[0]
    listed = [
        name.rstrip("/")
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    left = sorted(path.name for path in desk.site.config_dir.iterdir())
    unlisted = [name for name in left if not any(fnmatch(name, each) for each in listed)]
    assert unlisted == []
    assert len([each for each in listed if any(fnmatch(name, each) for name in left)]) > 10
    # Only what the test itself put there.
    made = {path.name for path in desk.home.iterdir()} - {"ccproxy-backup", "restored"}
    assert made == set()
    assert [path.name for path in desk.temporary.iterdir()] == []
