"""Commands in network namespaces whose only way out is the proxy (`ccproxy jail`)."""

from __future__ import annotations
