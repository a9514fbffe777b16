"""Name of the setting of the forward proxy's port. The recorder imports it, without mitmproxy."""

from __future__ import annotations

from typing import Final

FORWARD_SETTING: Final = "inspector.forward_port (CCPROXY_INSPECTOR__FORWARD_PORT)"
