"""Login links made without a database: `ccproxy run` offers one before its command starts.

An offer is an empty file in the private config directory, named by the digest of the link's token.
Only this user's processes can make it, so the console takes it for a login link of its own. The
request that deletes the file signs in: the link works once.

No Django, which would delay the command.
"""

from __future__ import annotations

import hashlib
import html
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Final

from providers.base.private_file import write_private

LOGIN_PATH: Final = "login"
"""Reversing the URL would load every page of the console into the command that prints a link."""
LINK_FILE_NAME: Final = "login-link"
"""File in the config directory with the link that the console made when it started."""
LIFETIME_S: Final = 15 * 60.0
_FOLDER: Final = Path("run", "links")
_PAGE: Final = """\
<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>ccproxy</title>
<a href="{link}">Open the console</a>
"""


def offer_login(directory: Path, console_url: str, query: str = "") -> str:
    """Return a link that signs in once, within 15 minutes.

    Args:
        directory: the config directory, which the console must share.
        query: part of the link behind "?", which chooses the page behind the login.
    """
    folder = directory / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(folder)
    token = secrets.token_urlsafe(32)
    write_private(folder / token_digest(token), "")
    link = f"{console_url.rstrip('/')}/{LOGIN_PATH}/{token}/"
    return f"{link}?{query}" if query else link


def is_offered(directory: Path, token: str) -> bool:
    """Return True where the token belongs to an offer that is neither taken nor too old."""
    return _is_fresh(_offer_file(directory, token))


def take_offer(directory: Path, token: str) -> bool:
    """Take an offer away. Return True for the one caller that got it in time."""
    path = _offer_file(directory, token)
    is_fresh = _is_fresh(path)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return is_fresh


def token_digest(token: str) -> str:
    """Return the digest of a token. It is stored, and the token is not."""
    return hashlib.sha256(token.encode()).hexdigest()


def write_link_page(path: Path, link: str) -> Path:
    """Write a private page that leads to a link, and return its path.

    A browser gets the page's address: every user of the machine can read its arguments.
    """
    write_private(path, _PAGE.format(link=html.escape(link)))
    return path


def write_offer_page(directory: Path, link: str) -> Path:
    """Write the page of an offered link, which is deleted with the offers of its time."""
    return write_link_page(directory / _FOLDER / f"{token_digest(link)}.html", link)


def has_display() -> bool:
    """Return True where a browser can have a window; one in the terminal would take it over."""
    if sys.platform == "darwin" or os.name == "nt":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _offer_file(directory: Path, token: str) -> Path:
    return directory / _FOLDER / token_digest(token)


def _is_fresh(path: Path) -> bool:
    try:
        age_s = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    return age_s < LIFETIME_S


def _sweep(folder: Path) -> None:
    """Delete the offers and pages that are too old."""
    for path in folder.iterdir():
        if not _is_fresh(path):
            path.unlink(missing_ok=True)
