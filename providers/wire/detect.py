"""Wire format, model and action of a request path.

One table for the proxy, the record and the conversation view. Paths come as they are on the request
line, query included. Sources: the vendors' API references; Codex sends
`/backend-api/codex/responses` with a ChatGPT login, Code Assist `/v1internal:action`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)

Headers = Callable[[str], str | None]
"""Looks up one header by lower-case name."""

_PREFIX = r"(?P<prefix>(?:/[^/:]*){0,5}?)"
_SUFFIX = r"(?P<suffix>/.*)?"
# Verbs of Google's methods; other vendors' models have tags there (`/v1/models/llama3:latest`).
_ACTION = (
    r"(?P<action>(?:generate|stream|batch|count|embed|compute|predict|raw|async|fetch|server|direct"
    r"|explain|transfer)\w*)"
)

# First match wins. A prefix is what a provider or a gateway puts before its API (`/openai`, `/api`,
# `/anthropic`).
_MAIN_ENDPOINTS: tuple[tuple[re.Pattern[str], WireFormatName], ...] = (
    (re.compile(rf"{_PREFIX}/v1internal:(?P<action>\w+)"), GOOGLE_GENERATE),
    (
        re.compile(
            r"(?P<prefix>(?:/[^/:]*){0,5}?)/(?:v1|v1beta|v1alpha|v1beta1)(?:/projects/[^/]+/locations/[^/]+)?"
            rf"(?:/publishers/google)?/(?:models|tunedModels|endpoints)/(?P<model>[^:]+):{_ACTION}"
        ),
        GOOGLE_GENERATE,
    ),
    # A base URL without a version.
    (
        re.compile(rf"{_PREFIX}/(?:models|tunedModels)/(?P<model>[^:]+):{_ACTION}"),
        GOOGLE_GENERATE,
    ),
    (re.compile(rf"{_PREFIX}/chat/completions{_SUFFIX}"), OPENAI_CHAT),
    (re.compile(rf"{_PREFIX}/v1/messages{_SUFFIX}"), ANTHROPIC_MESSAGES),
    (re.compile(rf"{_PREFIX}/responses{_SUFFIX}"), OPENAI_RESPONSES),
)
# Some SDKs are given a base URL without `/v1`; the name is too common to be taken from any other
# caller.
_BARE_MESSAGES = re.compile(rf"{_PREFIX}/messages{_SUFFIX}")
_ANTHROPIC_HEADERS = ("anthropic-version", "anthropic-beta")

# Side endpoints by their first telling segment, for errors in the caller's own shape.
_SIDE_ENDPOINTS: tuple[tuple[re.Pattern[str], WireFormatName], ...] = (
    (
        re.compile(r"(/upload)?/(v1beta|v1alpha|v1beta1|v1internal|gemini|google)\b"),
        GOOGLE_GENERATE,
    ),
    (
        re.compile(r"(/v1/projects|/v1/publishers|/v1/cachedContents|/v1/tunedModels)\b"),
        GOOGLE_GENERATE,
    ),
    (
        re.compile(
            r"/anthropic/|/v1/complete$|/v1/skills\b|/v1/organizations/|/api/claude_|/api/event_logging"
        ),
        ANTHROPIC_MESSAGES,
    ),
    (
        re.compile(
            r"(/openai)?(/v1)?/(embeddings|completions|images|audio|moderations|batches|files|uploads|fine_tuning|assistants"
            r"|threads|vector_stores|realtime|evals|containers|conversations|videos|engines)\b|/openai/"
        ),
        OPENAI_CHAT,
    ),
)

_SLASHES = re.compile(r"/{2,}")
_REPEATED_VERSION = re.compile(r"(/v1)(?:/v1)+(?=/)")
_GOOGLE_VERSION = re.compile(r"/(?:v1|v1beta|v1alpha|v1beta1)/|/v1internal:")
# Names below OpenAI's `/v1`, for clients whose base URL lacks it or has a gateway's `/openai`.
_OPENAI_SIDE = re.compile(
    r"(?:/openai/v1|/anthropic/v1|/openai(?=/models))?(?P<rest>/(?:embeddings|completions|moderations|batches"
    r"|fine_tuning|assistants|threads|vector_stores|realtime|evals|containers|conversations"
    r"|files|uploads|images|audio|videos|models)\b.*)"
)

_VERSIONED = re.compile(r"/v[0-9]\w*/")

_GENERATING_ACTIONS = ("generateContent", "streamGenerateContent")


def split_query(path: str) -> tuple[str, str]:
    """Split a path from its query, without the question mark ("" if there is none)."""
    bare, _, query = path.partition("?")
    return bare, query


def _tidy(bare: str) -> str:
    """Remove the marks of a base URL joined with a path: "//v1/v1/messages/" → "/v1/messages"."""
    if "//" in bare:
        bare = _SLASHES.sub("/", bare)
    bare = _REPEATED_VERSION.sub(r"\1", bare)
    return bare.rstrip("/") or bare


@lru_cache(maxsize=256)
def canonical_path(path: str, wire_format: WireFormatName | None) -> str:
    """Return the path as the vendor's SDK sends it with the vendor's own base URL.

    A client's base URL may lack the version, repeat it, or end with a slash. The query stays.

        ("//v1/v1/messages?a=1", Anthropic) → "/v1/messages?a=1"
        ("/messages/count_tokens", Anthropic) → "/v1/messages/count_tokens"
        ("/x/models/g:countTokens", Google) → "/v1beta/models/g:countTokens"
        ("/embeddings", None) → "/v1/embeddings"
        ("/odd//path", None) → "/odd//path"

    Args:
        path: the client's path with query.
        wire_format: of the endpoint; None for side endpoints.
    """
    bare, mark, query = path.partition("?")
    tidy = _tidy(bare)
    found = _main_match(path)
    if wire_format == GOOGLE_GENERATE and found and found[1] == GOOGLE_GENERATE:
        tidy = tidy[len(found[0]["prefix"]) :]
        if not _GOOGLE_VERSION.match(tidy):
            tidy = f"/v1beta{tidy}"
    elif wire_format == ANTHROPIC_MESSAGES and found is None:
        if named := _BARE_MESSAGES.fullmatch(tidy):
            tidy = f"/v1/messages{named['suffix'] or ''}"
    elif wire_format is None and (side := _OPENAI_SIDE.fullmatch(tidy)):
        tidy = f"/v1{side['rest']}"
    elif wire_format is None and not _VERSIONED.match(tidy):
        # Doubled slashes may mean something to an unknown endpoint, and so may one at the end.
        return path
    elif wire_format is None and bare.endswith("/"):
        tidy += "/"
    return f"{tidy}{mark}{query}"


@lru_cache(maxsize=256)  # a request asks eight times
def _main_match(path: str) -> tuple[re.Match[str], WireFormatName] | None:
    bare = _tidy(split_query(path)[0])
    for pattern, name in _MAIN_ENDPOINTS:
        if match := pattern.fullmatch(bare):
            return match, name
    return None


def client_format(path: str, headers: Headers | None = None) -> WireFormatName | None:
    """Return the wire format of a main endpoint or one below it, else None.

    Below it lies for example `/v1/messages/count_tokens`. With `headers`, `/messages` without a
    version counts as Anthropic's if the caller sends one of its headers.
    """
    if found := _main_match(path):
        return found[1]
    if headers is None or not any(headers(name) for name in _ANTHROPIC_HEADERS):
        return None
    bare = _tidy(split_query(path)[0])
    return ANTHROPIC_MESSAGES if _BARE_MESSAGES.fullmatch(bare) else None


def family_of(path: str, headers: Headers | None = None) -> WireFormatName | None:
    """Guess the caller's vendor from any endpoint. Good enough for the shape of an error."""
    if found := client_format(path, headers):
        return found
    if headers is not None:
        if headers("anthropic-version") or headers("anthropic-beta"):
            return ANTHROPIC_MESSAGES
        if headers("x-goog-api-key") or headers("x-goog-api-client"):
            return GOOGLE_GENERATE
        if headers("openai-organization") or headers("openai-beta") or headers("api-key"):
            return OPENAI_CHAT
    if found := side_vendor(path):
        return found
    if headers is not None and headers("x-api-key") and not headers("authorization"):
        return ANTHROPIC_MESSAGES
    return None


def side_vendor(path: str) -> WireFormatName | None:
    """Return the vendor of a path that is no main endpoint (`/v1/embeddings`), else None."""
    bare = _tidy(split_query(path)[0])
    return next((name for pattern, name in _SIDE_ENDPOINTS if pattern.match(bare)), None)


def endpoint_suffix(path: str, wire_format: WireFormatName) -> str:
    """Return the part after the main endpoint without the query: "/count_tokens" or "".

    Google's two generating actions are the main endpoint. "" also for a path of another format.
    """
    found = _main_match(path)
    if found is None or found[1] != wire_format:
        if found is not None or wire_format != ANTHROPIC_MESSAGES:
            return ""
        # Some clients leave /v1 out of the base URL.
        bare = _BARE_MESSAGES.fullmatch(_tidy(split_query(path)[0]))
        return (bare["suffix"] or "") if bare else ""
    if wire_format == GOOGLE_GENERATE:
        action = found[0]["action"]
        return "" if action in _GENERATING_ACTIONS else f":{action}"
    return found[0]["suffix"] or ""


def action_of(path: str) -> str | None:
    """Return Google's action, the part after the last colon, or None for other paths."""
    found = _main_match(path)
    return found[0]["action"] if found and found[1] == GOOGLE_GENERATE else None


def model_of(path: str, body: Mapping[str, Any] | None = None) -> str | None:
    """Return the requested model: from `/models/X:action` in the path, else the body's `model`."""
    found = _main_match(path)
    if found and found[1] == GOOGLE_GENERATE:
        model = found[0].groupdict().get("model")
        if model:
            return model
    # Code Assist has the model in the body, as all others.
    value = body.get("model") if isinstance(body, Mapping) else None
    return value if isinstance(value, str) and value else None


def is_stream(
    wire_format: WireFormatName | None, path: str, body: Mapping[str, Any] | None = None
) -> bool:
    """Return whether the client asked for a stream.

    Google by its action or `alt=sse`, others by `stream: true`.
    """
    if wire_format == GOOGLE_GENERATE:
        query = split_query(path)[1].split("&")
        return (action_of(path) or "").startswith("stream") or "alt=sse" in query
    return isinstance(body, Mapping) and body.get("stream") is True
