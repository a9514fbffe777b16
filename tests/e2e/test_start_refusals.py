"""What a child of the supervisor refuses ends the start with one line and status 1.

test_authority.py and test_start_checks.py have what is refused.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.process import Interceptor


def test_it_never_says_ready(tmp_path: Path) -> None:
    site = Interceptor(tmp_path, "", "--no-console")
    authority = site.config_dir / "mitmproxy-ca.pem"
    authority.write_text("-----BEGIN RSA PRIVATE KEY-----\nx\n")
    authority.chmod(0o600)
    site.launch()
    assert site.wait() == 1, site.log
    told = [line for line in site.log.splitlines() if "mitmproxy-ca.pem is damaged" in line]
    assert len(told) == 1, site.log
    assert "Traceback" not in site.log
    assert "listening" not in site.log.lower()
