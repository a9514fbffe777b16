"""What most browser tests need: a browser, and an interceptor with its console that it is signed in
to.

The modules of a worker share one interceptor. Each begins with the rows of its start, so what one of
them records is not in the way of another.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.kept_rows import put_back
from tests.browser.visit import Visit, chromium, sign_in, visiting
from tests.e2e.conftest import REAL_KEY, config_for
from tests.e2e.process import Interceptor, running
from tests.environment import need
from tests.fakes.upstream import Upstream
from tests.flows.seed import seed_all

LOCK = Path(__file__).parent / "axe"


class SharedConsole:
    """A running interceptor, the cookies of a browser at its console, and the rows of its start."""

    def __init__(self, process: Interceptor, state: Any) -> None:
        self.process, self.state = process, state
        self._kept = process.folder / "kept.sqlite3"
        self._is_used = False
        process.keep_database(self._kept)

    def start_anew(self) -> None:
        """Put the rows of the start back, if a module was here before."""
        if self._is_used:
            self.process.call(put_back, str(self._kept))
            self.process.settle()
        self._is_used = True


@pytest.fixture(scope="package")
def shared_upstream() -> Iterator[Upstream]:
    """The provider of the shared interceptor."""
    with Upstream(key=REAL_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def upstream(shared_upstream: Upstream) -> Upstream:
    """A provider that answers what a test scripts."""
    shared_upstream.scripts.clear()
    shared_upstream.requests.clear()
    return shared_upstream


@pytest.fixture(scope="package")
def playwright() -> Iterator[Any]:
    """The driver of browsers; its loop runs in this thread until the last test of this folder."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Any) -> Iterator[Any]:
    """Debian's Chromium; each test has a context of its own."""
    with chromium(playwright) as started:
        yield started


@pytest.fixture(scope="package")
def shared_console(
    shared_upstream: Upstream, browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedConsole]:
    """A proxy and its console for all modules of a worker; it takes nine seconds of CPU time."""
    folder = tmp_path_factory.mktemp("console")
    with running(Interceptor(folder, config_for(shared_upstream, folder))) as process:
        yield SharedConsole(process, sign_in(browser, process))


@pytest.fixture(scope="module")
def interceptor(shared_console: SharedConsole) -> Interceptor:
    """The proxy and its console, with nothing recorded yet."""
    shared_console.start_anew()
    return shared_console.process


@pytest.fixture(scope="module")
def state(interceptor: Interceptor, shared_console: SharedConsole) -> Any:
    """The cookies of a browser that opened the login link."""
    return shared_console.state


@pytest.fixture
def visit(browser: Any, interceptor: Interceptor, state: Any) -> Iterator[Visit]:
    """One page at 1280 × 800; what it complains about fails the test."""
    with visiting(browser, interceptor, state) as opened:
        yield opened


@pytest.fixture(scope="module")
def seeded(request: pytest.FixtureRequest, interceptor: Interceptor, state: Any) -> Interceptor:
    """The interceptor with the rows that the module's `SEED` makes; without one, `seed_all`'s."""
    interceptor.call(getattr(request.module, "SEED", seed_all))
    return interceptor


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script, fetched by npm and checked against the lock file's hash."""
    npm = shutil.which("npm") or ""
    need("npm, which fetches axe-core,", bool(npm))
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCK / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert "EINTEGRITY" not in done.stderr, done.stderr
    need(f"axe-core from npm's registry ({done.stderr[-300:]})", done.returncode == 0)
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
