"""Modules that mitmproxy imports and a proxy seldom uses: each runs with its first use.

`importlib.util.LazyLoader` is made for this, but since Python 3.12 an `import` of such a module
already runs it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any, Final, NamedTuple


class Late(NamedTuple):
    """A module, and the one that imports it."""

    name: str
    user: str
    purpose: str


LATE: Final = (
    Late("pyparsing", "mitmproxy.command", "commands that people type into mitmproxy"),
    Late("mitmproxy.command_lexer", "mitmproxy.command", "the grammar of these commands"),
    Late("ruamel.yaml", "mitmproxy.optmanager", "mitmproxy's own configuration files"),
    Late("service_identity", "aioquic.tls", "names in certificates of HTTP/3 servers"),
)
"""THE list of such modules."""
_lock: Final = RLock()
_running: Final[set[str]] = set()


class LateModule(ModuleType):
    """A module that has not run yet. Once it has, it is a module like any other."""

    def __getattr__(self, name: str) -> Any:
        # The import system asks for some that a module need not have.
        if not name.startswith("__"):
            run(self)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def import_late() -> None:
    """Have the modules of the list run with their first use.

    Call it before their users are imported. A module that is there already is left alone.
    """
    for late in LATE:
        if late.name not in sys.modules:
            _put(late.name)
    lexer = sys.modules["mitmproxy.command_lexer"]

    def unquote(text: str) -> str:
        run(lexer)
        return str(lexer.unquote(text))

    if isinstance(lexer, LateModule):
        # Its user takes this function out of the module at once.
        vars(lexer)["unquote"] = unquote


def run(module: ModuleType) -> None:
    """Run a module unless it has run; other threads wait for its end."""
    with _lock:
        # While it runs it asks itself for names, as any module does.
        if not isinstance(module, LateModule) or module.__name__ in _running:
            return
        _running.add(module.__name__)
        try:
            spec = module.__spec__
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module(module)
            # It has all its names: looking for others takes no way round any more.
            module.__class__ = ModuleType  # type: ignore[assignment]
        finally:
            _running.discard(module.__name__)


def _put(name: str) -> None:
    spec = find_spec(name)
    if spec is None:
        # Its user says so.
        return
    module = module_from_spec(spec)
    module.__class__ = LateModule
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(import_module(parent), child, module)
