"""Hooks as a user writes them: inner hooks of a profile, and outer hooks around the shape."""

from __future__ import annotations

import time

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook


@hook(stage=Stage.OUTBOUND, reads={"body"}, writes={"body", "header:x-inner"})
def add_field(ex: Exchange) -> None:
    """Write into the draft what the client's own request says."""
    assert ex.incoming is not None
    ex.json["ref_note"] = f"for {ex.incoming.json['model']}"
    ex.headers.set("x-inner", "1")


@hook(stage=Stage.OUTBOUND, reads={"body"})
def fail(ex: Exchange) -> None:
    """Fail."""
    ex.json["system"] = "half done"
    raise LookupError("no luck")


@hook(stage=Stage.OUTBOUND, reads={"body"}, timeout_s=0.05)
def hang(ex: Exchange) -> None:
    """Take too long."""
    del ex
    time.sleep(0.5)


@hook(stage=Stage.OUTBOUND, reads={"body:messages"}, writes={"body:messages", "header:x-team"})
def edit_everything(ex: Exchange) -> None:
    """Edit a message, two headers and the address's query."""
    ex.json["messages"][-1]["content"] += " (edited)"
    ex.headers.set("x-team", "blue")
    ex.headers.set("accept", "application/edited")
    ex.path += ("&" if "?" in ex.path else "?") + "team=blue"


@hook(stage=Stage.OUTBOUND)
def undeclared(ex: Exchange) -> None:
    """Edit what is declared nowhere."""
    ex.json["messages"][0]["content"] += " (undeclared)"
    ex.headers.set("x-undeclared", "1")
