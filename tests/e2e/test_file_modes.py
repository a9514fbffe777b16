"""Whatever the umask and whatever was left lying open: others read nothing of ours.

A key that lay open is refused.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.process import PROGRAM, ROOT, Interceptor, running, wait_until
from tests.patience import PATIENCE_S
from tests.warm.starter import run_script

NOBODY = 65534
READ = """
import os, sys
for folder, _, files in os.walk(sys.argv[1]):
    for name in files:
        try:
            open(os.path.join(folder, name))
            print(name)
        except OSError:
            pass
"""


class Careless(Interceptor):
    """Started with umask 000."""

    def start(self) -> Careless:
        # A fork has the umask of what it was forked from.
        self.starts_cold = True
        before = os.umask(0)
        try:
            super().start()
        finally:
            os.umask(before)
        return self


def modes(folder: Path) -> dict[str, int]:
    found = {".": stat.S_IMODE(folder.stat().st_mode)}
    for path in folder.rglob("*"):
        found[str(path.relative_to(folder))] = stat.S_IMODE(path.lstat().st_mode)
    return found


def open_to_others(folder: Path) -> dict[str, str]:
    return {name: oct(mode) for name, mode in modes(folder).items() if mode & 0o077}


def readable_by_nobody(folder: Path) -> list[str]:
    """What another user gets to read, asked as that user."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        if os.environ.get("CCPROXY_TEST_REQUIRE"):
            pytest.fail("needs root and setpriv")
        pytest.skip("needs root and setpriv to read as another user")
    command = [
        "setpriv",
        f"--reuid={NOBODY}",
        "--clear-groups",
        "/usr/bin/env",
        "python3",
        "-c",
        READ,
        str(folder),
    ]
    if Path("/usr/bin/python3").exists():
        command[3:5] = ["/usr/bin/python3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def reachable(folder: Path) -> None:
    """pytest's folders are their owner's alone, which would hide everything from the one who is to
    look.
    """
    for parent in (folder, *folder.parents):
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    folder.chmod(0o755)


def test_a_start_without_umask_leaves_nothing_open(tmp_path: Path) -> None:
    reachable(tmp_path)
    process = Careless(tmp_path, "", CCPROXY_LOG_LEVEL="DEBUG")
    process.config_dir.rmdir()  # it makes it itself
    with running(process):
        wait_until((process.config_dir / "login-link").exists, "the login link is written")
        expected = {
            "secret.key",
            "django.key",
            "ccproxy.sqlite3",
            "ccproxy.sqlite3-wal",
            "ccproxy.log",
            "login-link",
        }
        assert expected | {"mitmproxy-ca.pem"} <= set(modes(process.config_dir))
        assert open_to_others(process.config_dir) == {}
        assert readable_by_nobody(process.config_dir) == []
    process.config_dir.chmod(0o755)
    assert readable_by_nobody(process.config_dir) == [], (
        "each file is closed, not the directory alone"
    )


def test_what_lies_open_is_closed_with_a_line_in_the_log(tmp_path: Path) -> None:
    reachable(tmp_path)
    process = Interceptor(tmp_path, "providers: {}\n")
    (process.config_dir / "oauth").mkdir(mode=0o755)
    left = ("oauth/claude.json", "ccproxy.log.1", "run-token", "django.key", "mitmproxy-ca.pem.old")
    for name in left:
        path = process.config_dir / name
        path.write_text("x" * 50)
        path.chmod(0o644)
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    outside.chmod(0o644)
    (process.config_dir / "link.json").symlink_to(outside)
    process.config_dir.chmod(0o755)
    assert len(readable_by_nobody(process.config_dir)) >= len(left)
    with running(process):
        closed = {
            name: mode
            for name, mode in open_to_others(process.config_dir).items()
            if name != "link.json"
        }
        assert closed == {}
        assert readable_by_nobody(process.config_dir) == []
    for name in left:
        assert (
            f"{process.config_dir / name} was open to other users (644); it is its owner's"
            " alone now" in process.log
        )
    assert f"{process.config_dir} was open to other users (755)" in process.log
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644, (
        "a link's target is somebody else's affair"
    )


def test_a_key_that_others_could_read_is_refused(tmp_path: Path) -> None:
    process = Interceptor(tmp_path, "providers: {}\n")
    key = process.config_dir / "secret.key"
    key.write_text("A" * 43 + "=\n")
    key.chmod(0o640)
    command = [*PROGRAM, "runinterceptor"]
    done = run_script(command, process.environ, ROOT, timeout_s=PATIENCE_S)
    assert done.returncode == 1
    assert f"chmod 600 {key}" in done.stderr
    assert "Traceback" not in done.stderr
    assert stat.S_IMODE(key.stat().st_mode) == 0o640, "it is for a person to decide"
    assert not (process.config_dir / "ccproxy.sqlite3").exists(), "before anything else is touched"
