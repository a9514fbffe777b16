"""Where a running interceptor can be reached: what it says of itself in its heartbeat row."""

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
        """For the heartbeat row."""
        return asdict(self)
