"""Load the server settings: `ccproxy.yaml`, overridden by `CCPROXY_*` variables. No Django."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interceptor.config.files import environment
from interceptor.config.files.document import Document, read_document, refuse
from interceptor.config.files.server import CONFIG_FILE_NAME, ServerSettings

DEFAULT_PROBE_URL = "https://1.1.1.1/"


def load_server_settings(directory: Path, environ: Mapping[str, str]) -> ServerSettings:
    """The settings of `ccproxy.yaml` in `directory`, with the environment's overrides.

    Raises:
        ConfigError: one sentence that names the file, line and key, or the variable.
    """
    document = read_document(directory / CONFIG_FILE_NAME)
    if {"providers", "hooks", "inspector"} & document.data.keys():
        from interceptor.config.files.whole_file import parse_sections

        parse_sections(document)
    settings = parse_server_settings(document)
    return environment.override(settings, environ)


def parse_server_settings(document: Document) -> ServerSettings:
    """The server settings of a document; the database's sections are left aside."""
    plain = Document(_server_data(document), document.lines, document.source, document.prefix)
    try:
        return ServerSettings.model_validate(plain.data)
    except ValidationError as exc:
        raise refuse(plain, ServerSettings, exc) from None


def _server_data(document: Document) -> dict[str, Any]:
    """The data without providers, hooks and transforms, with older spellings folded into
    today's.
    """
    data = {key: value for key, value in document.data.items() if key not in ("providers", "hooks")}
    if isinstance(data.get("inspector"), dict):
        data["inspector"] = {
            key: value for key, value in data["inspector"].items() if key != "transforms"
        }
    return fold_old_names(data, document)


def fold_old_names(data: dict[str, Any], document: Document) -> dict[str, Any]:
    """Move `readiness_probe_url` and its kin, and mitmproxy's `web_host`, to where they live today.

    Raises:
        ConfigError: when both spellings are given and differ.
    """
    wanted = data.pop("verify_readiness_on_startup", None)
    if wanted is not None and not isinstance(wanted, bool):
        raise document.error(("verify_readiness_on_startup",), ": should be true or false")
    if (
        wanted is True
        and "readiness_probe_url" not in data
        and not _get(data, "inspector", "readiness", "url")
    ):
        data["readiness_probe_url"] = DEFAULT_PROBE_URL
    for old, new in (
        ("readiness_probe_url", "url"),
        ("readiness_probe_timeout_seconds", "timeout_seconds"),
    ):
        if old in data:
            data = _moved(data, document, (old,), ("inspector", "readiness", new))
    if wanted is False:
        data = _with(data, ("inspector", "readiness", "url"), None)
    if _get(data, "inspector", "mitmproxy", "web_host") is not None:
        data = _moved(data, document, ("inspector", "mitmproxy", "web_host"), ("console", "host"))
    return data


def _get(data: Any, *path: str) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _with(data: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of `data` with the value at `path` set; what is not a mapping on the way is left to
    the validation.
    """
    if len(path) == 1:
        return {**data, path[0]: value}
    inner = data.get(path[0], {})
    return {**data, path[0]: _with(inner, path[1:], value)} if isinstance(inner, dict) else data


def _moved(
    data: dict[str, Any], document: Document, old: tuple[str, ...], new: tuple[str, ...]
) -> dict[str, Any]:
    value, there = _get(data, *old), _get(data, *new)
    if there is not None and there != value:
        raise document.error(old, f" and {'.'.join(new)} say different things: keep one")
    if len(old) == 1:
        data = {key: kept for key, kept in data.items() if key != old[0]}
    return _with(data, new, value)
