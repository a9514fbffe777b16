"""Thread that follows the configuration's revision and writes the heartbeat.

A new revision runs within a second: it is validated as a whole, then swapped in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.db import Error, connection

from interceptor.config.snapshot.change_alarm import ChangeAlarm
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
"""Shortest pause between two looks, and the only one where nothing tells of changes."""
BEAT_S = 1.0
"""Shortest time between two heartbeats."""
BEAT_AT_REST_S = 5.0
"""Time after which a heartbeat says again what the one before said."""

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
        self._alarm = ChangeAlarm()
        self._said: tuple[dict[str, Facts], Facts] | None = None
        """What the rows say since the last heartbeat."""
        self._beaten_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """End the thread and remove the heartbeat row."""
        self._stop.set()
        self._alarm.ring()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def note(self) -> None:
        """Note that what the heartbeat says may have changed. Callable from any thread."""
        self._alarm.ring()

    def _run(self) -> None:
        if connection.vendor == "sqlite":
            self._alarm.watch(Path(str(connection.settings_dict["NAME"])).parent)
        while not self._stop.is_set():
            began = time.monotonic()
            is_read = self._look()
            pause_s = self._seconds_to_next_beat() if is_read and self._alarm.is_watching else 0.0
            self._alarm.wait(max(pause_s, INTERVAL_S))
            # Under traffic the files change all the time.
            self._stop.wait(began + INTERVAL_S - time.monotonic())
        self._leave()

    def _look(self) -> bool:
        """Write the heartbeat if it is time, and read the configuration; False: not possible."""
        try:
            if self._connection.open():
                # Another file may lack the rows.
                self._said = None
            self._beat_if_due()
            # Behind our own write and before the look: what others write from now on is seen later.
            self._alarm.clear()
            self.check()
        except Error as exc:
            logger.debug("configuration not read this time: %s", exc)
            self._connection.close()
            return False
        return True

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
        logger.debug("running revision %s", snapshot.revision)
        self.beat()
        return True

    def beat(self, instances: Mapping[str, Facts] | None = None) -> None:
        """Write the rows of `instances`; None: of those that the process speaks for now.

        An instance that was written before and is not among them loses its row.
        """
        facts = self._instances() if instances is None else instances
        self._write(dict(facts), self._common())

    def _beat_if_due(self) -> None:
        """Write the rows if they say something new, or the same for long."""
        if self._seconds_to_next_beat() <= 0.0:
            self._write(dict(self._instances()), self._common())

    def _seconds_to_next_beat(self) -> float:
        """Return the time left; negative when a heartbeat is late."""
        is_said = (dict(self._instances()), self._common()) == self._said
        after_s = BEAT_AT_REST_S if is_said else BEAT_S
        return self._beaten_at + after_s - time.monotonic()

    def _write(self, instances: dict[str, Facts], common: Facts) -> None:
        self._said = None
        self._heartbeats.write(instances, common)
        self._said = (instances, common)
        self._beaten_at = time.monotonic()

    def _common(self) -> Facts:
        return {
            "revision": self._store.current.revision,
            "refused_revision": self.refused_revision,
            "refusal": self.refusal,
        }

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
