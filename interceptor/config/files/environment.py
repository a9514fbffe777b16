"""`CCPROXY_*` variables, one for each setting; two underscores join nested keys. No Django."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from interceptor.config.files.document import value_hint
from interceptor.config.files.leaves import Path, leaves
from providers.base.errors import ConfigError
from providers.base.nearest import name_hint, nearest

PREFIX = "CCPROXY_"

OTHER_VARIABLES: dict[str, str] = {
    "CCPROXY_CONFIG_DIR": (
        "Config directory; default: $XDG_CONFIG_HOME/ccproxy, else ~/.config/ccproxy."
    ),
    "CCPROXY_ALLOW_CODE_CONFIG": (
        "1: the console and the API may set credential commands and hook paths (code)."
    ),
    "CCPROXY_PRODUCTION": (
        "1: the console is served behind TLS; secure cookies, HSTS, no debug pages."
    ),
    "CCPROXY_BEHIND_TLS_PROXY": "1: a reverse proxy ends TLS and sets X-Forwarded-Proto.",
    "CCPROXY_DEBUG": "1: Django's debug pages; never together with CCPROXY_PRODUCTION.",
    "CCPROXY_SECRET_KEY": "Django's secret key; default: django.key in the config directory.",
    "CCPROXY_SECRET_KEY_FILE": "File that holds Django's secret key.",
    "CCPROXY_STATIC_ROOT": "Where collectstatic puts the console's assets.",
    "CCPROXY_STOCK": (
        "speed: run mitmproxy without ccproxy's speed patches, slower, to tell their defects from"
        " others in a bug report."
    ),
    "LOG_LEVEL": "Read when CCPROXY_LOG_LEVEL is not set and it names a known level.",
    "DATABASE_URL": (
        "postgresql://… (with parameters such as ?sslmode=require) or sqlite:///PATH; default:"
        " ccproxy.sqlite3 in the config directory."
    ),
    "REDIS_URL": "Redis for live views over several processes; default: none is needed.",
}
"""Variables that are no settings of the file, with their meaning."""

_ALIASES: dict[str, Path] = {
    "CONSOLE_HOSTS": ("console", "hosts"),
    "CONSOLE_ORIGINS": ("console", "origins"),
    "READINESS_PROBE_URL": ("inspector", "readiness", "url"),
    "READINESS_PROBE_TIMEOUT_SECONDS": ("inspector", "readiness", "timeout_seconds"),
}


def variable(path: Path) -> str:
    """Return the variable that overrides the setting at `path`."""
    return PREFIX + "__".join(path).upper()


def override[Settings: BaseModel](settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return the settings with every variable applied.

    Raises:
        ConfigError: a variable that is almost a known one, or whose value is refused; the message
        names it.
    """
    known = {leaf.path: leaf.info.annotation for leaf in leaves(type(settings))}
    by_name = {variable(path).removeprefix(PREFIX): path for path in known} | _ALIASES
    data = settings.model_dump()
    used: dict[Path, str] = {}
    for name, text in sorted(_ours(environ, data).items()):
        path = by_name.get(name.removeprefix(PREFIX))
        if path is None:
            _refuse_typo(name, by_name)
        else:
            _put(data, path, _value(text, known[path], name))
            used[path] = name
    if not used:
        return settings
    try:
        return type(settings).model_validate(data)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        name = next(
            (n for path, n in used.items() if problem["loc"][: len(path)] == path),
            "the environment",
        )
        sentence = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
        raise ConfigError(f"{name}: {sentence}{value_hint(problem)}") from None


def _ours(environ: Mapping[str, str], data: dict[str, Any]) -> dict[str, str]:
    """Return the variables that begin with `CCPROXY_`, with older switches in today's spelling."""
    ours = {
        name.upper(): value
        for name, value in environ.items()
        if name.upper().startswith(PREFIX) and name.upper() not in OTHER_VARIABLES
    }
    level = environ.get("LOG_LEVEL", "").upper()
    if level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        ours.setdefault("CCPROXY_LOG_LEVEL", level)
    host = ours.pop("CCPROXY_INSPECTOR__MITMPROXY__WEB_HOST", None)
    if host is not None:
        ours.setdefault("CCPROXY_CONSOLE__HOST", host)
    # Accepted and without effect, as in the file: the console has accounts.
    ours.pop("CCPROXY_INSPECTOR__MITMPROXY__WEB_PASSWORD", None)
    verify = ours.pop("CCPROXY_VERIFY_READINESS_ON_STARTUP", "").lower()
    if verify in ("0", "false", "no", "off"):
        ours["CCPROXY_READINESS_PROBE_URL"] = ""
    elif verify in ("1", "true", "yes", "on") and not data["inspector"]["readiness"]["url"]:
        ours.setdefault("CCPROXY_READINESS_PROBE_URL", "https://1.1.1.1/")
    return ours


def _refuse_typo(name: str, by_name: Mapping[str, Path]) -> None:
    """Reject a variable that names a nested key, or is nearly a known one.

    Any other unknown variable may belong to another program.
    """
    short = name.removeprefix(PREFIX)
    match = nearest(short, by_name)
    if "__" in short or nearest(name, [PREFIX + match], cutoff=0.9):
        hint = name_hint(name, [PREFIX + known for known in by_name])
        raise ConfigError(f"unknown variable {name}: {hint}")


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


def _value(text: str, annotation: Any, name: str) -> Any:
    """Return the text as the setting's type wants it.

    Lists are split at commas or written as YAML, mappings are written as YAML.
    """
    kinds = _kinds(annotation)
    if type(None) in kinds and text.strip().lower() in ("", "null", "none"):
        return None
    if kinds & {tuple, list} and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if kinds & {tuple, list, dict}:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(
                f"{name}: write it as YAML or JSON, e.g. {{a: b}} or [a, b]"
            ) from None
    return text


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation allows."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return {kind for inner in get_args(annotation) for kind in _kinds(inner)}
    if hasattr(annotation, "__metadata__"):
        return _kinds(get_args(annotation)[0])
    return {origin or annotation}
