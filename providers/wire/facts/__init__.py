"""Facts about models: parameters, levels and limits that their vendors accept."""

from __future__ import annotations
