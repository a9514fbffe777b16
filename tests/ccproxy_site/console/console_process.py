"""A process that runs the console's service alone: `python -m … PORT`, and says what happens.

A process of its own, because Twisted's reactor can be put on one loop only in its life.
"""

from __future__ import annotations

import asyncio
import sys

from ccproxy_site.console.server import ConsoleService
from providers.base.errors import ConfigError


async def main(port: int) -> None:
    """Start the console, wait for a line on standard input, stop it."""
    service = ConsoleService("127.0.0.1", port)
    try:
        await service.start()
    except ConfigError as exc:
        print(f"refused: {exc}", flush=True)
    else:
        print("listening", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await service.stop()
    # The loop is the process's own: it goes on without the reactor.
    await asyncio.sleep(0)
    print("the loop runs", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
