"""Code Assist's envelope: session, project and prompt id, and the CLI's user agent if asked for.

Code Assist (`cloudcode-pa.googleapis.com`) takes Google's request inside of
`{"model", "project", "user_prompt_id", "request": {..., "session_id"}}`. The implicit prefix cache
is keyed by the session, so its id must be stable for all turns of a conversation.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import NAMESPACE_OID, uuid4, uuid5

from pydantic import BaseModel, ConfigDict, Field

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook
from interceptor.pipeline.project_search import ProjectSearch
from providers.base.names import GOOGLE_GENERATE
from providers.wire.core.ir import JsonObject
from providers.wire.detect import action_of, model_of, split_query
from providers.wire.google_generate.envelope import (
    CODE_ASSIST_TYPE,
    enveloped,
    enveloped_count,
    is_enveloped,
)

COUNT: Final = "countTokens"
STREAM: Final = "streamGenerateContent"
ACTIONS: Final = ("generateContent", STREAM, COUNT)
_SDK: Final = "google-genai-sdk/"
_INTERNAL: Final = "/v1internal:"
_VERSION: Final = r"^[\w.+-]{1,40}$"


class Params(BaseModel):
    """Parameters of the hook."""

    model_config = ConfigDict(extra="forbid")

    project: str = Field(
        "", max_length=200, description="Used as it is; without one the account may be asked."
    )
    discover: bool = Field(True, description="Ask the account for its project.")
    onboard: bool = Field(False, description="Register an account that has no project.")
    tier: str = Field(
        "", max_length=100, description="Tier to register for; empty: the account's default."
    )
    timeout_s: float = Field(
        10.0, gt=0, le=60, description="Seconds that the questions to the account may take."
    )
    cli_user_agent: bool = Field(
        False, description="Give requests of Google's SDKs the user agent of Gemini CLI."
    )
    cli_version: str = Field(
        "0.36.0", pattern=_VERSION, description="Version of Gemini CLI in that user agent."
    )
    client_version: str = Field(
        "9.15.1", pattern=_VERSION, description="Version of Google's client library in it."
    )
    node_version: str = Field("22.22.2", pattern=_VERSION, description="Version of Node.js in it.")


def is_code_assist(ex: Exchange) -> bool:
    """Return True for a request to a provider of the type `gemini` that the envelope is for."""
    if ex.provider is None or ex.provider.type != CODE_ASSIST_TYPE:
        return False
    return action_of(ex.path) in ACTIONS


async def find_project(ex: Exchange, params: Params) -> str:
    """Return the project for the envelope; "" leaves it out.

    The account is asked at the first request that needs it.
    """
    if params.project:
        return params.project
    body = ex.body.peek()
    has_own = isinstance(body, dict) and body.get("project")
    if has_own or not params.discover or action_of(ex.path) == COUNT:
        return ""
    if ex.projects is None or ex.credential is None or ex.provider is None:
        return ""
    search = ProjectSearch(params.timeout_s, params.onboard, params.tier)
    return await ex.projects.find(ex.provider, ex.credential, search)


@hook(
    stage=Stage.OUTBOUND,
    reads={"body", "header:user-agent", "header:x-goog-api-key"},
    writes={
        "body",
        "url",
        "header:user-agent",
        "header:x-goog-api-client",
        "header:x-goog-api-key",
    },
    guard=is_code_assist,
    prepare=find_project,
    params=Params,
    timeout_s=65.0,
)
def gemini_cli(ex: Exchange, params: Params) -> None:
    """Put the request into Code Assist's envelope, with session, project and prompt id."""
    body = ex.body.peek()
    if not isinstance(body, dict):
        return
    action = action_of(ex.path) or ""
    model = _model(ex, body)
    added = not is_enveloped(body)
    if action != COUNT:
        completed = _completed(ex, enveloped(body, model) if added else body, model)
    elif added:
        completed = enveloped_count(body, model)
    else:
        completed = body
    # A client's own complete envelope keeps every byte.
    if completed is not body:
        ex.body.json = completed
    ex.path = _path(ex.path, action, added=added)
    ex.headers.remove("x-goog-api-key")
    if params.cli_user_agent:
        _wear_cli_user_agent(ex, params, model)
    # Last: a failure above leaves the request as it was, and its response too.
    ex.envelope_added = added and ex.client_format == GOOGLE_GENERATE


def _model(ex: Exchange, body: JsonObject) -> str:
    """Return the model: from the path, the body, or the request inside of the envelope."""
    inner = body.get("request")
    found = model_of(ex.path, body) or (model_of("", inner) if isinstance(inner, dict) else None)
    return (found or ex.requested_model).removeprefix("models/")


def _completed(ex: Exchange, body: JsonObject, model: str) -> JsonObject:
    """Return the envelope with what it lacks; a client's own values stay.

    A complete envelope is returned as the very same object.
    """
    project = body.get("project") or ex.prepared or ""
    complete = body.get("model") and body.get("user_prompt_id")
    if complete and body.get("project", "") == project and "session_id" in body["request"]:
        return body
    named: dict[str, Any] = {"model": body.get("model") or model}
    if project:
        named["project"] = project
    named["user_prompt_id"] = body.get("user_prompt_id") or str(uuid4())
    rest = {key: value for key, value in body.items() if key not in (*named, "project", "request")}
    request = {"session_id": session_id(ex, model, project), **body["request"]}
    return {**named, **rest, "request": request}


def session_id(ex: Exchange, model: str, project: str) -> str:
    """Return the id of the conversation, the same for all its turns and after a restart."""
    conversation = ex.conversation_id or f"flow:{ex.flow_id}"
    return str(uuid5(NAMESPACE_OID, f"ccproxy:{model}:{project or 'default'}:{conversation}"))


def _path(path: str, action: str, *, added: bool) -> str:
    """Return Code Assist's path.

    A stream always is one of events there; a client without `alt=sse` gets its array from us.
    """
    bare, query = split_query(path)
    if _INTERNAL not in bare:
        bare = f"{_INTERNAL}{action}"
    fields = [field for field in query.split("&") if field]
    if added and action == STREAM and "alt=sse" not in fields:
        fields = [field for field in fields if not field.startswith("alt=")]
        fields.append("alt=sse")
    return "?".join([bare, "&".join(fields)]) if fields else bare


def _wear_cli_user_agent(ex: Exchange, params: Params, model: str) -> None:
    """Give an SDK's request the user agent of Gemini CLI.

    Code Assist limits the rate for each token, project and user agent. Other clients keep theirs.
    """
    if _SDK not in (ex.headers.get("user-agent") or ""):
        return
    platform = "(linux; x64; terminal)"
    client = f"google-api-nodejs-client/{params.client_version}"
    # A model's name comes from the client and must not end the header.
    name = "".join(c for c in model if c.isascii() and c.isprintable() and c != " ")[:100]
    ex.headers.set("user-agent", f"GeminiCLI/{params.cli_version}/{name} {platform} {client}")
    ex.headers.set("x-goog-api-client", f"gl-node/{params.node_version}")
