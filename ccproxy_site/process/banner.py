"""Lines that `ccproxy start` prints once it is ready."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ccproxy_site.process.browser import open_in_browser
from ccproxy_site.terminal.command_hints import hinted
from interceptor.config.files.server import ServerSettings
from interceptor.instances.endpoints import Endpoints
from providers.credentials.credential_states import missing_credentials

logger = logging.getLogger("ccproxy")


def ready_text(
    endpoints: Endpoints, login_file: Path | None, *, to_tty: bool, missing: Sequence[str] = ()
) -> str:
    """Return the lines for stdout; only a terminal gets the login link itself.

    `missing` names providers without a credential, and what sets one.
    """
    rows = [("Proxy", endpoints.proxy_url)]
    if login_file:
        link = (
            login_file.read_text().strip()
            if to_tty
            else f"{endpoints.console_url}  (login link in {login_file})"
        )
        rows.append(("Console", link))
    rows += [
        ("Config", endpoints.config_dir),
        ("CA", endpoints.ca_path),
        ("Database", endpoints.database),
    ]
    rows += [("Missing", sentence) for sentence in missing]
    lines = "".join(f"  {name:<9}{value}\n" for name, value in rows)
    text = f"ccproxy is ready.\n{lines}Try it: ccproxy demo (in a second terminal)\n"
    return hinted(text) if to_tty else text


def announce(settings: ServerSettings, endpoints: Endpoints, login_file: Path | None) -> None:
    """Print the addresses, with the way into the console where there is one.

    It reads the database for the providers that have no credential yet.
    """
    missing = missing_credentials(os.environ)
    to_tty = sys.stdout.isatty()
    sys.stdout.write(ready_text(endpoints, login_file, to_tty=to_tty, missing=missing))
    sys.stdout.flush()
    logger.info("ready at %s", endpoints.proxy_url)
    if login_file and settings.inspector.mitmproxy.web_open_browser:
        open_in_browser(login_file)
