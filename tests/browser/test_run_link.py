"""The links of `ccproxy run` sign in a browser that never saw the console, once, at the run's flows."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.visit import patient_context
from tests.calls import CCPROXY
from tests.e2e.process import Interceptor
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.browser, pytest.mark.e2e]


@contextlib.contextmanager
def _stranger(browser: Any) -> Iterator[Any]:
    """A page of a browser without cookies."""
    context = patient_context(browser)
    try:
        yield context.new_page()
    finally:
        context.close()


def _sign_in(page: Any, address: str) -> None:
    """Open a link; the button has the focus."""
    page.goto(address)
    page.locator("button:focus").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/flows/**")


def _on_a_terminal(interceptor: Interceptor, *options: str) -> str:
    """Return what `ccproxy run` writes where standard error is a terminal."""
    ours, theirs = os.openpty()
    command = [*CCPROXY, "run", *options, "--", "true"]
    try:
        subprocess.run(
            command, stderr=theirs, env=interceptor.environ, check=True, timeout=PATIENCE_S
        )
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_printed_link_signs_in_at_the_flows_of_the_run(
    browser: Any, interceptor: Interceptor
) -> None:
    found = re.search(r"recording to (\S+)", _on_a_terminal(interceptor))
    assert found
    link, run = found[1].split("?run=")
    with _stranger(browser) as page:
        _sign_in(page, found[1])
        assert page.url == f"{interceptor.console_url}/flows/?run={run}"
        # Who is signed in already follows a spent link too.
        page.goto(f"{link}?run={run}")
        assert page.url.endswith(f"/flows/?run={run}")
    with _stranger(browser) as page:
        assert page.goto(found[1]).status == 410


def test_the_browser_is_opened_signed_in(
    browser: Any, interceptor: Interceptor, tmp_path: Path
) -> None:
    opened, program = tmp_path / "opened", tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$*" > {opened}\n')
    program.chmod(0o755)
    environ = {**interceptor.environ, "BROWSER": f"{program} %s", "DISPLAY": ":9"}
    done = subprocess.run(
        [*CCPROXY, "run", "--open", "--", "true"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    # Standard error is no terminal: the line for a log signs nobody in.
    found = re.search(r"recording to \S+/flows/\?run=(\S+)", done.stderr)
    assert found and "/login/" not in done.stderr
    # The arguments of a process are public: they lead to a private page.
    address = opened.read_text()
    assert address.startswith("file:///") and "/login/" not in address
    with _stranger(browser) as page:
        page.goto(address)
        page.locator("button:focus").wait_for()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/flows/?run={found[1]}")


def test_a_browser_that_is_missing_is_named(interceptor: Interceptor) -> None:
    environ = {
        name: value
        for name, value in interceptor.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    done = subprocess.run(
        [*CCPROXY, "run", "--open", "--", "true"], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "there is no browser to open; ccproxy login prints a link" in done.stderr
