"""State of the database for the writer of flows: it takes rows, refuses them, or is silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import InterfaceError, OperationalError

FIRST_RETRY_S: Final = 0.05
MAX_RETRY_S: Final = 1.0
STUCK_S: Final = 5.0
"""A question that takes longer is taken for one that nobody answers."""

logger = logging.getLogger(__name__)


class DatabaseState:
    """One thread asks the database and notes here how that went; any thread may read it."""

    def __init__(self) -> None:
        self.is_refusing = False
        """The last question failed, because the database is locked or away."""
        self.last_error = ""
        """The last failure, "" once the database has taken rows again."""
        self.retry_at = 0.0
        """Monotonic time before which rows are not offered again, in seconds."""
        self._retry_s = FIRST_RETRY_S
        self._asking_since: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Return whether the database has not answered for long: it may be frozen."""
        since = self._asking_since
        return since is not None and time.monotonic() - since > STUCK_S

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Note since when the database is asked."""
        self._asking_since = time.monotonic()
        try:
            yield
        finally:
            self._asking_since = None

    def postpone(self, exc: Exception) -> None:
        """Note that rows were refused; the pause before the next try doubles each time."""
        if not self.last_error:
            logger.warning("The database refuses flows now and is tried again: %s", exc)
        self.failed(exc)
        self.retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(self._retry_s * 2, MAX_RETRY_S)

    def failed(self, exc: Exception) -> None:
        """Note that a question failed, and whether the database refused it."""
        self.is_refusing = isinstance(exc, OperationalError | InterfaceError)
        self.note(exc)

    def note(self, exc: Exception) -> None:
        """Note a failure that may have nothing to do with the database."""
        self.last_error = f"{type(exc).__name__}: {exc}"

    def recovered(self, waiting: int) -> None:
        """Note that the database does what it is asked; `waiting` rows are still to be written."""
        if self.last_error:
            logger.info("The database accepts flows again; %d wait", waiting)
        self.last_error = ""
        self.is_refusing = False
        self.retry_at = 0.0
        self._retry_s = FIRST_RETRY_S
