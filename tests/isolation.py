"""Loaded before Django reads its settings: a test run has its own config directory and never
touches the user's.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import ssl
import tempfile
from functools import cache
from typing import Any

from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context
from httpx._transports import default as httpx_transport
from hypothesis import HealthCheck, settings

from tests.patience import PATIENCE_S

os.environ["CCPROXY_CONFIG_DIR"] = CONFIG_DIR = tempfile.mkdtemp(prefix="ccproxy-test-")
OWNER = os.getpid()


@atexit.register
def _remove_config_dir() -> None:
    """Leave nothing in the machine's temporary folder. Forks of this process have the function too."""
    if os.getpid() == OWNER:
        shutil.rmtree(CONFIG_DIR, ignore_errors=True)


# With authorities of the machine's own each TLS context of the run and its processes reads a file of
# them, which takes 20 to 60 ms; no test trusts any of them.
MACHINES_OWN = ("DATABASE_URL", "REDIS_URL", "CCPROXY_PRODUCTION", "SSL_CERT_FILE", "SSL_CERT_DIR")
for name in MACHINES_OWN:
    os.environ.pop(name, None)
# A variable of 0 has every process of a test start as a program of its own.
os.environ.setdefault("CCPROXY_TEST_WARM", "1")
if database := os.environ.get("CCPROXY_TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = database

# A shell without job control starts `pytest &` with SIGINT ignored, and so would be the processes
# that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# httpx gives up after five seconds, which a busy machine may need for an answer.
DEFAULT_TIMEOUT_CONFIG.connect = PATIENCE_S
DEFAULT_TIMEOUT_CONFIG.read = PATIENCE_S
DEFAULT_TIMEOUT_CONFIG.write = PATIENCE_S
DEFAULT_TIMEOUT_CONFIG.pool = PATIENCE_S


@cache
def default_ssl_context(chosen_authorities: tuple[str | None, ...]) -> ssl.SSLContext:
    """Return the context that trusts the authorities of these files, or else the usual ones."""
    return create_ssl_context(trust_env=any(chosen_authorities))


def shared_ssl_context(
    verify: Any = True, cert: Any = None, trust_env: bool = True
) -> ssl.SSLContext:
    """Return the context of an httpx client; all clients without choices of their own share one.

    Reading the authorities takes 15 ms, which thousands of requests to loopback would spend.
    """
    if cert or verify is not True:
        return create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
    variables = ("SSL_CERT_FILE", "SSL_CERT_DIR") if trust_env else ()
    return default_ssl_context(tuple(os.environ.get(name) for name in variables))


setattr(httpx_transport, "create_ssl_context", shared_ssl_context)  # noqa: B010  # it is not exported

# A busy machine may take any time for an example; Hypothesis must not call that a failure.
# Each run draws other examples: many runs of a quarter as many find what one of 100 finds.
EXAMPLES = "CCPROXY_TEST_EXAMPLES"
settings.register_profile(
    "patient",
    deadline=None,
    max_examples=int(os.environ.get(EXAMPLES, "25")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("patient")
