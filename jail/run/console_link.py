"""Links of a run into the console, on the terminal and in the browser."""

from __future__ import annotations

import sys
import time
import webbrowser
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from interceptor.access.login_offer import (
    LINK_FILE_NAME,
    has_display,
    offer_login,
    write_offer_page,
)
from interceptor.operate.liveness import is_listening

CONSOLE_TIMEOUT_S: Final = 30.0
"""The console of an interceptor that was just started listens a little later than the proxy."""
_POLL_S: Final = 0.05


def run_link(directory: Path, console_url: str, run: str, *, is_own: bool) -> str:
    """Return the link to the flows of a run that is written to standard error.

    On a terminal it signs in, once. Such a link is a credential, so a file or a log gets the plain
    one.
    """
    # A console of another config directory, such as a container's, knows no offer made here.
    is_here = is_own or (directory / LINK_FILE_NAME).exists()
    if is_here and sys.stderr.isatty():
        return _login_link(directory, console_url, run)
    return f"{console_url}/flows/?run={quote(run)}"


def open_run(directory: Path, console_url: str, run: str) -> bool:
    """Open the browser at the flows of a run, signed in. Return False where there is no browser."""
    if not has_display() or not _answers(console_url):
        return False
    page = write_offer_page(directory, _login_link(directory, console_url, run))
    try:
        return webbrowser.open(page.as_uri())
    except (OSError, webbrowser.Error):
        return False


def _answers(console_url: str) -> bool:
    parts = urlsplit(console_url)
    deadline = time.monotonic() + CONSOLE_TIMEOUT_S
    while not is_listening(parts.hostname or "", parts.port or 80):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _login_link(directory: Path, console_url: str, run: str) -> str:
    return offer_login(directory, console_url, f"run={quote(run)}")
