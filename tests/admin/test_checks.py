from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ccproxy_site import checks

ROOT = Path(__file__).resolve().parents[2]


def ids(messages) -> list[str]:
    return [message.id for message in messages]


def test_a_key_file_that_others_can_read_is_an_error(settings, tmp_path):
    settings.CCPROXY_KEY_FILE = tmp_path / "secret.key"
    assert checks.key_file() == []
    settings.CCPROXY_KEY_FILE.write_text("x")
    settings.CCPROXY_KEY_FILE.chmod(0o644)
    [found] = checks.key_file()
    assert found.id == "ccproxy.E001"
    assert "chmod 600" in found.msg


def test_an_open_config_directory_is_a_warning(settings, tmp_path):
    settings.CONFIG_DIR = tmp_path
    tmp_path.chmod(0o755)
    assert ids(checks.config_directory()) == ["ccproxy.W001"]
    tmp_path.chmod(0o700)
    assert checks.config_directory() == []


def test_code_from_the_browser_and_open_hosts_are_named(settings):
    assert checks.code_from_the_browser() == checks.console_hosts() == []
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    settings.ALLOWED_HOSTS = ["*"]
    assert ids(checks.code_from_the_browser()) == ["ccproxy.W002"]
    assert ids(checks.console_hosts()) == ["ccproxy.E002"]


def test_the_production_settings_pass_the_deployment_checks(tmp_path):
    environment = {
        **os.environ,
        "CCPROXY_CONFIG_DIR": str(tmp_path / "config"),
        "CCPROXY_PRODUCTION": "1",
    }
    run = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
