"""Thread that follows the configuration's revision and writes the heartbeat.

A new revision runs within a second: it is validated as a whole, then swapped in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.db import Error, connection

from interceptor.config.snapshot.lasting_connection import LastingConnection
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.snapshot.schema import Snapshot
from interceptor.config.snapshot.store import ConfigStore
from interceptor.instances.heartbeat import Facts, Heartbeats
from interceptor.instances.processes import own_instance
from providers.base.errors import CcproxyError
from providers.models import ConfigRevision

logger = logging.getLogger(__name__)

INTERVAL_S = 0.5
HEARTBEAT_EVERY = 2  # rounds: the row is written once a second

Instances = Callable[[], Mapping[str, Facts]]
"""Returns the facts of each instance, by its name in heartbeat rows."""

_NEWEST_REVISION = f"SELECT number FROM {ConfigRevision._meta.db_table} WHERE id = 1"  # noqa: S608


class ConfigWatcher:
    """Polls the revision row; a refused revision leaves the old snapshot running and says why.

    Args:
        store: where the snapshot is swapped.
        facts: returns what the heartbeat says besides the revision, such as the queue's depth;
            called on this thread.
        on_swap: called with every new snapshot, on this thread.
        instances: returns the instances that this process speaks for; their facts replace
            `facts`, and an instance that is no longer among them loses its row. None: this
            process alone. Called on this thread.
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
        instances: Instances | None = None,
    ) -> None:
        self.instance = own_instance()
        self.refusal = ""
        self.refused_revision: int | None = None
        self._store = store
        self._instances = instances or (lambda: {self.instance: facts()})
        self._on_swap = on_swap
        self._load = load
        self._heartbeats = Heartbeats(version=version, endpoints=endpoints)
        self._connection = LastingConnection()
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
        rounds = 0
        while not self._stop.is_set():
            try:
                self._connection.open()
                self.check()
                if rounds % HEARTBEAT_EVERY == 0:
                    self.beat()
            except Error as exc:
                logger.debug("configuration not read this time: %s", exc)
                self._connection.close()
            rounds += 1
            self._stop.wait(INTERVAL_S)
        self._leave()

    def check(self) -> bool:
        """Load the configuration if its number changed; True when a new snapshot runs."""
        number = _newest_revision()
        if number is None or number in (self._store.current.revision, self.refused_revision):
            return False
        try:
            snapshot = self._load()
        except Error:
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

    def beat(self, instances: Mapping[str, Facts] | None = None) -> None:
        """Write the rows of `instances`; None: of those that the process speaks for now.

        An instance that was written before and is not among them loses its row.
        """
        common = {
            "revision": self._store.current.revision,
            "refused_revision": self.refused_revision,
            "refusal": self.refusal,
        }
        self._heartbeats.write(self._instances() if instances is None else instances, common)

    def _leave(self) -> None:
        try:
            self._connection.open()
            self._heartbeats.remove_all()
        except Error as exc:
            logger.debug("heartbeat rows not removed: %s", exc)
        finally:
            self._connection.close()


def _newest_revision() -> int | None:
    # Without the ORM, which takes twenty times as long, twice a second.
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_REVISION)
        row = cursor.fetchone()
    return row[0] if row else None
