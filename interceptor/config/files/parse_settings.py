"""Server settings of a parsed document, with older spellings moved to today's. No Django."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from interceptor.config.files.document import Document, KeyPath, refuse
from interceptor.config.files.server import ServerSettings

DEFAULT_PROBE_URL = "https://1.1.1.1/"

Keys = tuple[str, ...]

_READINESS: Keys = ("inspector", "readiness")
_OLD_PROBE_NAMES = {
    "readiness_probe_url": "url",
    "readiness_probe_timeout_seconds": "timeout_seconds",
}
DATABASE_KEYS: Final[dict[KeyPath, Keys]] = {
    (): ("providers", "hooks"),
    ("inspector",): ("transforms",),
    ("shaping",): ("providers",),
    ("pplx",): ("models",),
}
"""Keys of the file that the database holds, by the group they stand in."""
_WEB_HOST: Keys = ("inspector", "mitmproxy", "web_host")
_WEB_PASSWORD: Keys = ("inspector", "mitmproxy", "web_password")


def parse_server_settings(document: Document) -> ServerSettings:
    """Return the server settings of a document; the database's sections are left aside."""
    plain = Document(_server_data(document), document.lines, document.source, document.prefix)
    try:
        return ServerSettings.model_validate(plain.data)
    except ValidationError as exc:
        raise refuse(plain, ServerSettings, exc, further=DATABASE_KEYS) from None


def _server_data(document: Document) -> dict[str, Any]:
    """Return the data without what the database holds, in today's spelling."""
    data = dict(document.data)
    for group, keys in DATABASE_KEYS.items():
        for key in keys:
            data = _without(data, (*map(str, group), key))
    return fold_old_names(data, document)


def fold_old_names(data: dict[str, Any], document: Document) -> dict[str, Any]:
    """Return the data with older spellings moved to the keys of today.

    `readiness_probe_url: https://a/` → `inspector: {readiness: {url: https://a/}}`.

    Raises:
        ConfigError: both spellings are given and differ.
    """
    data = _fold_probe(data, document)
    if _get(data, *_WEB_HOST) is not None:
        data = _moved(data, document, _WEB_HOST, ("console", "host"))
    # The console has accounts and one-time login links; a password of mitmproxy's has no use.
    return _without(_without(data, _WEB_HOST), _WEB_PASSWORD)


def _fold_probe(data: dict[str, Any], document: Document) -> dict[str, Any]:
    wanted = data.pop("verify_readiness_on_startup", None)
    if wanted is not None and not isinstance(wanted, bool):
        raise document.error(("verify_readiness_on_startup",), ": should be true or false")
    has_url = "readiness_probe_url" in data or _get(data, *_READINESS, "url")
    if wanted is True and not has_url:
        data["readiness_probe_url"] = DEFAULT_PROBE_URL
    for old, new in _OLD_PROBE_NAMES.items():
        if old in data:
            data = _moved(data, document, (old,), (*_READINESS, new))
    if wanted is False:
        data = _with(data, (*_READINESS, "url"), None)
    return data


def _get(data: Any, *path: str) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _with(data: dict[str, Any], path: Keys, value: Any) -> dict[str, Any]:
    """Return a copy of `data` with the value at `path` set.

    A value on the way that is no mapping stays: the validation refuses it later.
    """
    first, *rest = path
    if not rest:
        return {**data, first: value}
    inner = data.get(first, {})
    if not isinstance(inner, dict):
        return data
    return {**data, first: _with(inner, tuple(rest), value)}


def _without(data: dict[str, Any], path: Keys) -> dict[str, Any]:
    """Return a copy of `data` without the key at `path`."""
    first, *rest = path
    inner = data.get(first)
    if not rest:
        return {key: kept for key, kept in data.items() if key != first}
    if not isinstance(inner, dict):
        return data
    return {**data, first: _without(inner, tuple(rest))}


def _moved(data: dict[str, Any], document: Document, old: Keys, new: Keys) -> dict[str, Any]:
    """Return a copy of `data` with the value of a setting's old name under its new one.

    `{"a": 1}`, ("a",), ("b", "c") → `{"b": {"c": 1}}`

    Raises:
        ConfigError: both names are given, with different values.
    """
    value = _get(data, *old)
    given = _get(data, *new)
    if given is not None and given != value:
        raise document.error(old, f" and {'.'.join(new)} say different things: keep one")
    return _with(_without(data, old), new, value)
