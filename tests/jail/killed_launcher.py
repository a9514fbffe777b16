"""Leaves a jail's folder behind: `python -m tests.jail.killed_launcher CONFIG_DIR`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from jail.state import State

if __name__ == "__main__":
    state = State.create(Path(sys.argv[1]))
    print(state.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
