"""A recorded request as a program: curl, Python with httpx, or a vendor's SDK. Pure.

Credentials are environment variables, never values. The texts are safe to paste: every literal is
quoted, and invisible characters (control and direction-changing ones) are written as escapes.
Example, as curl:

    curl --request POST --globoff --url https://api.openai.com/v1/chat/completions \\
      --header 'authorization: Bearer '"$OPENAI_API_KEY" \\
      --data-raw '{"model": "gpt-5", "messages": []}'
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from flows.bodies.complete_flow import CompleteFlow
from flows.display.safe_text import printable
from flows.export.kinds import KINDS, SDK_KINDS
from flows.export.sdk_code import sdk_code
from flows.reading.transcript import transcript
from flows.redaction.credential_names import CREDENTIAL_PARAMS, is_credential_header
from flows.sides import FlowSide
from providers.auth.sentinel import provider_of
from providers.base.errors import CcproxyError
from providers.base.nearest import capitalised, no_such

MAX_ARGUMENT_BYTES: Final = 100_000
"""Linux takes at most 128 KiB in one argument; a larger body goes through a pipe."""

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_METHOD: Final = re.compile(r"[A-Za-z]{1,32}")
_MARK: Final = re.compile(r"‹redacted [0-9a-f]{1,12}›")
_NOT_SENT: Final = frozenset(
    {
        "host",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "accept-encoding",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "expect",
        "te",
        "trailer",
    }
)
_SCHEME_HEADERS: Final = frozenset({"authorization", "proxy-authorization"})
_KEY_HEADERS: Final = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
_COOKIE_HEADERS: Final = frozenset({"cookie", "set-cookie"})
_KEY_OF_HOST: Final = (
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("openai", "OPENAI_API_KEY"),
    ("googleapis", "GEMINI_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
    ("deepseek", "DEEPSEEK_API_KEY"),
)


class CopyError(CcproxyError):
    """A flow that cannot be written in a form; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Env:
    """An environment variable inside a text."""

    name: str


Part = str | Env
Parts = Sequence[Part]
"""A text in parts, some of which are environment variables."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request ready to be written. `body` is without its content encoding."""

    method: str
    url: Parts
    headers: list[tuple[str, Parts]]
    body: bytes


def copy_as(kind: str, flow: CompleteFlow, side_name: str = "client") -> str:
    """Write the request of one side, client or forwarded, in the given form.

    Raises:
        CopyError: an unknown kind, or a request that it cannot express.
    """
    if kind not in KINDS:
        raise CopyError(capitalised(no_such("form", kind, KINDS)))
    if kind == "markdown":
        return transcript(flow)
    side = flow.side(side_name, "forwarded", "client")
    if side is None or flow.stored(side) is None or side.body_truncated:
        raise CopyError("The request of this flow was not kept in full.")
    if flow.flow.is_websocket:
        raise CopyError("A websocket cannot be written as one request.")
    body = flow.plain(side)
    if kind in SDK_KINDS:
        return sdk_code(kind, side, body, key_name(side.url))
    call = call_of(side, body)
    return curl(call) if kind == "curl" else httpx_code(call)


def call_of(side: FlowSide, body: bytes) -> Call:
    """Return a side's request without the headers that the sending program sets itself."""
    method = side.method if _METHOD.fullmatch(side.method) else "POST"
    key = key_name(side.url)
    headers = []
    for name, value in side.headers:
        if _can_be_sent(name, value):
            headers.append((name, header_parts(name, value, key)))
    return Call(method, url_parts(side.url, key), headers, body)


def _can_be_sent(name: str, value: str) -> bool:
    if name.lower() in _NOT_SENT or not _NAME.fullmatch(name):
        return False
    # A line feed in a value would add a header of its own.
    return not any(ord(char) < 32 or ord(char) == 127 for char in value)


def key_name(url: str) -> str:
    """Return the environment variable that usually holds the API key for this host."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        host = ""
    for part, name in _KEY_OF_HOST:
        if part in host:
            return name
    return "API_KEY"


def header_parts(name: str, value: str, key: str) -> Parts:
    """Return a header's value with an environment variable for the credential.

    Examples, with the key OPENAI_API_KEY: `authorization: Bearer ‹redacted 1a2b›` → "Bearer " and
    the variable; `x-api-key: sk-ccproxy-local` stays, because a sentinel key is public.
    """
    lower_name = name.lower()
    prefix = ""
    credential = value
    if lower_name in _SCHEME_HEADERS and " " in value:
        scheme, _, credential = value.partition(" ")
        prefix = f"{scheme} "
    if provider_of(credential.strip()) is not None:
        return [value]

    variable = key if lower_name in _KEY_HEADERS else _variable(lower_name)
    # Redaction marks only the credential in a value, and the rest of it can be kept.
    is_marked = bool(_MARK.search(value))
    is_credential = is_credential_header(lower_name, value) and not is_marked
    if lower_name in _COOKIE_HEADERS or is_credential:
        return [prefix, Env(variable)] if prefix and credential else [Env(variable)]
    return _with_variable(value, variable)


def _variable(name: str) -> str:
    """Make a variable's name of a header's: "x-my-token" → "X_MY_TOKEN"."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "SECRET"


def _with_variable(text: str, variable: str) -> Parts:
    """Replace every redaction mark of a text with the variable."""
    literals = _MARK.split(text)
    parts: list[Part] = [literals[0]]
    for literal in literals[1:]:
        parts += [Env(variable), literal]
    return [part for part in parts if part != ""]


def url_parts(url: str, key: str) -> Parts:
    """Return the address with credentials of its query as variables, the rest as printable ASCII.

    Example: "https://g.example/v1?alt=sse&key=‹redacted 1a›" → "https://g.example/v1?alt=sse&key="
    and the variable.
    """
    base, mark, query = url.partition("?")
    parts: list[Part] = [_ascii(base)]
    pairs = query.split("&") if mark else []
    separator = "?"
    for pair in pairs:
        name, equals, value = pair.partition("=")
        parts.append(f"{separator}{_ascii(name)}{equals}")
        if _is_credential(name, value):
            parts.append(Env(key))
        else:
            parts.append(_ascii(value))
        separator = "&"
    return [part for part in parts if part != ""]


def _is_credential(name: str, value: str) -> bool:
    if _MARK.search(unquote(value)):
        return True
    if not value or provider_of(value) is not None:
        return False
    return unquote(name).lower() in CREDENTIAL_PARAMS


def _ascii(text: str) -> str:
    # Everything that RFC 3986 lets stand in an address, and what servers take besides.
    return quote(text, safe="!#$%&'()*+,/:;=?@[]~{}|^`\\-._")


# --- curl


def curl(call: Call) -> str:
    """Write a POSIX shell command. A body too large for an argument comes through a pipe."""
    body = _curl_body(call.body)
    method = shlex.quote(call.method)
    # --globoff: brackets in an address are no patterns.
    lines = [f"{body.feed}curl --request {method} --globoff --url {shell_word(call.url)}"]
    for name, value in call.headers:
        lines.append(f"--header {_curl_header(name, value)}")
    if body.option:
        lines.append(body.option)
    return " \\\n  ".join(lines) + "\n"


def _curl_header(name: str, value: Parts) -> str:
    # curl takes "name:" for an order to remove the header, "name;" for an empty one.
    if not any(value):
        return shell_word([f"{name};"])
    return shell_word([f"{name}: ", *value])


class _CurlBody(NamedTuple):
    """A command that feeds curl's standard input, and curl's own option."""

    feed: str
    option: str


def _curl_body(body: bytes) -> _CurlBody:
    if not body:
        return _CurlBody("", "")
    text = readable(body)
    if text is None:
        encoded = shlex.quote(base64.b64encode(body).decode())
        return _CurlBody(f"printf %s {encoded} | base64 -d | ", "--data-binary @-")
    quoted = shlex.quote(text)
    if len(text.encode()) > MAX_ARGUMENT_BYTES:
        return _CurlBody(f"printf %s {quoted} | ", "--data-binary @-")
    # Not --data, which would read a file if the body begins with @.
    return _CurlBody("", f"--data-raw {quoted}")


def shell_word(parts: Parts) -> str:
    """Write one word of a shell command: literals in single quotes, variables in double quotes.

    Example: "Bearer " and the variable KEY → `'Bearer '"$KEY"`.
    """
    words = []
    for part in joined_literals(parts):
        if isinstance(part, Env):
            words.append(f'"${part.name}"')
        else:
            words.append(shlex.quote(printable(part)))
    return "".join(words) or "''"


def joined_literals(parts: Parts) -> list[Part]:
    """Join neighbouring literals: "a", "b", variable → "ab", variable."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        elif part != "":
            joined.append(part)
    return joined


def readable(body: bytes) -> str | None:
    """Return the body as text that a person can check; None when it is not text.

    Invisible characters of JSON become escapes, which mean the same to every parser.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if printable(text) == text:
        return text
    escaped = re.sub(r"[^\x20-\x7e\n\t]", _json_escape, text)
    try:
        is_equal = json.loads(escaped) == json.loads(text)
    except (ValueError, RecursionError):
        return None
    # Escapes work inside strings only; elsewhere the text is still not safe to look at.
    return escaped if is_equal and printable(escaped) == escaped else None


def _json_escape(match: re.Match[str]) -> str:
    char = match[0]
    if printable(char) == char:
        return char
    return json.dumps(char)[1:-1]


# --- Python


def httpx_code(call: Call) -> str:
    """Write a program that sends the request and prints the response as it arrives."""
    lines = ["import httpx", ""]
    if _uses_env(call):
        lines = ["import os", "", *lines]
    lines.append(f"url = {python_text(call.url)}")
    lines.append("headers = [")
    for name, value in call.headers:
        lines.append(f"    ({printable(name)!r}, {python_text(value)}),")
    lines += ["]", f"body = {python_body(call.body)}", ""]
    arguments = f"{call.method!r}, url, headers=headers, content=body, timeout=600"
    lines += [
        f"with httpx.stream({arguments}) as response:",
        "    print(response.status_code)",
        "    for text in response.iter_text():",
        '        print(text, end="", flush=True)',
    ]
    return "\n".join(lines) + "\n"


def python_text(parts: Parts) -> str:
    """Write an expression for a text; repr() escapes everything that is not printable."""
    words = []
    for part in joined_literals(parts):
        if isinstance(part, Env):
            words.append(f"os.environ[{part.name!r}]")
        else:
            words.append(repr(part))
    return " + ".join(words) or "''"


def python_body(body: bytes) -> str:
    """Write an expression for bytes."""
    try:
        return f"{body.decode('utf-8')!r}.encode()"
    except UnicodeDecodeError:
        return repr(body)


def _uses_env(call: Call) -> bool:
    parts = list(call.url)
    for _, value in call.headers:
        parts += value
    return any(isinstance(part, Env) for part in parts)
