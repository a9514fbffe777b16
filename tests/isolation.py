"""Loaded before Django reads its settings: a test run has its own config directory and never
touches the user's.
"""

from __future__ import annotations

import os
import signal
import tempfile

os.environ["CCPROXY_CONFIG_DIR"] = tempfile.mkdtemp(prefix="ccproxy-test-")
for name in ("DATABASE_URL", "REDIS_URL", "CCPROXY_PRODUCTION"):
    os.environ.pop(name, None)
if database := os.environ.get("CCPROXY_TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = database

# A shell without job control starts `pytest &` with SIGINT ignored, and so would be the processes
# that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
