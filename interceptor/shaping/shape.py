"""The outer hook: a copy of the active shape becomes the request, with the request's content.

The body is read as the hooks before left it. Scheme, host, port and path stay the request's.
"""

from __future__ import annotations

from typing import Any, Final

from interceptor.pipeline.exchange import Exchange, HookReport
from interceptor.pipeline.hook import Stage, hook
from interceptor.shaping.active_shape import ActiveShape
from interceptor.shaping.inner_run import InnerRun, draft_of, run_inner
from providers.base.names import FORMAT_OF_TYPE
from providers.wire.detect import client_format, endpoint_suffix, split_query
from shapes.replay.compiled_shape import client_family
from shapes.replay.content_injection import Injected
from shapes.replay.header_stamp import Stamped
from shapes.replay.query_merge import merge_query, shape_fields

NAME: Final = "shape"


class NoShape(Exception):
    """The request cannot take a shape; the message says why."""


def shape_for(ex: Exchange) -> ActiveShape | None:
    """Return the shape that a request takes, or None.

    Only a request to a configured provider takes one, never a captured one on its own way.
    """
    found = ex.shapes.get(ex.provider.type) if ex.provider is not None else None
    return found if isinstance(found, ActiveShape) else None


def takes_shape(ex: Exchange) -> bool:
    """Return True for a call of a model to a provider whose type has an active shape."""
    active = shape_for(ex)
    return active is not None and ex.method == active.shape.method and _calls_model(ex)


def _calls_model(ex: Exchange) -> bool:
    """Return True on the main endpoint; counting tokens and batches have other bodies."""
    if ex.provider is None:
        return False
    wire_format = FORMAT_OF_TYPE.get(ex.provider.type)
    if wire_format is not None and client_format(ex.path) == wire_format:
        return not endpoint_suffix(ex.path, wire_format)
    return split_query(ex.path)[0] == ex.provider.path


@hook(
    stage=Stage.OUTBOUND,
    reads={"body"},
    writes={"header", "body", "url", "meta:shape"},
    guard=takes_shape,
    replaces_headers=True,
)
async def shape(ex: Exchange) -> None:
    """Give the request the headers and fields of the active shape of its provider's type."""
    active = shape_for(ex)
    if active is None:
        raise NoShape("no shape of the provider's type is active")
    try:
        await _give_shape(ex, active)
    except Exception as exc:
        ex.shape_problem = str(exc)
        raise


async def _give_shape(ex: Exchange, active: ActiveShape) -> None:
    found = active.shape
    if found.family and client_family(_client_user_agent(ex)) == found.family:
        ex.report = HookReport(f"not shaped: the client is {found.family} itself")
        return
    incoming = ex.body.peek()
    if not isinstance(incoming, dict):
        raise NoShape("the body is no JSON object")
    run = InnerRun()
    # Before anything can fail: the trace shows the inner hooks that ran.
    ex.report = HookReport(f"{found.label} ({found.client})", steps=run.steps)
    injected = found.injected(incoming)
    draft = draft_of(ex, active, injected.body)
    await run_inner(active, draft, run)
    _take_over(ex, active, draft, injected, run)


def _client_user_agent(ex: Exchange) -> str:
    """Return the user agent that the client sent: a hook may have given the request another one."""
    before = ex.header_edits.get("user-agent")
    if before is not None:
        return before[0] if before else ""
    return ex.headers.get("user-agent") or ""


def _take_over(
    ex: Exchange, active: ActiveShape, draft: Exchange, injected: Injected, run: InnerRun
) -> None:
    """Put the draft's headers, query and body into the request."""
    body = draft.body.peek()
    if not isinstance(body, dict):
        raise NoShape("an inner hook left no JSON object")
    edits = dict(ex.header_edits)
    # Headers of the provider's own settings stay, as those that hooks set do.
    for name, _ in ex.provider.headers if ex.provider else ():
        edits.setdefault(name.lower(), ())
    stamped = active.shape.stamped(ex.headers.fields, draft.headers.fields, edits)
    ex.body.replace_json(body)
    ex.headers.fields = stamped.fields
    ex.path = merge_query(ex.path, shape_fields(draft.path.partition("?")[2]))
    _move_credential(ex)
    ex.metadata["shape"] = active.shape.label
    ex.shaped = active
    if ex.report is not None:
        ex.report.origins = _origins(stamped, injected, body, run)


def _move_credential(ex: Exchange) -> None:
    """Put the credential behind the shape's headers, where clients send it.

    Its old position was one among the client's headers, which are gone.
    """
    if ex.credential_slot is not None:
        ex.credential_slot = (len(ex.headers.fields), ex.credential_slot[1])


def _origins(
    stamped: Stamped,
    injected: Injected,
    body: dict[str, Any],
    run: InnerRun,
) -> tuple[tuple[str, str], ...]:
    """Return the origin of each header and of each top-level field, in their order."""
    origins: dict[str, str] = {}
    for name, origin in stamped.origins.items():
        part = f"header:{name}"
        # A value of the client's own is not the inner hook's, although the hook ran on the draft.
        made_by = run.origins.get(part, origin)
        origins[part] = origin if origin == "client" else made_by
    for name in body:
        part = f"body:{name}"
        origins[part] = run.origins.get(part) or injected.origins.get(name, "shape")
    for name in stamped.dropped:
        origins[f"header:{name}"] = "dropped"
    for name in injected.dropped:
        if name not in body:
            origins[f"body:{name}"] = "dropped"
    return tuple(origins.items())
