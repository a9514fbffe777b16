"""The key log decrypts a capture of a connection through the proxy, and belongs to its owner alone."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from interceptor import tls_keylog
from tests.fakes.certificates import make_authority
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import key_auth, provider, running_proxy, snapshot


@pytest.fixture(autouse=True)
def off_afterwards() -> Iterator[None]:
    yield
    tls_keylog.install(None)


def test_it_holds_the_secrets_of_a_connection(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    keylog = tmp_path / "tls.keylog"
    keylog.touch(0o644)
    with Upstream(authority.server_context(["http/1.1"])) as server:
        good = provider("good", server.port, scheme="https", auth=key_auth("x-api-key"))
        ca_file = str(authority.ca_file)
        with running_proxy(snapshot(good), ssl_verify_upstream_trusted_ca=ca_file, keylog=keylog) as proxy:
            httpx.post(f"{proxy.url}/v1/messages", json={}, headers={"x-api-key": "sk-ccproxy-good"})
    lines = keylog.read_text().splitlines()
    assert {line.split(" ")[0] for line in lines} >= {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"}
    assert all(len(line.split(" ")) == 3 for line in lines)
    assert stat.S_IMODE(keylog.stat().st_mode) == 0o600


def test_a_full_file_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_keylog, "MAX_BYTES", 100)
    path = tmp_path / "tls.keylog"
    ours, of_another_process = tls_keylog.KeyLog(path), tls_keylog.KeyLog(path)
    for number in range(30):
        (ours if number % 2 else of_another_process)(None, b"line %02d of a secret" % number)
    kept = path.read_bytes() + path.with_name("tls.keylog.1").read_bytes()
    assert path.stat().st_size <= 120 and b"line 29 of a secret\n" in kept
    assert sorted(one.name for one in tmp_path.iterdir()) == ["tls.keylog", "tls.keylog.1"]
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in tmp_path.iterdir())


def test_a_file_that_cannot_be_written_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls_keylog.KeyLog(tmp_path / "missing" / "tls.keylog")(None, b"secret")
    assert "could not be written" in caplog.text and "secret" not in caplog.text.replace("TLS secret", "")
