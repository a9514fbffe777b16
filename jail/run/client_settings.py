"""Settings and variables by which single clients are pointed at the proxy. No Django."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jail.run.base_urls import ALL, ANTHROPIC, GOOGLE, OPENAI, Route, kept_urls

OPENCODE: Final = "OPENCODE_CONFIG_CONTENT"
KILO: Final = "KILO_CONFIG_CONTENT"
# The file may have comments, so it is not read as JSON.
_API_KEY_SELECTED: Final = re.compile(r'"selected(Auth)?Type"\s*:\s*"gemini-api-key"')


def codex_arguments(route: Route, environ: Mapping[str, str]) -> list[str]:
    """Codex ignores OPENAI_BASE_URL and takes the setting; the value is TOML."""
    url = f"{route.base_url(OPENAI, environ)}/v1"
    return ["-c", f"openai_base_url={json.dumps(url)}"]


def opencode_variables(
    route: Route, environ: Mapping[str, str], name: str = OPENCODE
) -> dict[str, str]:
    """Return the settings that opencode merges over the user's; it writes no file.

    Args:
        name: the variable; a program that was made from opencode reads one of its own.
    """
    if environ.get(name):
        return {}
    ends = ((ANTHROPIC, "/v1"), (OPENAI, "/v1"), (GOOGLE, "/v1beta"))
    providers = {}
    for vendor, end in ends:
        if not kept_urls(route, environ, (vendor,)):
            url = route.base_url(vendor, environ) + end
            providers[vendor.provider] = {"options": {"baseURL": url}}
    return {name: json.dumps({"provider": providers})}


def gemini_wants_forward(environ: Mapping[str, str]) -> bool:
    """Return True unless the user's settings select an API key.

    Without that, a base URL makes Gemini CLI refuse to start: it takes it for a gateway's.
    """
    home = environ.get("GEMINI_CLI_HOME") or environ.get("HOME") or str(Path.home())
    try:
        text = Path(home, ".gemini", "settings.json").read_text(errors="replace")
    except OSError:
        return True
    return _API_KEY_SELECTED.search(text) is None


def goose_variables(route: Route, environ: Mapping[str, str]) -> dict[str, str]:
    """goose reads hosts of its own, which may have a path; a host that the user set stays."""
    variables = {}
    for vendor in ALL:
        name = f"{vendor.provider.upper()}_HOST"
        if not environ.get(name) and not kept_urls(route, environ, (vendor,)):
            variables[name] = route.base_url(vendor, environ)
    return variables
