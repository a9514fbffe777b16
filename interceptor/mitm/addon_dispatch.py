"""Calls addons without looking each of them up again for every event.

mitmproxy 12.2 walks all addons for each of the eight events of a request, under a context manager;
that is about 40 % of its CPU on small requests. Here the functions of an event are looked up once,
and only what has to wait needs a task.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from mitmproxy import exceptions, flow, hooks
from mitmproxy.addonmanager import AddonManager, traverse

logger = logging.getLogger(__name__)

Handlers = tuple[Callable[..., Any], ...]
Args = tuple[Any, ...]


def args_of(event: hooks.Hook) -> Args:
    """The arguments of an event's functions; mitmproxy looks the fields of its class through for
    each event.
    """
    kind: Any = type(event)
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(field.name for field in fields(kind))
    return tuple([getattr(event, name) for name in names])


_FIELD_NAMES: dict[Any, tuple[str, ...]] = {}
"""By class of events, of which there are some sixty."""


class CachedAddonManager(AddonManager):
    """An addon manager whose addons get no new event functions once they are registered."""

    def __init__(self, master: Any) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]
        self._handlers: dict[str, Handlers] = {}

    def register(self, addon: Any) -> Any:
        """Register an addon, and forget what was looked up."""
        self._handlers.clear()
        return super().register(addon)  # type: ignore[no-untyped-call]

    def remove(self, addon: Any) -> None:
        """Remove an addon, and forget what was looked up."""
        super().remove(addon)  # type: ignore[no-untyped-call]
        self._handlers.clear()

    def clear(self) -> None:
        """Remove all addons."""
        super().clear()  # type: ignore[no-untyped-call]
        self._handlers.clear()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Tell the addons of an event, and of the update of its flow if any of them wants to
        know.
        """
        pending = self.call(event, *args_of(event))
        if pending is not None:
            await pending

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Call every function of the event in chain order; one that fails is logged and the others
        run.
        """
        pending = self._call(self._handlers_of(event.name), args_of(event))
        if pending is not None:
            await pending

    def call(self, event: hooks.Hook, *args: Any) -> Awaitable[None] | None:
        """What `handle_lifecycle` does, as far as no function has to wait; the rest is to be
        awaited in a task.
        """
        handlers = self._handlers_of(event.name)
        updates = self._handlers_of("update")
        pending = self._call(handlers, args)
        if not updates or not args or not isinstance(args[0], flow.Flow):
            return pending
        return self._update_after(pending, updates, args[0])

    def _handlers_of(self, name: str) -> Handlers:
        handlers = self._handlers.get(name)
        if handlers is None:
            handlers = self._handlers[name] = self._find(name)
        return handlers

    async def _update_after(
        self, pending: Awaitable[None] | None, updates: Handlers, changed: flow.Flow
    ) -> None:
        if pending is not None:
            await pending
        if (rest := self._call(updates, ([changed],))) is not None:
            await rest

    def _call(self, handlers: Handlers, args: Args) -> Awaitable[None] | None:
        for place, handler in enumerate(handlers):
            try:
                result = handler(*args)
            except exceptions.AddonHalt:
                return None
            except exceptions.OptionsError:
                raise
            except Exception as exc:
                logger.exception("Addon error: %s", exc)
            else:
                if result is not None and hasattr(result, "__await__"):
                    return self._go_on(result, handlers[place + 1 :], args)
        return None

    async def _go_on(self, result: Awaitable[Any] | None, handlers: Handlers, args: Args) -> None:
        """Wait for what a function returned, and call those behind it."""
        try:
            if result is not None:
                await result
        except exceptions.AddonHalt:
            return
        except exceptions.OptionsError:
            raise
        except Exception as exc:
            logger.exception("Addon error: %s", exc)
        if (rest := self._call(handlers, args)) is not None:
            await rest

    def _find(self, name: str) -> Handlers:
        found = (getattr(addon, name, None) for addon in traverse(self.chain))
        return tuple(function for function in found if callable(function))
