"""`ccproxy start`: the proxy and the console in one process, in the foreground until a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand

from ccproxy_site.console.server import ConsoleService
from ccproxy_site.process.banner import ready_text, write_login_file
from ccproxy_site.process.browser import open_in_browser
from ccproxy_site.process.file_modes import secure_files
from ccproxy_site.process.fleet import Fleet
from ccproxy_site.process.logging import log_as_set
from ccproxy_site.process.runtime import Runtime
from ccproxy_site.process.service import Service
from ccproxy_site.process.start_checks import (
    check_directory,
    check_network,
    check_ports,
    files_elsewhere,
    note_proxies,
    open_database,
)
from interceptor.config.files.server import ServerSettings
from interceptor.config.files.unbuilt import refuse_unbuilt
from interceptor.instances.endpoints import Endpoints
from interceptor.mitm.patches import Why, stock_from
from interceptor.operate.ports import check_bind_address
from providers.base.errors import ConfigError

logger = logging.getLogger("ccproxy")


class Command(BaseCommand):
    """Run the interceptor."""

    help = "Run the proxy (port 4000) and the console (port 8083) in the foreground."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-console", action="store_true", help="run the proxy alone")
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            metavar="N",
            help=(
                "proxy processes that share the port (default 1); as many as cores for heavy"
                " traffic"
            ),
        )
        parser.add_argument(
            "--allow-code-config",
            action="store_true",
            help="let the console and the API set commands and hook paths, which run code",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["workers"] < 1:
                raise ConfigError("--workers wants a number from 1 on")
            if options["allow_code_config"]:
                django_settings.CCPROXY_ALLOW_CODE_CONFIG = True
                os.environ["CCPROXY_ALLOW_CODE_CONFIG"] = "1"  # workers read it
            self._run(console=not options["no_console"], workers=options["workers"])
        except ConfigError as exc:
            self.stderr.write(f"ccproxy: {exc}", ending="\n")
            raise SystemExit(1) from None

    def _run(self, *, console: bool, workers: int) -> None:
        """Check settings, files, database and addresses in this order, then serve."""
        os.umask(0o077)
        # Before the database is touched: the answer to a typing error should come at once.
        stock = stock_from(os.environ)
        settings: ServerSettings = django_settings.CCPROXY
        directory = Path(django_settings.CONFIG_DIR)
        refuse_unbuilt(settings, directory, os.environ)
        check_directory(directory)
        log_as_set(settings, directory)
        key_file = Path(django_settings.CCPROXY_KEY_FILE)
        secure_files(directory, key_file, files_elsewhere(settings, directory))
        has_token = open_database()
        require_token = check_bind_address(settings.host, has_client_token=has_token)
        check_ports(settings, console=console)
        note_proxies(settings)
        check_network(settings)
        # Runtime and Fleet take hold of the loop when they are made.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        runtime = _runtime(
            workers,
            settings,
            directory,
            _endpoints(settings, directory, console=console, stock=stock),
            require_token=require_token,
            console=_console(settings) if console else None,
        )
        runtime.prepare()
        loop.run_until_complete(runtime.run(lambda: _announce(runtime)))
        if runtime.failure:
            raise runtime.failure


def _console(settings: ServerSettings) -> Service:
    return ConsoleService(settings.console.host, settings.inspector.port)


def _runtime(
    workers: int,
    settings: ServerSettings,
    directory: Path,
    endpoints: Endpoints,
    *,
    require_token: bool,
    console: Service | None,
) -> Runtime | Fleet:
    """Return the proxy in this process, or the parent of several processes."""
    if workers == 1:
        return Runtime(settings, directory, endpoints, require_token=require_token, console=console)
    return Fleet(
        settings,
        directory,
        endpoints,
        require_token=require_token,
        console=console,
        workers=workers,
    )


def _announce(runtime: Runtime | Fleet) -> None:
    """Print the addresses, with the way into the console when this process serves it."""
    endpoints = runtime.endpoints
    login_file = None
    if endpoints.console_url:
        login_file = write_login_file(runtime.directory, endpoints)
    sys.stdout.write(ready_text(endpoints, login_file, to_tty=sys.stdout.isatty()))
    sys.stdout.flush()
    logger.info("ready at %s", endpoints.proxy_url)
    if login_file and runtime.settings.inspector.mitmproxy.web_open_browser:
        open_in_browser(login_file)


def _endpoints(
    settings: ServerSettings, directory: Path, *, console: bool, stock: frozenset[Why]
) -> Endpoints:
    database = django_settings.DATABASES["default"]
    name = str(database["NAME"])
    if not database["ENGINE"].endswith("sqlite3"):
        name = f"{database['HOST'] or 'local'}/{name}"
    return Endpoints(
        proxy_url=settings.proxy_url,
        console_url=settings.console_url if console else "",
        config_dir=str(directory),
        ca_path=str(settings.cert_dir(directory) / "mitmproxy-ca-cert.pem"),
        database=name,
        stock=",".join(sorted(stock)),
    )
