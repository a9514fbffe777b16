"""Addresses of a running interceptor, as its heartbeat row names them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses and paths of one interceptor process."""

    proxy_url: str
    console_url: str
    """"" when this process serves no console."""
    config_dir: str
    ca_path: str
    database: str
    stock: str = ""
    """Kinds of mitmproxy patches that are left out (`CCPROXY_STOCK`)."""

    def as_dict(self) -> dict[str, Any]:
        """Return the addresses as the heartbeat row stores them."""
        return asdict(self)
