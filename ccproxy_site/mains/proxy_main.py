"""`python -m ccproxy_site.mains.proxy_main`: one proxy process. It never imports Django."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Sequence

from ccproxy_site.mains.child_main import begin, end_process, importing
from providers.base.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the supervisor says stop, or is gone."""
    parser = argparse.ArgumentParser(prog="ccproxy_site.mains.proxy_main", description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    control = begin(parser.parse_args(arguments).control)
    # While the recorder checks the configuration.
    with importing("proxy"):
        from ccproxy_site.mains.proxy_process import ProxyProcess
    first = control.hear()
    if first is None or "serve" not in first.words:
        return 0
    ring, *listeners = first.descriptors
    try:
        process = ProxyProcess(
            first.words["serve"], control, ring, [socket.socket(fileno=one) for one in listeners]
        )
        asyncio.run(process.run())
    except ConfigError as exc:
        control.say(refused=str(exc))
        return 1
    return 0


if __name__ == "__main__":
    end_process(main())
