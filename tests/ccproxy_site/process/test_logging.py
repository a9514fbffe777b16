"""The log keeps secrets and control characters out, and its file private."""

from __future__ import annotations

import logging
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.log import ALERT

from ccproxy_site.process import logging as site_logging
from ccproxy_site.process.logging import configure_logging, escape_controls, log_as_set
from flows.redaction.redactor import mark
from interceptor.config.files.server import ServerSettings
from providers.auth.registry import SECRETS
from providers.base.errors import ConfigError
from tests.patience import PATIENCE_S

KEY = "sk-proj-logged-0123456789abcdef"
logger = logging.getLogger("ccproxy.test")


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A log file; the loggers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)  # kept open: they are pytest's
    monkeypatch.setattr(SECRETS, "values", SECRETS.values)
    SECRETS.add(KEY)
    yield tmp_path / "logs" / "ccproxy.log"
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.getLogger("mitmproxy").setLevel(logging.NOTSET)
    logging.captureWarnings(False)


def test_it_works(log_file: Path) -> None:
    configure_logging(log_file, "info", to_stderr=False)
    logger.info("hello %s", "world", extra={"flow": "f-1"})
    logger.debug("too quiet")
    (line,) = log_file.read_text().splitlines()
    assert line.endswith("INFO    ccproxy.test: hello world [flow f-1]")


def test_the_file_is_private_also_after_a_rotation(
    log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_logging, "MAX_BYTES", 200)
    log_file.parent.mkdir()
    log_file.touch()
    log_file.chmod(0o644)
    configure_logging(log_file, "INFO", to_stderr=False)
    assert stat.S_IMODE(log_file.stat().st_mode) == 0o600
    for _ in range(50):
        logger.info("a line that fills the file")
    files = sorted(log_file.parent.iterdir())
    assert [path.name for path in files] == [
        "ccproxy.log",
        "ccproxy.log.1",
        "ccproxy.log.2",
        "ccproxy.log.3",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_restart_appends(log_file: Path) -> None:
    for text in ("first", "second"):
        configure_logging(log_file, "INFO", to_stderr=False)
        logger.info(text)
    assert [line.split()[-1] for line in log_file.read_text().splitlines()] == ["first", "second"]


def test_no_secret_reaches_the_log(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_file, "INFO", to_stderr=True)
    logger.info("key %s in %r", KEY, {"Authorization": "Bearer not-registered-0123"})
    try:
        raise ValueError(f"GET https://h/v1?key=AIzaSecret failed with {KEY}")
    except ValueError:
        logger.exception("oops")
    written = log_file.read_text()
    for text in (written, capsys.readouterr().err):
        assert mark(KEY) in text
        assert "Traceback" in text
        for secret in (KEY, "logged-0123456789", "not-registered-0123", "AIzaSecret"):
            assert secret not in text


def test_control_characters_cannot_forge_lines(log_file: Path) -> None:
    configure_logging(log_file, "INFO", to_stderr=False)
    logger.info("one\n2030-01-01 CRITICAL two\r\x1b[31m\x9b\x00\u2028\u202e\ud800 é")
    try:
        raise ValueError("bad\n2030-01-01 CRITICAL \x1b[2J")
    except ValueError:
        logger.exception("oops")
    lines = log_file.read_text().splitlines()
    assert lines[0].endswith(r"one\n2030-01-01 CRITICAL two\r\x1b[31m\x9b\x00\u2028\u202e\ud800 é")
    assert all(line.startswith("| ") for line in lines[2:])
    assert lines[-1] == r"| 2030-01-01 CRITICAL \x1b[2J"


def test_a_wrong_format_string_still_leaves_a_line(log_file: Path) -> None:
    configure_logging(log_file, "INFO", to_stderr=False)
    logger.info("%d apples", "many")
    assert "'%d apples' with ('many',)" in log_file.read_text()


def test_loggers_that_tell_urls_are_quiet(log_file: Path) -> None:
    configure_logging(log_file, "INFO", to_stderr=False)
    logging.getLogger("httpx").info("HTTP Request: GET https://h/?x=1")
    logging.getLogger("django.server").info("hello")
    assert log_file.read_text().count("\n") == 1


def test_who_asks_for_debug_gets_it_of_everybody_without_secrets(log_file: Path) -> None:
    configure_logging(log_file, "INFO", to_stderr=False)
    configure_logging(log_file, "DEBUG", to_stderr=False)
    names = (
        "ccproxy.test",
        "providers.auth",
        "django.request",
        "httpx",
        "httpcore",
        "daphne",
    )
    for name in names:
        logging.getLogger(name).debug(
            "sent [(b'x-api-key', b'%s')] and password=hunter2-hunter2", KEY
        )
    lines = log_file.read_text().splitlines()
    assert [line.split()[2] for line in lines] == [f"{name}:" for name in names]
    assert all(f"{mark(KEY)}')]" in line and "hunter2" not in line for line in lines)
    configure_logging(log_file, "INFO", to_stderr=False)
    logging.getLogger("httpx").info("quiet again")
    assert "quiet again" not in log_file.read_text()


@pytest.mark.parametrize(
    ("verbosity", "heard"),
    [
        ("error", ["error"]),
        ("warn", ["error", "warning"]),
        ("alert", ["error", "warning", "alert"]),
        ("info", ["error", "warning", "alert", "info"]),
        ("debug", ["error", "warning", "alert", "info", "debug"]),
    ],
)
def test_termlog_verbosity_is_the_lowest_level_of_mitmproxy_s_lines(
    log_file: Path, tmp_path: Path, verbosity: str, heard: list[str]
) -> None:
    settings = ServerSettings.model_validate(
        {"log_level": "DEBUG", "inspector": {"mitmproxy": {"termlog_verbosity": verbosity}}}
    )
    log_as_set(settings, tmp_path)
    others = logging.getLogger("mitmproxy.proxy.server")
    for level in (logging.ERROR, logging.WARNING, ALERT, logging.INFO, logging.DEBUG):
        others.log(level, "said at %s", logging.getLevelName(level).lower())
    lines = (tmp_path / "ccproxy.log").read_text().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == heard


@pytest.mark.parametrize(
    ("settings", "identifier"),
    [
        ({"use_journal": True}, b"ccproxy-dev"),
        ({"use_journal": True, "journal_identifier": "mine"}, b"mine"),
    ],
)
def test_the_journal_is_used_under_its_identifier(
    log_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    identifier: bytes,
) -> None:
    monkeypatch.setattr(site_logging, "SOCKET", tmp_path / "journal")
    (tmp_path / "dev").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(PATIENCE_S)
        log_as_set(ServerSettings.model_validate(settings), tmp_path / "dev")
        logger.warning("hello")
        assert b"\nSYSLOG_IDENTIFIER=" + identifier + b"\n" in server.recv(4096)


def test_the_log_file_is_where_the_settings_say(log_file: Path, tmp_path: Path) -> None:
    settings = ServerSettings.model_validate({"log_file": "logs/mine.log", "log_level": "ERROR"})
    log_as_set(settings, tmp_path)
    logger.warning("quiet")
    logger.error("heard")
    assert "heard" in (tmp_path / "logs" / "mine.log").read_text()
    assert "quiet" not in (tmp_path / "logs" / "mine.log").read_text()


def test_mitmproxy_s_lines_are_subject_to_the_level_of_the_log(
    log_file: Path, tmp_path: Path
) -> None:
    settings = ServerSettings.model_validate(
        {"log_level": "ERROR", "inspector": {"mitmproxy": {"termlog_verbosity": "debug"}}}
    )
    log_as_set(settings, tmp_path)
    logging.getLogger("mitmproxy.master").warning("quiet")
    assert (tmp_path / "ccproxy.log").read_text() == ""


def test_what_cannot_work_is_said_in_one_sentence(log_file: Path) -> None:
    with pytest.raises(ConfigError, match="'LOUD' is not one of DEBUG, INFO"):
        configure_logging(log_file, "LOUD", to_stderr=False)
    log_file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot write the log file"):
        configure_logging(log_file, "INFO", to_stderr=False)


@pytest.mark.parametrize(
    ("text", "shown"), [("a\tb", r"a\tb"), ("\x7f", r"\x7f"), ("plain é ‹", "plain é ‹")]
)
def test_escapes(text: str, shown: str) -> None:
    assert escape_controls(text) == shown
