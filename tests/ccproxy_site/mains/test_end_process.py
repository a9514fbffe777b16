"""How a process of ours ends: what it must do is done, its modules stay as they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.process import Interceptor, running
from tests.environment import ROOT

_PROGRAM = """
import atexit, sys, threading, time
from ccproxy_site.mains.child_main import end_process

class Left:
    def __del__(self):
        print("taken apart")

left = Left()

def last():
    time.sleep(0.2)
    print("thread")

atexit.register(print, "exit function")
threading.Thread(target=last).start()
print("main")
end_process(7)
"""


def test_threads_and_exit_functions_come_first() -> None:
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 7
    assert done.stdout.split("\n") == ["main", "thread", "exit function", ""]
    assert done.stderr == ""


@pytest.mark.e2e
def test_after_a_stop_the_file_alone_is_the_database(tmp_path: Path) -> None:
    process = Interceptor(tmp_path)
    with running(process):
        process.manage("apitoken", "new", "ada")
        written = process.database.with_name("ccproxy.sqlite3-wal")
        assert written.exists()
    assert not written.exists()
    copy = tmp_path / "copy.sqlite3"
    copy.write_bytes(process.database.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
