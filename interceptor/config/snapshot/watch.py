"""Thread that follows the configuration's revision and writes the heartbeat.

A new revision runs within a second: it is validated as a whole, then swapped in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, close_old_connections, connection

from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.instances.processes import own_instance
from interceptor.models import InterceptorStatus
from providers.base.errors import CcproxyError
from providers.models import ConfigRevision

logger = logging.getLogger(__name__)

INTERVAL_S = 0.5
HEARTBEAT_EVERY = 2  # rounds: the row is written once a second
BUSY_TIMEOUT_MS = 1000
STALE_AFTER = timedelta(minutes=5)


class ConfigWatcher:
    """Polls the revision row; a refused revision leaves the old snapshot running and says why.

    Args:
        store: where the snapshot is swapped.
        facts: returns what the heartbeat says besides the revision, such as the queue's depth;
            called on this thread.
        on_swap: called with every new snapshot, on this thread.
    """

    def __init__(
        self,
        store: ConfigStore,
        *,
        endpoints: dict[str, Any],
        version: str,
        facts: Callable[[], dict[str, Any]] = dict,
        on_swap: Callable[[Snapshot], None] | None = None,
        load: Callable[[], Snapshot] = load_snapshot,
    ) -> None:
        self.instance = own_instance()
        self.refusal = ""
        self.refused_revision: int | None = None
        self._store = store
        self._facts = facts
        self._on_swap = on_swap
        self._load = load
        self._row = {"started_at": datetime.now(UTC), "version": version, "endpoints": endpoints}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """End the thread and remove the heartbeat row."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        if connection.vendor == "sqlite":
            # Another process may hold the lock for long: this thread would rather try again than
            # hang.
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        rounds = 0
        while not self._stop.is_set():
            try:
                close_old_connections()
                self.check()
                if rounds % HEARTBEAT_EVERY == 0:
                    self.beat()
            except DatabaseError as exc:
                logger.debug("configuration not read this time: %s", exc)
            rounds += 1
            self._stop.wait(INTERVAL_S)
        self._leave()

    def check(self) -> bool:
        """Load the configuration if its number changed; True when a new snapshot runs."""
        number = ConfigRevision.objects.filter(pk=1).values_list("number", flat=True).first()
        if number is None or number in (self._store.current.revision, self.refused_revision):
            return False
        try:
            snapshot = self._load()
        except DatabaseError:
            raise
        except Exception as exc:
            self.refused_revision = number
            self.refusal = (
                str(exc) if isinstance(exc, CcproxyError) else f"{type(exc).__name__}: {exc}"
            )
            logger.error(
                "revision %s refused: %s; running %s",
                number,
                self.refusal,
                self._store.current.revision,
            )
            self.beat()
            return False
        self._store.replace(snapshot)
        self.refusal, self.refused_revision = "", None
        if self._on_swap:
            self._on_swap(snapshot)
        logger.info("running revision %s", snapshot.revision)
        self.beat()
        return True

    def beat(self) -> None:
        """Write the heartbeat row."""
        row = {
            **self._row,
            "heartbeat_at": datetime.now(UTC),
            "revision": self._store.current.revision,
            "refused_revision": self.refused_revision,
            "refusal": self.refusal,
            **self._facts(),
        }
        InterceptorStatus.objects.update_or_create(instance=self.instance, defaults=row)

    def _leave(self) -> None:
        try:
            old = datetime.now(UTC) - STALE_AFTER
            InterceptorStatus.objects.filter(instance=self.instance).delete()
            InterceptorStatus.objects.filter(heartbeat_at__lt=old).delete()
        except DatabaseError as exc:
            logger.debug("heartbeat row not removed: %s", exc)
        finally:
            connection.close()
