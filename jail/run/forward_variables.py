"""Variables by which a command's programs use the forward proxy and trust its certificates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jail.ca_bundle import VARIABLES

PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
"""curl reads the lower case of HTTP_PROXY alone, others the upper case alone."""
DIRECT: Final = ("127.0.0.1", "localhost", "::1")
"""Hosts that are reached directly: the proxy refuses this machine."""
_OTHERS: Final = ("ALL_PROXY", "all_proxy")


def forward_variables(url: str, bundle: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a proxy URL and a file with trusted certificates.

    The user's own exceptions stay; a proxy of the user's is the one that ccproxy itself uses.
    """
    variables = dict.fromkeys(PROXIES, url)
    # An empty one would be read as none, and one of the user's would win for websockets.
    variables |= {name: url for name in _OTHERS if environ.get(name)}
    kept = environ.get("NO_PROXY") or environ.get("no_proxy")
    direct = ",".join(filter(None, (kept, *DIRECT)))
    variables |= {"NO_PROXY": direct, "no_proxy": direct}
    # Node reads the variables from 22.21 and 24 on if it is asked to.
    variables["NODE_USE_ENV_PROXY"] = "1"
    return variables | dict.fromkeys(VARIABLES, str(bundle))
