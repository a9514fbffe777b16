"""A recorded request as something to run: curl, Python with httpx, or a vendor's SDK. Pure.

Secrets are environment variables, never values. The texts are safe to paste: every literal is
quoted, and what a reader could not see (control and direction-changing characters) is written as an
escape.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from flows.bodies.complete_flow import CompleteFlow
from flows.display.safe_text import printable
from flows.export.sdk_code import SDK_KINDS, sdk_code
from flows.reading.transcript import transcript
from flows.redaction.credential_names import CREDENTIAL_PARAMS, is_credential_header
from flows.sides import FlowSide
from providers.auth.sentinel import provider_of
from providers.base.errors import CcproxyError

KINDS: Final[dict[str, str]] = {
    "curl": "curl",
    "httpx": "Python, httpx",
    **SDK_KINDS,
    "markdown": "Markdown transcript",
}
"""Name in addresses → what people call it."""

MAX_ARGUMENT_BYTES: Final = 100_000
"""Linux takes at most 128 KiB in one argument; a larger body goes through a pipe."""

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_METHOD: Final = re.compile(r"[A-Za-z]{1,32}")
_MARK: Final = re.compile(r"‹redacted [0-9a-f]{1,12}›")
_NOT_SENT: Final = frozenset(
    {"host", "content-length", "content-encoding", "transfer-encoding", "connection",
    "accept-encoding", "keep-alive",
     "proxy-connection", "upgrade", "expect", "te", "trailer"}
)  # fmt: skip
_KEY_OF_HOST: Final = (
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("openai", "OPENAI_API_KEY"),
    ("googleapis", "GEMINI_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
    ("deepseek", "DEEPSEEK_API_KEY"),
)


class CopyError(CcproxyError):
    """This flow cannot be written that way; the message says why."""


@dataclass(frozen=True, slots=True)
class Env:
    """A place where an environment variable stands."""

    name: str


Parts = Sequence[str | Env]
"""A text in pieces, some of which are environment variables."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request ready to be written down. `body` is without its content encoding."""

    method: str
    url: Parts
    headers: list[tuple[str, Parts]]
    body: bytes


def copy_as(kind: str, flow: CompleteFlow, side_name: str = "client") -> str:
    """The request of one side (as the client sent it, or as it was forwarded) in the given form.

    Raises:
        CopyError: an unknown kind, or a request that it cannot express.
    """
    side = flow.side(side_name, "forwarded", "client")
    if kind not in KINDS:
        raise CopyError(f"There is no form “{kind[:40]}”; there are {', '.join(KINDS)}.")
    if kind == "markdown":
        return transcript(flow)
    if side is None or flow.stored(side) is None or side.body_truncated:
        raise CopyError("The request of this flow was not kept whole.")
    if flow.flow.is_websocket:
        raise CopyError("A websocket cannot be written as one request.")
    if kind in SDK_KINDS:
        return sdk_code(kind, side, flow.plain(side), key_name(side.url))
    writers: dict[str, Callable[[Call], str]] = {"curl": curl, "httpx": httpx_code}
    return writers[kind](call_of(side, flow.plain(side)))


def call_of(side: FlowSide, body: bytes) -> Call:
    """A side's request without what the sending program sets itself."""
    method = side.method if _METHOD.fullmatch(side.method) else "POST"
    key = key_name(side.url)
    headers = [
        (name, header_parts(name, value, key))
        for name, value in side.headers
        if _NAME.fullmatch(name) and name.lower() not in _NOT_SENT and not _has_controls(value)
    ]
    return Call(method, url_parts(side.url, key), headers, body)


def key_name(url: str) -> str:
    """The environment variable that usually holds the API key for this host."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        host = ""
    return next((name for part, name in _KEY_OF_HOST if part in host), "API_KEY")


def header_parts(name: str, value: str, key: str) -> Parts:
    """A header's value with an environment variable for the credential; a sentinel key is public
    and stays.
    """
    lower = name.lower()
    scheme, space, rest = (
        value.partition(" ")
        if lower in ("authorization", "proxy-authorization")
        else ("", "", value)
    )
    if provider_of(rest.strip()) is not None:
        return [value]
    variable = (
        key
        if lower in ("authorization", "x-api-key", "api-key", "x-goog-api-key")
        else _variable(lower)
    )
    if lower in ("cookie", "set-cookie") or (
        is_credential_header(lower, value) and not _MARK.search(value)
    ):
        return [f"{scheme}{space}", Env(variable)] if rest and space else [Env(variable)]
    return _marked(value, variable)


def _variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "SECRET"


def _marked(text: str, variable: str) -> Parts:
    """The text with the variable in place of every redaction mark."""
    parts: list[str | Env] = []
    for place, piece in enumerate(_MARK.split(text)):
        parts += [Env(variable), piece] if place else [piece]
    return [part for part in parts if part != ""]


def url_parts(url: str, key: str) -> Parts:
    """The address with credentials of its query as variables, and nothing in it that is not
    printable ASCII.
    """
    base, mark, query = url.partition("?")
    parts: list[str | Env] = [_ascii(base)]
    for place, pair in enumerate(query.split("&") if mark else []):
        name, equals, value = pair.partition("=")
        parts.append(("&" if place else "?") + _ascii(name) + equals)
        secret = unquote(name).lower() in CREDENTIAL_PARAMS and provider_of(value) is None
        parts.append(
            Env(key) if (secret and value) or _MARK.search(unquote(value)) else _ascii(value)
        )
    return [part for part in parts if part != ""]


def _ascii(text: str) -> str:
    return quote(text, safe="!#$%&'()*+,/:;=?@[]~{}|^`\\-._")


def _has_controls(text: str) -> bool:
    return any(ord(char) < 32 or ord(char) == 127 for char in text)


# --- curl


def curl(call: Call) -> str:
    """A POSIX shell command. A body that no argument can hold comes through a pipe."""
    feed, data = _curl_body(call.body)
    lines = [
        f"{feed}curl --request {shlex.quote(call.method)} --globoff --url {shell_word(call.url)}"
    ]
    for name, value in call.headers:
        empty = not any(part for part in value)
        lines.append(f"--header {shell_word([f'{name};'] if empty else [f'{name}: ', *value])}")
    return " \\\n  ".join([*lines, *data]) + "\n"


def _curl_body(body: bytes) -> tuple[str, list[str]]:
    """What feeds curl's standard input, and curl's own option."""
    if not body:
        return "", []
    text = readable(body)
    if text is None:
        return f"printf %s {shlex.quote(base64.b64encode(body).decode())} | base64 -d | ", [
            "--data-binary @-"
        ]
    if len(text.encode()) > MAX_ARGUMENT_BYTES:
        return f"printf %s {shlex.quote(text)} | ", ["--data-binary @-"]
    return "", [
        f"--data-raw {shlex.quote(text)}"
    ]  # --data would read a file where the body begins with @


def shell_word(parts: Parts) -> str:
    """One word of a shell command: literals in single quotes, variables in double quotes."""
    words = [
        f'"${part.name}"' if isinstance(part, Env) else shlex.quote(shown(part))
        for part in joined_literals(parts)
    ]
    return "".join(words) or "''"


def joined_literals(parts: Parts) -> list[str | Env]:
    """The same text with as few pieces as possible."""
    found: list[str | Env] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return found


def readable(body: bytes) -> str | None:
    """The body as text a person can check: the same JSON with invisible characters escaped; None
    when it is no text.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if printable(text) == text:
        return text
    escaped = re.sub(r"[^\x20-\x7e\n\t]", _json_escape, text)
    try:
        return (
            escaped
            if json.loads(escaped) == json.loads(text) and printable(escaped) == escaped
            else None
        )
    except (ValueError, RecursionError):
        return None


def _json_escape(match: re.Match[str]) -> str:
    return match[0] if printable(match[0]) == match[0] else json.dumps(match[0])[1:-1]


def shown(text: str) -> str:
    """A header's or address's literal without invisible characters."""
    return printable(text)


# --- Python


def httpx_code(call: Call) -> str:
    """A program that sends the request and prints the answer as it comes."""
    lines = ["import os", "", "import httpx", ""] if _uses_env(call) else ["import httpx", ""]
    lines += [f"url = {python_text(call.url)}", "headers = ["]
    lines += [f"    ({shown(name)!r}, {python_text(value)})," for name, value in call.headers]
    lines += ["]", f"body = {python_body(call.body)}", ""]
    lines += [
        (
            f"with httpx.stream({call.method!r}, url, headers=headers, content=body, timeout=600)"
            " as response:"
        ),
        "    print(response.status_code)",
        "    for text in response.iter_text():",
        '        print(text, end="", flush=True)',
    ]
    return "\n".join(lines) + "\n"


def python_text(parts: Parts) -> str:
    """An expression for a text; repr() escapes whatever is not printable."""
    words = [
        f"os.environ[{part.name!r}]" if isinstance(part, Env) else repr(part)
        for part in joined_literals(parts)
    ]
    return " + ".join(words) or "''"


def python_body(body: bytes) -> str:
    """An expression for bytes."""
    try:
        return f"{body.decode('utf-8')!r}.encode()"
    except UnicodeDecodeError:
        return repr(body)


def _uses_env(call: Call) -> bool:
    return any(
        isinstance(part, Env)
        for parts in (call.url, *(value for _, value in call.headers))
        for part in parts
    )


def kinds_for(flow: CompleteFlow, side_name: str = "client") -> dict[str, str]:
    """The forms that this flow can be written in."""
    found: dict[str, Any] = {}
    for kind, label in KINDS.items():
        try:
            copy_as(kind, flow, side_name)
        except CcproxyError:
            continue
        found[kind] = label
    return found
