"""Process that runs the tunnel: `python -I helper.py`, with a socket as standard input.

It takes one JSON line with a TUN descriptor beside it, and writes one JSON line: `{"ready": true}`
or `{"error": …}`. It ends when the socket's other end is closed.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

_MAX_ORDER_BYTES = 8192


def main() -> int:
    """Import first, which takes longest, then wait for the order."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # -I leaves a checkout out
    from jail.wireguard.loop import run_initiator
    from jail.wireguard.peer import Peer

    with socket.socket(fileno=0) as channel:
        line, descriptors, _, _ = socket.recv_fds(channel, _MAX_ORDER_BYTES, 1)
        if not line or not descriptors:
            return 0
        order = json.loads(line)
        keylog = order.pop("keylog")
        try:
            run_initiator(
                descriptors[0],
                peer=Peer(**order),
                stop=channel.fileno(),
                keylog=Path(keylog) if keylog else None,
                on_ready=lambda: _report(channel, {"ready": True}),
            )
        except Exception as error:
            _report(channel, {"error": f"the Python WireGuard client has failed: {error}"})
            return 1
    return 0


def _report(channel: socket.socket, message: dict[str, object]) -> None:
    try:
        channel.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main())
