"""Files that several processes make at the same time: one content, and never half of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ccproxy_site.process.secret_file import read_or_create_secret
from interceptor.config.files.template import TEMPLATE, write_template
from providers.base.keyring import Keyring
from providers.base.private_file import create_private

AT_ONCE = 8
ROUNDS = 40


def open_keys(path: Path) -> str:
    Keyring.open(path)
    return path.read_text()


def open_config(path: Path) -> str:
    write_template(path)
    return path.read_text()


@pytest.mark.parametrize("make", [read_or_create_secret, open_keys, open_config])
def test_all_that_make_a_file_at_once_read_the_same(
    tmp_path: Path, make: Callable[[Path], str]
) -> None:
    def made(number: int, barrier: threading.Barrier) -> str:
        barrier.wait()
        return make(tmp_path / f"new{number}" / "file")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(ROUNDS):
            barrier = threading.Barrier(AT_ONCE)
            waits = [pool.submit(made, number, barrier) for _ in range(AT_ONCE)]
            (content,) = {wait.result() for wait in waits}
            assert len(content) >= 43
            (file,) = (tmp_path / f"new{number}").iterdir()
            assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    assert not create_private(path, TEMPLATE)
    assert path.read_text() == "mine"


def test_a_file_system_without_links_gets_the_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "file"
    assert create_private(path, "first")
    assert not create_private(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
