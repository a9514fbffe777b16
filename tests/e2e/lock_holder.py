"""Holds a SQLite database's write lock: `python -m tests.e2e.lock_holder PATH`.

Prints "locked" and ends with the first line on standard input.
"""

from __future__ import annotations

import sqlite3
import sys

from tests.patience import PATIENCE_S

if __name__ == "__main__":
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=PATIENCE_S)
    connection.execute("begin immediate")
    print("locked", flush=True)
    sys.stdin.readline()
    connection.execute("commit")
