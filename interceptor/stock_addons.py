"""mitmproxy's addons that the proxy uses, imported without the others of their package.

The package's `__init__` imports all thirty, which load flask, werkzeug, jinja2, ldap3 and a HAR
writer: 20 MB and half a second. Every module of ours takes mitmproxy's addons from here.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

import mitmproxy

PACKAGE = "mitmproxy.addons"


def _skip_init() -> None:
    """Put the package into `sys.modules` as it is before its `__init__` runs.

    Does nothing where the package was imported before, such as in mitmproxy's own programs.
    """
    spec = find_spec(PACKAGE)
    if PACKAGE in sys.modules or spec is None:
        return
    package = module_from_spec(spec)
    sys.modules[PACKAGE] = package
    # The import system does this for a package that it has loaded itself.
    mitmproxy.addons = package


_skip_init()

from mitmproxy.addons.core import Core  # noqa: E402  # the package has to be there first
from mitmproxy.addons.disable_h2c import DisableH2C  # noqa: E402
from mitmproxy.addons.dns_resolver import DnsResolver, MissingNameServers  # noqa: E402
from mitmproxy.addons.next_layer import NextLayer  # noqa: E402
from mitmproxy.addons.proxyserver import Proxyserver  # noqa: E402
from mitmproxy.addons.strip_dns_https_records import StripDnsHttpsRecords  # noqa: E402
from mitmproxy.addons.tlsconfig import TlsConfig  # noqa: E402
from mitmproxy.addons.upstream_auth import UpstreamAuth  # noqa: E402

__all__ = [
    "Core",
    "DisableH2C",
    "DnsResolver",
    "MissingNameServers",
    "NextLayer",
    "Proxyserver",
    "StripDnsHttpsRecords",
    "TlsConfig",
    "UpstreamAuth",
]
