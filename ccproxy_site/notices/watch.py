"""Interface of what looks for events besides failed flows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ccproxy_site.notices.notice import Notice
from flows.models import Flow


class Watch(Protocol):
    """Finds events of one kind.

    `note` is called on the writer's thread and only keeps an id; `look` may ask the database.
    """

    def note(self, flow: Flow) -> None:
        """Take notice of a finished flow."""

    def look(self) -> Iterable[Notice]:
        """Return the events since the last look.

        Raises:
            DatabaseError: they are found later.
        """


class StateWatch:
    """Base of watches that finished flows tell nothing."""

    def note(self, flow: Flow) -> None:
        """Ignore a flow."""
