"""The bundle of certificates that jails bind over those of the machine."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jail.ca_bundle import FILE_NAME, write_bundle
from providers.base.errors import ConfigError
from tests.patience import PATIENCE_S

AT_ONCE = 8


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "mitmproxy-ca-cert.pem").write_text("ours\n")
    return tmp_path


def opened(directory: Path, barrier: threading.Barrier) -> int:
    """Write it and open it, as a jail does that binds it later."""
    barrier.wait(PATIENCE_S)
    return os.open(write_bundle(directory, directory, {}), os.O_PATH)


def test_what_one_jail_has_opened_stays_when_others_start(directory: Path) -> None:
    descriptors: list[int] = []
    for _ in range(20):
        (directory / FILE_NAME).unlink(missing_ok=True)
        barrier = threading.Barrier(AT_ONCE)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(opened, [directory] * AT_ONCE, [barrier] * AT_ONCE))
        descriptors += found
        assert [os.fstat(each).st_nlink for each in found] == [1] * AT_ONCE
    for each in descriptors:
        os.close(each)
    assert sorted(path.name for path in directory.iterdir()) == [FILE_NAME, "mitmproxy-ca-cert.pem"]


def test_another_authority_replaces_it(directory: Path) -> None:
    path = write_bundle(directory, directory, {})
    assert path.read_text().startswith("ours\n")
    (directory / "mitmproxy-ca-cert.pem").write_text("another\n")
    path.chmod(0o600)
    write_bundle(directory, directory, {})
    assert path.read_text().startswith("another\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_without_an_authority_it_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ccproxy start"):
        write_bundle(tmp_path, tmp_path, {})
