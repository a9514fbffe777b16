"""Lines that `ccproxy start` prints once it is ready."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from ccproxy_site.process.browser import open_in_browser
from interceptor.config.files.server import ServerSettings
from interceptor.instances.endpoints import Endpoints

logger = logging.getLogger("ccproxy")


def ready_text(endpoints: Endpoints, login_file: Path | None, *, to_tty: bool) -> str:
    """Return the lines for stdout; only a terminal gets the login link itself."""
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
    lines = "".join(f"  {name:<9}{value}\n" for name, value in rows)
    return f"ccproxy is ready.\n{lines}Try it: ccproxy demo (in a second terminal)\n"


def announce(settings: ServerSettings, endpoints: Endpoints, login_file: Path | None) -> None:
    """Print the addresses, with the way into the console where there is one."""
    sys.stdout.write(ready_text(endpoints, login_file, to_tty=sys.stdout.isatty()))
    sys.stdout.flush()
    logger.info("ready at %s", endpoints.proxy_url)
    if login_file and settings.inspector.mitmproxy.web_open_browser:
        open_in_browser(login_file)
