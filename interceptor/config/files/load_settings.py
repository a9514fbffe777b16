"""Load the server settings: `ccproxy.yaml`, overridden by `CCPROXY_*` variables. No Django."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interceptor.config.files import environment
from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.document import read_document
from interceptor.config.files.parse_settings import DATABASE_KEYS, parse_server_settings
from interceptor.config.files.server import ServerSettings


def load_server_settings(directory: Path, environ: Mapping[str, str]) -> ServerSettings:
    """Return the settings of `ccproxy.yaml` in `directory`, with the environment's overrides.

    Raises:
        ConfigError: one sentence that names the file, line and key, or the variable.
    """
    document = read_document(directory / CONFIG_FILE_NAME)
    if has_sections(document.data):
        # Imported only for files that hold them: its schemas cost every command 20 ms.
        from interceptor.config.files.whole_file import parse_sections

        parse_sections(document)
    settings = parse_server_settings(document)
    return environment.override(settings, environ)


def has_sections(data: Mapping[str, Any]) -> bool:
    """Return True for settings with sections of the database in them."""
    for group, keys in DATABASE_KEYS.items():
        values = data.get(str(group[0])) if group else data
        if isinstance(values, Mapping) and not values.keys().isdisjoint(keys):
            return True
    return False
