"""Session id that groups the requests of one agent session; the body stays unchanged.

It is looked for in this order: the session headers of known clients, then `metadata.user_id` as
Claude Code writes it (a JSON object with `session_id`, or `user_…_account_…_session_UUID`), then
`prompt_cache_key` of OpenAI's APIs, then `request.session_id` as Gemini CLI writes it with a login.
"""

from __future__ import annotations

import orjson

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook

SESSION_HEADERS = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "conversation_id",
    "x-session-id",
    "x-session-affinity",
    "x-affinity",
)
MAX_CHARS = 200
_MARKER = "_session_"


def session_of_user_id(user_id: str) -> str | None:
    """Return the session id inside a `metadata.user_id`, in either of its two spellings."""
    if user_id.lstrip().startswith("{"):
        try:
            value = orjson.loads(user_id)
        except orjson.JSONDecodeError:
            return None
        session = value.get("session_id") if isinstance(value, dict) else None
        return session if isinstance(session, str) and session else None
    if user_id.count(_MARKER) == 1:
        return user_id.partition(_MARKER)[2] or None
    return None


@hook(
    stage=Stage.INBOUND,
    reads={
        "body:metadata",
        "body:prompt_cache_key",
        "body:request",
        *(f"header:{name}" for name in SESSION_HEADERS),
    },
    writes={"meta:session_id"},
)
def extract_session_id(ex: Exchange) -> None:
    """Note the session id of the request."""
    session = next((value for name in SESSION_HEADERS if (value := ex.headers.get(name))), None)
    body = ex.body.peek()
    if not session and isinstance(body, dict):
        metadata = body.get("metadata")
        user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
        session = session_of_user_id(user_id) if isinstance(user_id, str) else None
        if not session and isinstance(key := body.get("prompt_cache_key"), str):
            session = key
        if not session and isinstance(wrapped := body.get("request"), dict):
            named = wrapped.get("session_id")
            session = named if isinstance(named, str) else None
    if session:
        ex.metadata["session_id"] = session[:MAX_CHARS]
