"""What commands keep of the settings is what a complete check says, whatever has changed since."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interceptor.config.files import load_settings
from interceptor.config.files.load_settings import load_server_settings
from interceptor.operate.command_settings import (
    KEPT_NAME,
    SETTLED_AFTER_S,
    CommandSettings,
    load_command_settings,
    settings_for_commands,
)
from providers.base.errors import ConfigError

SECRET = "canary-notify-5d2f81"
FILES = st.sampled_from([
    None,
    "port: 4100\n",
    "port: 4200\n",
    "host: 0.0.0.0\nlog_file: null\n",
    "own_credentials: false\ninspector: {cert_dir: ca}\n",
    "flows: {default_jq_filters: ['.[0]']}\nmcp: {http: {enabled: false, port: 4500}}\n",
    "port: none\n",
])  # fmt: skip
VARIABLES = st.dictionaries(
    st.sampled_from([
        "CCPROXY_PORT", "CCPROXY_INSPECTOR__PORT", "CCPROXY_MCP__HTTP__PORT", "CCPROXY_NOTHING"
    ]),
    st.sampled_from(["4301", "4302", "x"]),
)  # fmt: skip


def _write(directory: Path, text: str | None) -> None:
    """Write the file as a user did a while ago."""
    path = directory / "ccproxy.yaml"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
        _age(path)


def _age(path: Path) -> None:
    then = time.time() - 2 * SETTLED_AFTER_S
    os.utime(path, (then, then))


def _checked(directory: Path, environ: dict[str, str]) -> CommandSettings | str:
    try:
        return settings_for_commands(load_server_settings(directory, environ), directory)
    except ConfigError as exc:
        return str(exc)


def _loaded(directory: Path, environ: dict[str, str]) -> CommandSettings | str:
    try:
        return load_command_settings(directory, environ)
    except ConfigError as exc:
        return str(exc)


@pytest.fixture
def is_checked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A list that grows with each complete check."""
    checked: list[Path] = []

    def note(directory: Path, environ: dict[str, str]) -> object:
        checked.append(directory)
        return load_server_settings(directory, environ)

    monkeypatch.setattr(load_settings, "load_server_settings", note)
    return checked


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FILES, VARIABLES), min_size=1, max_size=6))
def test_commands_get_what_a_complete_check_says(
    tmp_path: Path, changes: list[tuple[str | None, dict[str, str]]]
) -> None:
    for text, environ in changes:
        _write(tmp_path, text)
        for _ in range(2):
            assert _loaded(tmp_path, environ) == _checked(tmp_path, environ)


def test_settings_that_have_not_changed_are_checked_once(
    tmp_path: Path, is_checked: list[Path]
) -> None:
    _write(tmp_path, "port: 4100\n")
    first = load_command_settings(tmp_path, {})
    assert load_command_settings(tmp_path, {}) == first
    assert len(is_checked) == 1
    _write(tmp_path, "port: 4200\n")
    assert load_command_settings(tmp_path, {}).port == 4200
    assert load_command_settings(tmp_path, {"CCPROXY_PORT": "4300"}).port == 4300
    assert len(is_checked) == 3


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path, is_checked: list[Path]) -> None:
    """A second change may leave its times and its size as they are."""
    _write(tmp_path, "port: 4100\n")
    (tmp_path / "ccproxy.yaml").touch()
    load_command_settings(tmp_path, {})
    load_command_settings(tmp_path, {})
    assert len(is_checked) == 2
    assert not (tmp_path / KEPT_NAME).exists()


def test_what_others_could_have_written_is_not_taken(
    tmp_path: Path, is_checked: list[Path]
) -> None:
    load_command_settings(tmp_path, {})
    kept = tmp_path / KEPT_NAME
    assert kept.stat().st_mode & 0o777 == 0o600
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps(content | {"port": 1}))
    assert load_command_settings(tmp_path, {}).port == 1
    kept.chmod(0o620)
    assert load_command_settings(tmp_path, {}).port == 4000
    assert len(is_checked) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"origin": 1}', "\x00", "[" * 5000])
def test_what_is_no_settings_is_replaced(tmp_path: Path, content: str) -> None:
    expected = load_command_settings(tmp_path, {})
    kept = tmp_path / KEPT_NAME
    before = kept.read_text()
    kept.write_text(content)
    assert load_command_settings(tmp_path, {}) == expected
    assert kept.read_text() == before


def test_no_secret_is_kept_and_no_directory_made(tmp_path: Path) -> None:
    _write(tmp_path, f"mcp: {{notify_secret: {SECRET}}}\nupstream_proxy: http://u:{SECRET}@p:1\n")
    load_command_settings(tmp_path, {"CCPROXY_INSPECTOR__PORT": "4001"})
    assert SECRET not in (tmp_path / KEPT_NAME).read_text()
    load_command_settings(tmp_path / "missing", {})
    assert not (tmp_path / "missing").exists()
