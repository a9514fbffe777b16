"""One request to a vendor's token endpoint, and the meaning of its response."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

from providers.auth.base import OAuthAuth
from providers.auth.oauth import encode_fields
from providers.base.http_client import httpx
from providers.base.upstream_proxy import UpstreamProxies, UpstreamProxy

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 256 * 1024

_LOGIN_IS_OVER = (
    "invalid_grant",
    "refresh_token_reused",
    "refresh_token_expired",
    "refresh_token_invalidated",
)
"""Errors after which only a new login helps (RFC 6749, 5.2; the longer ones are OpenAI's)."""


class EndpointFailed(Exception):
    """No token came; the text completes "The login of provider x ..." and holds nothing of the
    answer's body.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
        """True when the token itself was refused: only a new login helps."""


async def ask(
    auth: OAuthAuth,
    fields: dict[str, str],
    client_secret: str,
    timeout_s: float = TIMEOUT_S,
    proxies: UpstreamProxies | None = None,
) -> dict[str, Any]:
    """POST the fields and return the response's JSON, which has an access token.

    Redirects are not followed: the tokens are for this address alone. `proxies` are the company's
    by which endpoints are reached.

    Raises:
        EndpointFailed: what went wrong, and whether another try can help.
    """
    response, body = await _post(auth, fields, client_secret, timeout_s, proxies)
    answer = _json(body)
    if response.status_code != 200:
        raise _refusal(auth, response.status_code, answer)
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise EndpointFailed(f"cannot be renewed: {_host(auth)} answered without an access token")
    return answer


async def _post(
    auth: OAuthAuth,
    fields: dict[str, str],
    client_secret: str,
    timeout_s: float,
    proxies: UpstreamProxies | None,
) -> tuple[httpx.Response, bytes]:
    """POST the fields; return the response and its body, empty if it is too long to hold tokens.

    Raises:
        EndpointFailed: the endpoint cannot be reached, or not in time.
    """
    content, content_type = encode_fields(auth, fields, client_secret)
    headers = {
        "content-type": content_type,
        "accept": "application/json",
        # What is not compressed cannot unfold.
        "accept-encoding": "identity",
    }
    via = _proxy_of(auth, proxies) if proxies else None
    proxy = httpx.Proxy(via.url, auth=via.auth) if via else None
    way = f" by way of {via.label}" if via else ""
    try:
        # httpx limits each read; the limit here is that of the complete call.
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(
                timeout=None,
                trust_env=False,
                proxy=proxy,
                follow_redirects=False,
            ) as client,
        ):
            request = client.build_request("POST", auth.endpoint, content=content, headers=headers)
            response = await client.send(request, stream=True)
            return response, await _read(response)
    except TimeoutError:
        raise EndpointFailed(
            f"cannot be renewed: {_host(auth)} did not answer{way} within {timeout_s:g} s"
            " (auth.refresh_timeout_seconds)"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
        raise EndpointFailed(
            f"cannot be renewed: {_host(auth)} cannot be reached{way} ({_cause(exc)})"
        ) from None


def _proxy_of(auth: OAuthAuth, proxies: UpstreamProxies) -> UpstreamProxy | None:
    try:
        url = httpx.URL(auth.endpoint)
    except httpx.InvalidURL:
        return None
    return proxies.of(url.scheme, url.host, url.port or (80 if url.scheme == "http" else 443))


def _cause(exc: Exception) -> str:
    """Return the kind of the failure; of a proxy's refusal its status too."""
    kind = type(exc).__name__
    return f"{kind}: {str(exc)[:80]}" if isinstance(exc, httpx.ProxyError) else kind


async def _read(response: httpx.Response) -> bytes:
    """Return the body; empty when it is longer than a response with tokens can be."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            return b""
    if response.headers.get("content-encoding", "").lower() not in ("gzip", "x-gzip", "deflate"):
        return bytes(body)
    # Compressed although nobody asked for it. 47: zlib's or gzip's header, whichever is there.
    unpacker = zlib.decompressobj(wbits=47)
    try:
        unpacked = unpacker.decompress(bytes(body), MAX_ANSWER_BYTES)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else unpacked


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(auth: OAuthAuth, status_code: int, answer: dict[str, Any]) -> EndpointFailed:
    code = _error_code(answer)
    known = isinstance(code, str) and len(code) <= 60 and code.replace("_", "").isalnum()
    text = f"{status_code} {code}" if known else str(status_code)
    if code in _LOGIN_IS_OVER or (status_code in (400, 401) and not known):
        return EndpointFailed(
            f"is over: {_host(auth)} refused to renew it ({text}); log in again", is_final=True
        )
    if status_code in (400, 401):
        fix = "check client_id and client_secret in the provider's settings, or log in again"
        return EndpointFailed(
            f"cannot be renewed: {_host(auth)} answered {text}; {fix}", is_final=True
        )
    return EndpointFailed(f"cannot be renewed: {_host(auth)} answered {text}")


def _error_code(answer: dict[str, Any]) -> Any:
    """Return the kind of an error: {"error": "x"} and {"error": {"code": "x"}} → "x"."""
    error = answer.get("error")
    if isinstance(error, dict):
        return error.get("code")
    return error if isinstance(error, str) else None


def _host(auth: OAuthAuth) -> str:
    return httpx.URL(auth.endpoint).host
