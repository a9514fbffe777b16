"""Holds the snapshot the proxy runs on."""

from __future__ import annotations

from interceptor.config.snapshot.schema import Snapshot


class ConfigStore:
    """Readers take `current` once per flow; reading and replacing an attribute is atomic."""

    def __init__(self, initial: Snapshot) -> None:
        self.current = initial

    def replace(self, new: Snapshot) -> None:
        """Run on `new` from the next flow on."""
        self.current = new
