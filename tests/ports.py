"""Ports that nobody else takes between the choice and its use."""

from __future__ import annotations

import random
import socket

_LOWEST, _HIGHEST = 20_000, 32_000
"""Below those that the kernel gives to connections (ip_local_port_range, from 32,768 on)."""
_dice = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    while True:
        port = _dice.randrange(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
