"""The vendors' command-line programs, for tests that run them.

They are some hundred megabytes, so the usual suite leaves them out: `CCPROXY_TEST_REAL_CLIENTS=1`
installs them by npm into a temporary folder. A path instead of 1 names a folder in which
`npm install @anthropic-ai/claude-code @openai/codex @google/gemini-cli` has run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

WANTED = os.environ.get("CCPROXY_TEST_REAL_CLIENTS", "")
PACKAGES = ("@anthropic-ai/claude-code", "@openai/codex", "@google/gemini-cli")
CLIENT_TIMEOUT_S = 240
MARKS = [
    pytest.mark.real_clients,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not WANTED, reason="CCPROXY_TEST_REAL_CLIENTS is not set"),
]
CODEX_SETTINGS = (
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
    "features.plugins=false",
    "features.apps=false",
)
"""Settings with which Codex calls nothing but its model."""


def installed(folder: Path) -> Path:
    """The folder of the programs, after installing them into `folder` if that is wanted."""
    if WANTED != "1":
        return Path(WANTED, "node_modules", ".bin")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not available here")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"npm could not install the programs: {done.stderr[-300:]}")
    # npm may hold back the script that puts the program in its place.
    claude = folder / "node_modules" / PACKAGES[0]
    if (claude / "install.cjs").exists():
        subprocess.run(["node", "install.cjs"], cwd=claude, check=True, timeout=PATIENCE_S)
    return folder / "node_modules" / ".bin"


def environment(home: Path, **more: str) -> dict[str, str]:
    """Variables of a program that reaches nothing but this machine."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


def pointed_at(url: str, key: str, home: Path) -> dict[str, str]:
    """Variables of any of the programs: it asks the proxy at a base URL, with a key."""
    return environment(
        home,
        ANTHROPIC_BASE_URL=url,
        ANTHROPIC_API_KEY=key,
        CODEX_API_KEY=key,
        GOOGLE_GEMINI_BASE_URL=url,
        GEMINI_API_KEY=key,
        GEMINI_CLI_TRUST_WORKSPACE="true",
    )


def codex_settings(url: str) -> list[str]:
    """Words of Codex's command line that point it at the proxy."""
    words: list[str] = []
    for value in (*CODEX_SETTINGS, f'openai_base_url="{url}/v1"'):
        words += ["-c", value]
    return words


def run_program(
    program: Path, words: Sequence[str], home: Path, url: str, key: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with a home of its own, pointed at the proxy; skips one that is missing."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed")
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (home / ".gemini").mkdir(parents=True)
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    return subprocess.run(
        [str(program), *words],
        cwd=home,
        env=pointed_at(url, key, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CLIENT_TIMEOUT_S,
    )
