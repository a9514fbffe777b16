"""Launcher's side of a jail's network: tunnel, filter, ports and packet capture."""

from __future__ import annotations
