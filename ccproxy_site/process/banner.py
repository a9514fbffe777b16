"""Lines that `ccproxy start` prints once it is ready."""

from __future__ import annotations

from pathlib import Path

from ccproxy_site.console.login_link import make_login_link
from interceptor.instances.endpoints import Endpoints
from providers.base.private_file import write_private

LOGIN_FILE_NAME = "login-link"


def write_login_file(directory: Path, endpoints: Endpoints) -> Path:
    """Write a fresh one-time login link into a file that only its owner can read."""
    path = directory / LOGIN_FILE_NAME
    write_private(path, make_login_link(endpoints.console_url) + "\n")
    return path


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
