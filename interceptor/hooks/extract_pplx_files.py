"""Files in messages to Perplexity: uploaded, and named as attachments instead."""

from __future__ import annotations

import logging

from interceptor.hooks.pplx_requests import is_for_perplexity
from interceptor.pipeline.exchange import Exchange, HookReport
from interceptor.pipeline.hook import Stage, hook
from providers.perplexity.attachments import sources_in, take_out
from providers.wire.perplexity.ask_conf import AskConf
from providers.wire.perplexity.ask_extras import FIELD

logger = logging.getLogger(__name__)


async def upload_files(ex: Exchange) -> list[str] | None:
    """Upload the request's files; return their addresses, None without an account for them.

    Raises:
        RefuseRequest: a file cannot be read or uploaded.
    """
    body = ex.body.peek()
    sources = sources_in(body) if isinstance(body, dict) else []
    if not sources:
        return []
    if ex.credential is None or ex.perplexity is None or ex.provider is None:
        return None
    conf = ex.provider.ask or AskConf()
    site = ex.perplexity.site(ex.provider, ex.credential)
    return await ex.perplexity.upload(ex.flow_id, site, sources, conf.upload)


@hook(
    stage=Stage.INBOUND,
    reads={"meta:auth_provider", "body"},
    writes={"body:messages", "body:input", "body:contents", f"body:{FIELD}"},
    guard=is_for_perplexity,
    prepare=upload_files,
    timeout_s=900.0,
)
def extract_pplx_files(ex: Exchange) -> None:
    """Upload files of a request to Perplexity and name them as attachments."""
    body = ex.json
    if not isinstance(body, dict) or not (sources := sources_in(body)):
        return
    take_out(body)
    if ex.prepared is None:
        ex.report = HookReport(f"{len(sources)} files were left out: there is no session token")
        logger.warning("files were left out: no session token", extra={"flow": ex.flow_id})
        return
    wishes = body.setdefault(FIELD, {})
    if isinstance(wishes, dict):
        known = wishes.get("attachments")
        wishes["attachments"] = [*(known if isinstance(known, list) else []), *ex.prepared]
    ex.report = HookReport(f"{len(ex.prepared)} files uploaded")
