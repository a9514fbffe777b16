"""A proxy process of several behind one port: `python -m ccproxy_site.process.worker`.

It accepts from the parent's listening sockets, records and reloads by itself like any interceptor,
and sends the live view over the bridge, unless there is Redis for that. When the parent is gone, it
stops as it would on a signal.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.base.errors import ConfigError

if TYPE_CHECKING:
    from ccproxy_site.process.bridge import Bridge
    from ccproxy_site.process.runtime import Runtime

logger = logging.getLogger("ccproxy")


def command_line(
    listeners: Sequence[socket.socket], bridge: socket.socket, *, require_token: bool
) -> list[str]:
    """Return the command that starts a worker with these inherited sockets."""
    fds = ",".join(str(listener.fileno()) for listener in listeners)
    arguments = ["--listen", fds, "--bridge", str(bridge.fileno())]
    return [
        sys.executable,
        "-m",
        "ccproxy_site.process.worker",
        *arguments,
        *(["--require-token"] if require_token else []),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal or the end of the parent."""
    parser = argparse.ArgumentParser(prog="ccproxy_site.process.worker", description=__doc__)
    parser.add_argument(
        "--listen", required=True, type=lambda text: [int(fd) for fd in text.split(",")]
    )
    parser.add_argument("--bridge", required=True, type=int)
    parser.add_argument("--require-token", action="store_true")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    listeners = [socket.socket(fileno=fd) for fd in options.listen]
    return asyncio.run(
        _work(listeners, socket.socket(fileno=options.bridge), options.require_token)
    )


async def _work(listeners: Sequence[socket.socket], end: socket.socket, require_token: bool) -> int:
    from ccproxy_site.process.bridge import Bridge

    bridge = await Bridge.open(end)
    try:
        first = await bridge.hear() or {}
        runtime = await asyncio.to_thread(_prepare, first["endpoints"], listeners, require_token)
        await _serve(runtime, bridge)
    except ConfigError as exc:
        bridge.say(failed=str(exc))
        return 1
    finally:
        await bridge.close()
    return 0


def _prepare(
    endpoints: dict[str, Any], listeners: Sequence[socket.socket], require_token: bool
) -> Runtime:
    """Load settings, Django and the log, then make the runtime."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    import django
    from django.conf import settings as django_settings

    django.setup()
    from ccproxy_site.process.logging import log_as_set
    from ccproxy_site.process.runtime import Runtime
    from interceptor.instances.endpoints import Endpoints

    settings, directory = django_settings.CCPROXY, Path(django_settings.CONFIG_DIR)
    log_as_set(settings, directory)
    return Runtime(
        settings,
        directory,
        Endpoints(**endpoints),
        require_token=require_token,
        listeners=listeners,
    )


async def _serve(runtime: Runtime, bridge: Bridge) -> None:
    """Run the proxy until the parent is gone or a signal comes.

    Raises:
        ConfigError: the proxy does not start.
    """
    from channels.layers import channel_layers
    from django.conf import settings as django_settings

    from ccproxy_site.process.live_bridge import BridgeLayer, follow_parent

    layer = BridgeLayer(bridge)
    if not django_settings.REDIS_URL:
        channel_layers.set("default", layer)
    await asyncio.to_thread(runtime.prepare)
    parent = asyncio.create_task(follow_parent(bridge, layer, runtime.request_stop))
    loop = asyncio.get_running_loop()

    def on_ready() -> None:  # called on a thread
        loop.call_soon_threadsafe(_say_ready, bridge)

    try:
        await runtime.run(on_ready)
    finally:
        parent.cancel()
    if runtime.failure:
        raise runtime.failure


def _say_ready(bridge: Bridge) -> None:
    logger.info("worker %s is ready", os.getpid())
    bridge.say(ready=True)


if __name__ == "__main__":
    raise SystemExit(main())
