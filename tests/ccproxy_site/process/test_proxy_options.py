"""Server settings as mitmproxy and the record get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccproxy_site.mains.recorder import retention_policy
from ccproxy_site.process.proxy_options import mitmproxy_options, stream_over_bytes
from flows.writer.retention_policy import RetentionPolicy
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.server import ServerSettings
from providers.auth.logins import RefreshLimits
from providers.credentials.stored_logins import refresh_limits


def load(folder: Path, text: str) -> ServerSettings:
    (folder / "ccproxy.yaml").write_text(text)
    return load_server_settings(folder, {})


def test_mitmproxy_gets_its_options_under_its_own_names(tmp_path: Path) -> None:
    text = """\
inspector:
  mitmproxy:
    allow_hosts: [a]
    body_size_limit: 50m
    ignore_hosts: [b]
    ssl_insecure: true
    ssl_verify_upstream_trusted_ca: /ca.pem
"""
    options = mitmproxy_options(load(tmp_path, text))
    assert options == {
        "allow_hosts": ["a"],
        "body_size_limit": "50m",
        "ignore_hosts": ["b"],
        "ssl_insecure": True,
        "ssl_verify_upstream_trusted_ca": "/ca.pem",
    }


@pytest.mark.parametrize(
    ("text", "size"), [("", None), ("{stream_large_bodies: 10m}", 10 * 1024**2)]
)
def test_the_size_from_which_responses_stream(tmp_path: Path, text: str, size: int | None) -> None:
    settings = load(tmp_path, f"inspector: {{mitmproxy: {text or '{}'}}}\n")
    assert stream_over_bytes(settings) == size


def test_the_record_keeps_what_the_settings_say(tmp_path: Path) -> None:
    text = "flows: {retention: {max_age_days: 1.5, max_flows: 2, max_bytes: null}}\n"
    assert retention_policy(load(tmp_path, text)) == RetentionPolicy(
        max_age_days=1.5, max_flows=2, max_bytes=None
    )


def test_logins_are_renewed_as_the_settings_say(tmp_path: Path, settings: object) -> None:
    text = "auth: {refresh_timeout_seconds: 3, refresh_headroom_seconds: 0}\n"
    settings.CCPROXY = load(tmp_path, text)  # type: ignore[attr-defined]
    assert refresh_limits() == RefreshLimits(timeout_s=3, headroom_s=0)
