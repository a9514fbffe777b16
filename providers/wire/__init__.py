"""Translation between wire formats. Pure: no Django, no mitmproxy, no network."""

from __future__ import annotations
