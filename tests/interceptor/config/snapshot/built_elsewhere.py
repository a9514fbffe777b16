"""Build the snapshot of pickled rows from stdin, as a process without Django; print what it holds."""

from __future__ import annotations

import json
import pickle
import sys

from interceptor.config.snapshot.build import build_snapshot
from providers.base.errors import ConfigError
from tests.interceptor.config.snapshot.contents import contents

try:
    built = contents(build_snapshot(pickle.load(sys.stdin.buffer)))
except ConfigError as exc:
    built = f"{type(exc).__name__}: {exc}"
json.dump({"built": built, "django": "django" in sys.modules}, sys.stdout)
