"""What cannot work ends the start with one line and status 1; it never says ready."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.process import Interceptor


def damage_ca(folder: Path) -> None:
    (folder / "mitmproxy-ca.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\nx\n")


def take_ca_folder(folder: Path) -> None:
    (folder / "ccproxy.yaml").write_text(f"inspector: {{cert_dir: {folder / 'taken'}}}\n")
    (folder / "taken").write_text("")


def damage_key(folder: Path) -> None:
    (folder / "django.key").write_text("x")
    (folder / "secret.key").write_text("x")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (damage_ca, "mitmproxy-ca.pem is damaged"),
        (take_ca_folder, "cannot use the CA in"),
    ],
)
def test_it_is_refused(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    site = Interceptor(tmp_path, "", "--no-console")
    make(site.config_dir)
    for path in site.config_dir.iterdir():
        path.chmod(0o600)
    site.launch()
    assert site.wait() == 1, site.log
    told = [line for line in site.log.splitlines() if says in line]
    assert len(told) == 1, site.log
    assert "Traceback" not in site.log
    assert "listening" not in site.log.lower()
