"""`ccproxy logs`."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from interceptor.operate.logtail import reopened, tail_offset
from tests.calls import CCPROXY
from tests.patience import PATIENCE_S


def test_it_works(ccproxy):
    ccproxy.directory.mkdir()
    (ccproxy.directory / "ccproxy.log").write_text("one\ntwo\nthree\n")
    assert ccproxy("logs").stdout == "one\ntwo\nthree\n"
    assert ccproxy("logs", "-n", "2").stdout == "two\nthree\n"
    assert ccproxy("logs", "-n", "x").returncode == 2


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("port: 1\n", "there is no log at "),
        ("log_file: null\n", "log_file is null"),
        (
            "use_journal: true\njournal_identifier: mine\n",
            "the log is in the journal: journalctl --user -t mine",
        ),
    ],
)
def test_without_a_log(ccproxy, yaml, message):
    ccproxy.directory.mkdir()
    (ccproxy.directory / "ccproxy.yaml").write_text(yaml)
    done = ccproxy("logs")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"ccproxy: {message}")


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a", b"a\n", b"a\nb", b"a\n\nb\n", b"x" * 70_000 + b"\ny\n" * 40_000]
)
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 50_000, 1_000_000])
def test_the_last_lines(content, lines):
    offset = tail_offset(io.BytesIO(content), lines)
    every = content.splitlines(keepends=True)
    assert content[offset:] == b"".join(every[len(every) - min(lines, len(every)) :])


def test_following_across_a_rotation(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    file = path.open("rb")
    assert file.read() == b"one\n"
    assert reopened(path, file) is file
    path.rename(tmp_path / "log.1")
    assert reopened(path, file) is file  # nothing new yet
    with (tmp_path / "log.1").open("ab") as old:
        old.write(b"late\n")
    path.write_bytes(b"new\n")
    assert reopened(path, file).read() == b"late\n"
    new = reopened(path, file)
    assert (new is file, new.read()) == (False, b"new\n")
    path.write_bytes(b"cut\n"[:2])
    assert reopened(path, new).read() == b"cu"
    new.close()


def test_following_shows_what_is_added(ccproxy):
    ccproxy.directory.mkdir()
    log = ccproxy.directory / "ccproxy.log"
    log.write_text("one\n")
    process = subprocess.Popen(
        [*CCPROXY, "logs", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ccproxy.environ(),
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "one\n"
        with log.open("a") as file:
            file.write("two\n")
        assert process.stdout.readline() == "two\n"
        process.send_signal(2)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, "")
