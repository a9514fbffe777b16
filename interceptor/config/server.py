"""Server settings: `ccproxy.yaml` in the config directory, overridden by `CCPROXY_*` variables. No Django.

What a user tunes while the proxy runs (providers, rules, hooks) lives in the database; this is what a process needs
before it can start.
"""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_CONFIG_DIR = "~/.config/ccproxy"
CONFIG_FILE_NAME = "ccproxy.yaml"


def config_dir() -> Path:
    """The config directory: `CCPROXY_CONFIG_DIR` or ~/.config/ccproxy."""
    return Path(os.environ.get("CCPROXY_CONFIG_DIR") or DEFAULT_CONFIG_DIR).expanduser().absolute()
