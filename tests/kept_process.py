"""State of the process that commands change, put back after each test."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from ccproxy_site.process.logging import _CHATTY, _NEVER_DEBUG
from ccproxy_site.roles import VARIABLE as ROLE

CONFIGURED_LOGGERS = ("", "django", "django.server", "mitmproxy", *_CHATTY, *_NEVER_DEBUG)
"""What `configure_logging` changes."""


@contextmanager
def kept_umask() -> Iterator[None]:
    """Begin with the usual one; commands set their own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@contextmanager
def kept_signals() -> Iterator[None]:
    """A write to a closed socket must be an error: SIGPIPE's default ends the process silently."""
    yield
    left = signal.getsignal(signal.SIGPIPE)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    assert left is signal.SIG_IGN, "this test changed what SIGPIPE does in its process"


@contextmanager
def kept_logging() -> Iterator[None]:
    """Commands log to the test's standard error, which is closed later."""
    loggers = [logging.getLogger(name) for name in CONFIGURED_LOGGERS]
    before = [(logger, logger.level, logger.propagate, [*logger.handlers]) for logger in loggers]
    yield
    for logger, level, propagate, handlers in before:
        for handler in [each for each in logger.handlers if each not in handlers]:
            handler.close()
        if logger.handlers != handlers:
            logger.handlers[:] = handlers
        if logger.level != level:
            logger.setLevel(level)
        logger.propagate = propagate
    logging.captureWarnings(False)


@contextmanager
def kept_role() -> Iterator[None]:
    """Commands say what kind of process this is, and its children would inherit that."""
    before = os.environ.get(ROLE)
    yield
    if os.environ.get(ROLE) != before:
        os.environ.pop(ROLE, None)
        if before is not None:
            os.environ[ROLE] = before
