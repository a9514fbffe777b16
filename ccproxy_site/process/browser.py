"""Opens the console's one-time login link in the user's browser."""

from __future__ import annotations

import logging
import threading
import webbrowser
from pathlib import Path

from interceptor.access.login_offer import write_link_page

logger = logging.getLogger(__name__)

PAGE_FILE_NAME = "login-link.html"


def open_in_browser(login_file: Path) -> None:
    """Open the link that `login_file` holds, by way of a page that only its owner can read.

    The browser gets the page's address, never the link: every user of the machine can read the
    arguments of its process.
    """
    page = link_page(login_file)
    # A browser in the terminal runs until the user leaves it.
    threading.Thread(target=_open, args=(page,), name="browser", daemon=True).start()


def link_page(login_file: Path) -> Path:
    """Write the page that leads to the link in `login_file`; return its path."""
    return write_link_page(login_file.with_name(PAGE_FILE_NAME), login_file.read_text().strip())


def _open(page: Path) -> None:
    if not webbrowser.open(page.as_uri()):
        logger.warning("web_open_browser is on, but no browser was found")
