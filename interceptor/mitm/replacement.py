"""Reversible replacement of attributes of modules and classes that are not ours."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

_ABSENT: Final = object()
"""Saved for an attribute that the owner only inherited: undoing deletes ours."""


class Replacement:
    """Attributes that are replaced together and put back together.

    Args:
        values: the new object by dotted path, e.g. "mitmproxy.http.Headers.get".
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._originals: dict[str, Any] = {}

    @property
    def is_installed(self) -> bool:
        """True between `install` and `uninstall`."""
        return bool(self._originals)

    def install(self) -> None:
        """Put the new objects in place; does nothing the second time.

        Raises:
            AttributeError: an attribute does not exist; mitmproxy has moved it.
        """
        if self.is_installed:
            return
        found = {path: _owner_of(path) for path in self._values}
        # Look all of them up first: a failure must not leave half of them replaced.
        originals = {path: _own(owner, name) for path, (owner, name) in found.items()}
        for path, (owner, name) in found.items():
            setattr(owner, name, self._values[path])
        self._originals = originals

    def uninstall(self) -> None:
        """Put the very objects back that were there before; does nothing the second time.

        Raises:
            RuntimeError: one of ours was replaced since.
        """
        if not self.is_installed:
            return
        for path, value in self._values.items():
            owner, name = _owner_of(path)
            # A later replacement saved ours as its original and would put it back for good.
            if _own(owner, name) is not value:
                raise RuntimeError(f"{path} was replaced again; undo the later replacement first")
        for path, original in self._originals.items():
            owner, name = _owner_of(path)
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._originals = {}


def _owner_of(path: str) -> tuple[Any, str]:
    """Return the module or class that holds the last name of a dotted path, and that name.

    "mitmproxy.http.Headers.get" → (the class Headers, "get")
    """
    names = path.split(".")
    for size in range(len(names) - 1, 0, -1):
        try:
            owner: Any = import_module(".".join(names[:size]))
        except ModuleNotFoundError:
            continue  # the path's middle names a class
        for name in names[size:-1]:
            owner = getattr(owner, name)
        return owner, names[-1]
    raise AttributeError(f"nothing is at {path}")


def _own(owner: Any, name: str) -> Any:
    """Return the owner's own attribute as it is stored, `_ABSENT` when it is inherited.

    `getattr` would unwrap a static method, and the original could not be restored.

    Raises:
        AttributeError: the owner neither has nor inherits it.
    """
    own = vars(owner).get(name, _ABSENT)
    if own is _ABSENT:
        getattr(owner, name)
    return own
