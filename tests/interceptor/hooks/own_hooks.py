"""Hooks as a user writes them; named by their dotted path."""

from __future__ import annotations

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import RefuseRequest, Stage, hook
from providers.wire.core.ir import Request, Text

SENTENCE = "Be brief."


@hook(stage=Stage.INBOUND, reads={"header:x-refuse"})
def refuse(ex: Exchange) -> None:
    """Refuse requests that ask for it."""
    if ex.headers.get("x-refuse"):
        raise RefuseRequest("Your budget is used up until tomorrow.", status_code=402)


async def look_up(ex: Exchange) -> None:
    """Refuse while preparing."""
    if ex.headers.get("x-refuse-early"):
        raise RefuseRequest("The budget cannot be looked up.", status_code=503)


@hook(stage=Stage.INBOUND, prepare=look_up)
def prepared(ex: Exchange) -> None:
    """Do nothing beyond the preparation."""
    del ex


@hook(stage=Stage.INBOUND)
def be_brief(ex: Exchange) -> None:
    """Ask for short responses, in every wire format."""
    if ex.headers.get("x-brief"):
        ex.edits.append(add_sentence)


def add_sentence(request: Request) -> None:
    """Add the sentence to the system prompt."""
    request.system.append(Text(SENTENCE))


@hook(stage=Stage.SEAL)
def sign(ex: Exchange) -> None:
    """Sign the final body and credential; try to move the request."""
    credential = ex.headers.get("x-api-key") or ex.headers.get("authorization") or ""
    ex.headers.set("x-signature", f"{len(ex.body.data)} {credential[-4:]}")
    ex.headers.set("x-ccproxy-secret", "internal")
    if ex.headers.get("x-move"):
        ex.host, ex.port = "192.0.2.1", 1
