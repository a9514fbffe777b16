"""Config directory of this process. Light: every command imports it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CONFIG_FILE_NAME: Final = "ccproxy.yaml"


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the config directory.

    `CCPROXY_CONFIG_DIR` comes first, then `$XDG_CONFIG_HOME/ccproxy`, then `~/.config/ccproxy`.
    """
    if chosen := environ.get("CCPROXY_CONFIG_DIR"):
        return Path(chosen).expanduser().absolute()
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return (Path(home).expanduser() / "ccproxy").absolute()
