"""Continuation of Perplexity's threads: by the client's own id, or by a conversation's texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from interceptor.hooks.conversation_key import Texts, key_of, texts_of
from interceptor.hooks.pplx_requests import is_for_perplexity
from interceptor.pipeline.exchange import Exchange, HookReport
from interceptor.pipeline.hook import RefuseRequest, Stage, hook
from providers.base.errors import TranslationError
from providers.perplexity.threads import ThreadIds, entries_of, ids_of
from providers.wire.perplexity.ask_conf import AskConf
from providers.wire.perplexity.ask_extras import FIELD, AskExtras

RESOLVED: Final = "pplx_resolved_via"
DIVERGENCE: Final = "pplx_divergence"
TEXTS: Final = "pplx_texts"
"""Of a conversation whose thread is to be remembered: caller, provider and texts."""


class Params(BaseModel):
    """Parameters of the hook."""

    model_config = ConfigDict(extra="forbid")

    continue_by_history: bool = Field(
        False,
        description="Continue the thread of a conversation whose texts are known. A request may"
        " decide for itself by pplx.continue_thread.",
    )


@dataclass(slots=True)
class Found:
    """Thread of a request, and the texts that are to be remembered of it."""

    ids: ThreadIds | None = None
    via: str = ""
    divergence: str = ""
    texts: Texts | None = None


async def find_thread(ex: Exchange, params: Params) -> Found:
    """Find the thread that a request continues.

    Raises:
        RefuseRequest: the named thread cannot be read, or differs where it must not.
    """
    body: Any = ex.body.peek()
    if not isinstance(body, dict) or ex.provider is None or ex.perplexity is None:
        return Found()
    given = body.get(FIELD)
    wishes: dict[str, Any] = given if isinstance(given, dict) else {}
    if wishes.get("last_backend_uuid"):
        return Found(via="request")
    if (slug := session_of(body)) is not None:
        return await _named_thread(ex, slug)
    if not _wants_history(wishes, params):
        return Found()
    texts = _texts(ex)
    if texts is None:
        return Found()
    ids = None
    if len(texts.turns) > 1:
        ids = await ex.perplexity.recall(key_of(texts.before_last()))
    return Found(ids, "history" if ids else "", texts=texts)


def session_of(body: dict[str, Any]) -> str | None:
    """Return the thread that a client names: `metadata.session_id`, or `pplx.session_id`."""
    for name in ("metadata", FIELD):
        holder = body.get(name)
        value = holder.get("session_id") if isinstance(holder, dict) else None
        if isinstance(value, str) and value:
            return value[:200]
    return None


def _wants_history(wishes: dict[str, Any], params: Params) -> bool:
    try:
        return AskExtras(wishes).flag("continue_thread", default=params.continue_by_history)
    except TranslationError as exc:
        raise RefuseRequest(str(exc)) from None


async def _named_thread(ex: Exchange, slug: str) -> Found:
    if ex.provider is None or ex.perplexity is None:
        return Found()
    conf = (ex.provider.ask or AskConf()).thread
    site = ex.perplexity.site(ex.provider, ex.credential)
    entries = await entries_of(site, slug, conf)
    found = Found(ids_of(entries), "metadata")
    texts = _texts(ex)
    if texts is None or conf.consistency_mode == "ignore":
        return found
    asked = sum(role == "user" for role, _ in texts.turns[:-1])
    # A client that sends no earlier messages has nothing that could differ.
    if asked and asked != len(entries):
        found.divergence = f"the request has {asked} earlier questions, the thread {len(entries)}"
        if conf.consistency_mode == "strict":
            raise RefuseRequest(
                f"The thread “{slug}” is another conversation: {found.divergence}.",
                status_code=409,
            )
    return found


def _texts(ex: Exchange) -> Texts | None:
    if ex.client_format is None or ex.provider is None:
        return None
    caller = "\n".join(
        [ex.caller, ex.headers.get("user-agent") or "", str(ex.metadata.get("session_id", ""))]
    )
    turns = texts_of(ex.body.peek(), ex.client_format)
    return Texts(caller, ex.provider.name, turns) if turns else None


@hook(
    stage=Stage.INBOUND,
    reads={"meta:auth_provider", "meta:session_id", "body"},
    writes={f"body:{FIELD}", f"meta:{RESOLVED}", f"meta:{DIVERGENCE}", f"meta:{TEXTS}"},
    guard=is_for_perplexity,
    prepare=find_thread,
    params=Params,
    timeout_s=120.0,
)
def pplx_thread_inject(ex: Exchange, params: Params) -> None:
    """Continue a thread of Perplexity's that the request belongs to."""
    del params
    found = ex.prepared
    if found.texts is not None:
        ex.metadata[TEXTS] = found.texts
    if found.divergence:
        ex.metadata[DIVERGENCE] = found.divergence
    if found.via:
        ex.metadata[RESOLVED] = found.via
        ex.report = HookReport(f"thread continued, found by {found.via}")
    if found.ids is not None:
        body = ex.json
        wishes = body.get(FIELD)
        body[FIELD] = {**(wishes if isinstance(wishes, dict) else {}), **found.ids.as_fields()}
