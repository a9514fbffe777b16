"""A browser at the console of a running interceptor, and everything it complained about."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.process import Interceptor, wait_until
from tests.environment import need
from tests.patience import PATIENCE_S

ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--no-first-run",
    # A page lives for a second here: compilers that make long-running scripts fast cost more than they save.
    "--js-flags=--no-opt --no-maglev",
]  # fmt: skip


@dataclass
class Visit:
    """One page.

    `complaints` are console errors (a blocked script or style is one), page errors and dialogs.
    """

    page: Any
    base: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, path: str) -> Any:
        self.page.goto(self.base + path, wait_until="load")
        return self.page

    def watch(self) -> None:
        """Begin to note what happens on the page."""
        page = self.page
        page.on(
            "console",
            lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._refuse)
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))

    def _refuse(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def check(self) -> None:
        """Nothing was blocked, nothing failed, nothing left this machine."""
        assert self.complaints == []
        assert self.hosts - {""} <= {urlsplit(self.base).netloc}

    def picture(self, name: str) -> None:
        """A screenshot, where CCPROXY_TEST_PICTURES names a folder."""
        if folder := os.environ.get("CCPROXY_TEST_PICTURES"):
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


def patient_context(browser: Any, **options: Any) -> Any:
    """A context whose pages wait as long as anything here may take."""
    context = browser.new_context(**{"reduced_motion": "reduce"} | options)
    context.set_default_timeout(PATIENCE_S * 1000)
    return context


@contextlib.contextmanager
def chromium(playwright: Any, *arguments: str) -> Iterator[Any]:
    """Debian's Chromium, with further arguments.

    Its build without windows needs half the CPU time for a page, and a quarter for a context.
    """
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium") or ""
    need("chromium", bool(executable))
    browser = playwright.chromium.launch(executable_path=executable, args=[*ARGS, *arguments])
    try:
        yield browser
    finally:
        browser.close()


def sign_in(browser: Any, interceptor: Interceptor) -> Any:
    """Open the login link as a newcomer would; the state of the signed-in browser."""
    link_file = interceptor.config_dir / "login-link"
    wait_until(link_file.exists, "the login link is written")
    context = patient_context(browser)
    page = context.new_page()
    page.goto(link_file.read_text().strip())
    page.locator("button:focus").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/flows/")
    state = context.storage_state()
    context.close()
    return state


@contextlib.contextmanager
def visiting(browser: Any, interceptor: Interceptor, state: Any, **options: Any) -> Iterator[Visit]:
    """A page of a signed-in browser; what it complained about fails the test."""
    context = patient_context(
        browser, **{"viewport": {"width": 1280, "height": 800}, "storage_state": state} | options
    )
    visit = Visit(context.new_page(), interceptor.console_url)
    visit.watch()
    try:
        yield visit
    finally:
        context.close()
    visit.check()
