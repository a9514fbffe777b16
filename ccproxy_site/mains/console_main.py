"""`python -m ccproxy_site.mains.console_main`: pages, REST and websockets."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ccproxy_site.mains.child_main import begin, end_process, follow, importing
from ccproxy_site.supervise.control import Control, Message
from providers.base.errors import CcproxyError, ConfigError

NICENESS: Final = 5
"""Lower priority than the proxies': a third of their share of a busy processor."""
logger = logging.getLogger("ccproxy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the supervisor says stop, or is gone."""
    parser = argparse.ArgumentParser(prog="ccproxy_site.mains.console_main", description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    control = begin(parser.parse_args(arguments).control)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    # While the recorder checks the configuration.
    try:
        with importing("console"):
            import django

            django.setup()
        from ccproxy_site.mains.open_connections import close_at_the_end

        close_at_the_end()
    except CcproxyError as exc:
        # The recorder finds the same; whoever is first says it.
        control.say(refused=str(exc))
        return 1
    first = control.hear()
    if first is None or "serve" not in first.words:
        return 0
    if sys.platform != "win32":
        # Pages and agents' questions wait for the proxies, never the other way round.
        os.nice(NICENESS)
    return asyncio.run(ConsoleProcess(control, first.words["serve"]).run())


class ConsoleProcess:
    """The console's listener, and its bridge to the recorder."""

    def __init__(self, control: Control, told: dict[str, Any]) -> None:
        self._control = control
        self._told_first = told
        self._stopping = asyncio.Event()
        self._joining: asyncio.Task[None] | None = None
        self._announcing: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until the supervisor says stop; return the exit code."""
        from django.conf import settings as django_settings

        from ccproxy_site.console.server import ConsoleService
        from ccproxy_site.mcp.mcp_service import McpService
        from ccproxy_site.process.logging import log_as_set
        from ccproxy_site.process.service import Service, ServiceList

        settings = django_settings.CCPROXY
        log_as_set(settings, Path(django_settings.CONFIG_DIR))
        listeners: list[Service] = [ConsoleService(settings.console.host, settings.inspector.port)]
        if settings.mcp.http.enabled:
            listeners.append(McpService(settings, Path(django_settings.CONFIG_DIR)))
        services = ServiceList(listeners)
        follow(self._control, self._told)
        try:
            await services.start()
        except ConfigError as exc:
            self._control.say(refused=str(exc))
            return 1
        self._control.say(ready=True)
        await self._stopping.wait()
        if self._joining is not None:
            self._joining.cancel()
        await services.stop()
        return 0

    def _told(self, message: Message | None) -> None:
        if message is None or "stop" in message.words:
            self._stopping.set()
        elif self._stopping.is_set():
            # The loop's threads may be gone. What was handed over ends with this process.
            return
        elif "announce" in message.words:
            self._announcing = asyncio.create_task(asyncio.to_thread(self._announce))
        elif "recorder" in message.words:
            end = socket.socket(fileno=message.descriptors[0])
            self._joining = asyncio.create_task(self._join(end))

    def _announce(self) -> None:
        """Print the addresses and the way in; reads the database."""
        from django.conf import settings as django_settings

        from ccproxy_site.console.login_link import write_login_file
        from ccproxy_site.process.banner import announce
        from interceptor.instances.endpoints import Endpoints

        endpoints = Endpoints(**self._told_first["endpoints"])
        login_file = write_login_file(Path(django_settings.CONFIG_DIR), endpoints.console_url)
        announce(django_settings.CCPROXY, endpoints, login_file)

    async def _join(self, end: socket.socket) -> None:
        """Show what the recorder sends, until it is gone; Redis carries that between machines."""
        from channels.layers import get_channel_layer

        from ccproxy_site.console.recording_word import RECORDING
        from ccproxy_site.mains.recorder_link import RECORDER_GONE
        from ccproxy_site.process.bridge import Bridge
        from ccproxy_site.process.live_bridge import PagesLayer, follow_recorder, tell_audience

        layer = get_channel_layer()
        bridge = await Bridge.open(end)
        telling: asyncio.Task[None] | None = None
        # The recorder says nothing else over the bridge where Redis carries the live view.
        if isinstance(layer, PagesLayer):
            telling = asyncio.create_task(tell_audience(bridge, layer))
        try:
            await follow_recorder(bridge, layer, RECORDING.hear)
        finally:
            if not self._stopping.is_set():
                RECORDING.hear(RECORDER_GONE)
            if telling is not None:
                telling.cancel()
            await bridge.close()


if __name__ == "__main__":
    end_process(main())
