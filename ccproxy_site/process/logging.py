"""The log: one rotating file, private to its owner, without secrets and control characters."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from ccproxy_site.process.journal import SOCKET, JournalHandler
from providers.base.errors import ConfigError
from providers.base.nearest import nearest

if TYPE_CHECKING:
    from flows.redaction.redactor import Redactor
    from interceptor.config.files.server import ServerSettings

MAX_BYTES = 10 * 1024 * 1024
BACKUP_COUNT = 3
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# They tell each request's URL and headers; the record has those. Heard at DEBUG alone.
_CHATTY = ("asyncio", "daphne", "h2", "httpcore", "httpx", "twisted")
# Not heard at DEBUG either: every compressed header field, every statement of a migration, and a
# traceback for every absent template variable.
_NEVER_DEBUG = ("hpack", "django.db.backends.schema", "django.template")

# C0 and C1 with DEL, line and direction separators, lone surrogates: what can forge lines or drive
# a terminal.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class LogFormatter(logging.Formatter):
    """Formatter of `time level logger: message [flow id]`, one line a message.

    A traceback follows, each of its lines marked with `| `.
    """

    @cached_property
    def _redactor(self) -> Redactor:
        # Imported with the first line: most commands write none, and it takes 30 ms.
        from flows.redaction.redactor import Redactor
        from providers.auth.registry import SECRETS

        return Redactor(SECRETS)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text that is safe to store and to print."""
        flow = f" [flow {record.flow}]" if hasattr(record, "flow") else ""
        at = (
            datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
        head = f"{at} {record.levelname:<7} {record.name}: {self._message(record)}{flow}"
        lines = [head]
        if record.exc_info and not _is_refusal(record):
            lines += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            lines += record.stack_info.split("\n")
        # Redacted as a whole first: a secret must not hide behind an escape or a line's end.
        text = self._redactor.line("\0".join(lines))
        first, *rest = text.split("\0")
        return "\n".join([escape_controls(first), *("| " + escape_controls(line) for line in rest)])

    def _message(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except Exception as exc:  # a wrong format string must not cost the line
            message = f"{record.msg!r} with {record.args!r} ({exc})"
        return message.replace("\0", "\\x00")


def _is_refusal(record: logging.LogRecord) -> bool:
    """Return True for a client's error that Django answered, such as a 403.

    Its exception is how a view says no; the traceback would look like a defect of ours.
    """
    status = getattr(record, "status_code", None)
    return record.name.startswith("django.") and isinstance(status, int) and 400 <= status < 500


def escape_controls(text: str) -> str:
    r"""Write control characters as escapes, for example `\\x1b` and `\\n`."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


class PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A rotating log file whose mode is 0600 from the first byte on.

    Several processes may write to it.
    """

    def shouldRollover(self, record: logging.LogRecord) -> bool | int:
        """Return True when this line starts a new file.

        Another process may have started one: then this one follows the name first.
        """
        if self.stream is not None and not self._is_current(self.stream.fileno()):
            self.stream.close()
            self.stream = self._open()
        return super().shouldRollover(record)

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.baseFilename))  # noqa: PTH116
        except OSError:
            return False

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(descriptor, 0o600)
        return TextIOWrapper(
            os.fdopen(descriptor, "ab"), encoding=self.encoding, errors=self.errors
        )


_MITMPROXY_LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "alert": logging.INFO + 1,  # as in mitmproxy.log, which costs 40 ms to import
    "debug": logging.DEBUG,
}


def log_as_set(settings: ServerSettings, directory: Path) -> None:
    """Set up the log that the server settings name.

    Raises:
        ConfigError: the log file cannot be written.
    """
    journal = settings.journal_name(directory) if settings.use_journal else ""
    configure_logging(
        settings.log_path(directory),
        settings.log_level,
        to_stderr=not journal,
        journal=journal,
        mitmproxy=settings.inspector.mitmproxy.termlog_verbosity,
    )


def configure_logging(
    log_file: Path | None,
    level: str,
    to_stderr: bool,
    journal: str = "",
    mitmproxy: str = "warn",
) -> None:
    """Set up the root logger; what was set up before is replaced.

    Args:
        log_file: where to write; None writes no file.
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL, in any case.
        to_stderr: write to standard error too.
        journal: identifier to log to the systemd journal under; without a journal, standard error
        takes its place.
        mitmproxy: lowest level of mitmproxy's own lines: error, warn, alert, info or debug. They
        are subject to `level` too.

    Raises:
        ConfigError: when the level is unknown or the file cannot be written.
    """
    if level.upper() not in LEVELS:
        meant = nearest(level, LEVELS)
        hint = f"; did you mean {meant}?" if meant else ""
        raise ConfigError(f"log_level {level!r} is not one of {', '.join(LEVELS)}{hint}")
    journal_there = bool(journal) and SOCKET.exists()
    handlers: list[logging.Handler] = [_file_handler(log_file)] if log_file else []
    if journal_there:
        handlers.append(JournalHandler(journal, SOCKET))
    if to_stderr or (journal and not journal_there):
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    _replace_handlers(root, handlers or [logging.NullHandler()])
    root.setLevel(level.upper())
    _quieten(is_debug=root.level <= logging.DEBUG)
    # A logger's level hides the root's, so the stricter one is set.
    logging.getLogger("mitmproxy").setLevel(max(_MITMPROXY_LEVELS[mitmproxy], root.level))
    logging.captureWarnings(True)
    if journal and not journal_there:
        root.warning(
            "use_journal is on, but there is no systemd journal here; logging to standard error"
        )


def _replace_handlers(root: logging.Logger, handlers: Sequence[logging.Handler]) -> None:
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    formatter = LogFormatter()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)


def _file_handler(log_file: Path) -> logging.Handler:
    try:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return PrivateRotatingFile(
            log_file,
            maxBytes=MAX_BYTES,
            backupCount=BACKUP_COUNT,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as exc:
        raise ConfigError(f"cannot write the log file {log_file}: {exc.strerror}") from None


def _quieten(*, is_debug: bool) -> None:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if is_debug else logging.WARNING)
    for name in _NEVER_DEBUG:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("django", "django.server"):
        # Django's own handlers would print unredacted lines beside ours.
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
