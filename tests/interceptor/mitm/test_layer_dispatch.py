"""Layers give the same commands with and without our dispatch, also while they wait."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from mitmproxy.connection import Client
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer, NextLayer

from interceptor.mitm.events import layer_dispatch

Handle = Callable[[Any, events.Event], Any]
STOCK: tuple[Handle, Handle] = (Layer.handle_event, NextLayer.handle_event)
OURS: tuple[Handle, Handle] = (layer_dispatch.handle_event, layer_dispatch.pass_to_next_layer)


@dataclass
class Asked(commands.StartHook):
    """A hook that the layer waits for."""

    name = "asked"


class Asking(Layer):
    """Waits for a hook with data that begins with a question mark, and sends the data back."""

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        if isinstance(event, events.DataReceived):
            if event.data.startswith(b"?"):
                yield Asked()  # type: ignore[no-untyped-call]
            yield commands.SendData(event.connection, event.data)


class Around(Layer):
    """Passes everything to the layer inside."""

    def __init__(self, context: Context, inner: Layer) -> None:
        super().__init__(context)
        self._inner = inner

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        yield from self._inner.handle_event(event)


def context() -> Context:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=1.0)
    return Context(client, Options())


def said(top: Layer, pieces: list[bytes], *, debug: str | None) -> list[tuple[str, object]]:
    """What comes of the pieces, if a hook completes two pieces after it was called."""
    top.debug = debug
    seen: list[tuple[str, object]] = []
    pending: list[Any] = []

    def hand(event: events.Event) -> None:
        for command in top.handle_event(event):
            if isinstance(command, Asked):
                assert isinstance(command.blocking, Asking)
                pending.append(command)
                seen.append(("asked", None))
            elif isinstance(command, commands.SendData):
                seen.append(("sent", command.data))

    hand(events.Start())
    for number, data in enumerate(pieces):
        hand(events.DataReceived(top.context.client, data))
        if number % 2 and pending:
            hand(events.HookCompleted(pending.pop(0)))
    while pending:
        hand(events.HookCompleted(pending.pop(0)))
    return seen


@pytest.mark.parametrize("debug", [None, " "])
def test_waiting_layers_queue_what_comes(
    debug: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [b"a", b"?b", b"c", b"?d", b"?e", b"f", b"g"]
    found = []
    for handle, ask in (STOCK, OURS):
        monkeypatch.setattr(Layer, "handle_event", handle)
        monkeypatch.setattr(NextLayer, "handle_event", ask)
        inner = Asking(context())
        next_layer = NextLayer(inner.context)
        next_layer._handle = inner.handle_event
        found.append(said(Around(inner.context, next_layer), pieces, debug=debug))
    stock, ours = found
    assert ours == stock
    assert [data for kind, data in ours if kind == "sent"] == pieces
    assert [kind for kind, _ in ours].count("asked") == 3
