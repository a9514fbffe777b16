"""Loaded before Django reads its settings: a test run has its own config directory and never
touches the user's.
"""

from __future__ import annotations

import os
import signal
import tempfile

from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from tests.patience import PATIENCE_S

os.environ["CCPROXY_CONFIG_DIR"] = tempfile.mkdtemp(prefix="ccproxy-test-")
for name in ("DATABASE_URL", "REDIS_URL", "CCPROXY_PRODUCTION"):
    os.environ.pop(name, None)
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

# A busy machine may take any time for an example; Hypothesis must not call that a failure.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("patient")
