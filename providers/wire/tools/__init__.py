"""Tools with a form of their own at one vendor: run by the client, or run at the vendor."""

from __future__ import annotations
