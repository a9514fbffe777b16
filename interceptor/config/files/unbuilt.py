"""Refusal of settings that no part of ccproxy reads yet. No Django.

Other commands accept them, so that a file written for the complete product can be checked and
imported; only `ccproxy start` would have to act on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.document import Document, dotted, read_document
from interceptor.config.files.environment import variable
from interceptor.config.files.leaves import Leaf, leaves
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError


def refuse_unbuilt(settings: ServerSettings, directory: Path, environ: Mapping[str, str]) -> None:
    """Refuse to start with a setting that nothing reads yet and that is not at its default.

    Args:
        settings: what `load_server_settings` returned for `directory` and `environ`.
        directory: the config directory; its file says on which line the setting stands.
        environ: the environment.

    Raises:
        ConfigError: one sentence that names file, line and key, or the variable.
    """
    document = read_document(directory / CONFIG_FILE_NAME)
    for leaf in leaves(ServerSettings):
        if leaf.waits_for and _value(settings, leaf.path) != leaf.info.default:
            raise _refusal(leaf, document, environ)


def _value(settings: ServerSettings, path: tuple[str, ...]) -> Any:
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


def _refusal(leaf: Leaf, document: Document, environ: Mapping[str, str]) -> ConfigError:
    name = variable(leaf.path)
    # A variable wins over the file, so it is the one to unset.
    if name in {key.upper() for key in environ}:
        return ConfigError(
            f"{name}: {dotted(leaf.path)} is not built yet ({leaf.waits_for}); unset it"
        )
    return document.error(leaf.path, f" is not built yet ({leaf.waits_for}); remove it")
