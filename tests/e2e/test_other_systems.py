"""The interceptor on a system without what only Linux has: everything but the jail works.

Each process of it loads `othersystem/sitecustomize.py`, which takes Linux's own functions, constants
and `/proc` away and names the system macOS.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import config_for
from tests.e2e.process import ROOT, Interceptor
from tests.fakes.upstream import Upstream
from tests.patience import PATIENCE_S

CCPROXY = str(Path(sys.executable).with_name("ccproxy"))
OTHER_SYSTEM = Path(__file__).parent / "othersystem"


@pytest.fixture(scope="module")
def other_system(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("other_system")
    interceptor = Interceptor(
        folder,
        config_for(upstream, folder),
        PYTHONPATH=str(OTHER_SYSTEM),
        OTHER_SYSTEM_LOG=str(folder / "processes.log"),
    )
    try:
        yield interceptor.start()
        interceptor.stop()
    finally:
        interceptor.kill()


def test_every_process_believes_it(other_system: Interceptor) -> None:
    told = (other_system.folder / "processes.log").read_text()
    assert all(main in told for main in ("recorder_main", "proxy_main", "console_main"))
    code = "import os, sys; print(sys.platform, hasattr(os, 'memfd_create'))"
    assert _command(other_system, sys.executable, "-c", code).stdout == "darwin False\n"


def test_requests_are_answered_and_recorded(other_system: Interceptor) -> None:
    answer = httpx.post(
        f"{other_system.url}/v1/messages",
        headers={"x-api-key": "sk-ccproxy-up"},
        json={"model": "demo", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]},
        timeout=PATIENCE_S,
        trust_env=False,
    )
    assert answer.status_code == 200
    flow = other_system.flow(answer.headers["x-ccproxy-flow"])
    assert flow["state"] == "done"
    assert flow["credential_injected"]
    page = httpx.get(
        f"{other_system.console_url}/admin/login/", trust_env=False, timeout=PATIENCE_S
    )
    assert page.status_code == 200


def test_a_command_runs_through_it(other_system: Interceptor) -> None:
    code = "import os; print(os.environ['ANTHROPIC_BASE_URL'])"
    done = _command(other_system, CCPROXY, "run", "--", sys.executable, "-c", code)
    assert done.stdout.startswith(f"{other_system.url}/run/"), done.stderr


def test_a_jail_names_what_to_use(other_system: Interceptor) -> None:
    done = _command(other_system, CCPROXY, "jail", "--", "true")
    assert done.returncode != 0
    assert done.stderr == (
        "ccproxy: the jail needs Linux; elsewhere use: ccproxy run -- COMMAND, or WSL 2\n"
    )


def _command(interceptor: Interceptor, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=interceptor.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
