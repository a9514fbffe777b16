"""Items of a conversation, and the messages they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django.utils.safestring import SafeString


class Written(NamedTuple):
    """A block as a page shows it; `subject` and `formed` as in `Item`."""

    html: SafeString = SafeString("")
    subject: str = ""
    formed: bool = False


@dataclass(slots=True)
class Item:
    """One block of a message.

    `kind`: text, thinking, call, result, image, media, foreign. `results` are a call's.
    """

    kind: str
    write: Callable[[], Written] = Written
    """Writes the HTML once a page shows it: of long conversations most is only measured."""
    title: str = ""
    size_bytes: int = 0
    folded: bool = False
    failed: bool = False
    source: str = ""
    results: list[Item] = field(default_factory=list)
    _written: Written | None = None

    @property
    def html(self) -> SafeString:
        """The block as HTML."""
        return self._shown().html

    @property
    def subject(self) -> str:
        """Subject of a call: a file, a command's description."""
        return self._shown().subject

    @property
    def formed(self) -> bool:
        """The HTML is more than text: the page puts no `pre` around it."""
        return self._shown().formed

    def _shown(self) -> Written:
        if self._written is None:
            self._written = self.write()
        return self._written


@dataclass(slots=True)
class TurnView:
    """One message. `number` counts from 1; the response has none."""

    role: str
    label: str
    items: list[Item]
    number: int | None = None
    size_bytes: int = 0


def total_bytes(items: Iterable[Item]) -> int:
    """Return the bytes of all items together."""
    return sum(item.size_bytes for item in items)
