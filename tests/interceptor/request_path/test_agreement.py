"""Agreement of the proxy and `explain`: generated requests go both ways.

The proxy is real, with a real client and a scripted provider on loopback. Both must agree on the
outcome, the status, the reason, and every byte that leaves.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interceptor.access.caller_rules import guard_rules
from interceptor.access.client_access import HEADER as TOKEN_HEADER
from interceptor.config.snapshot.schema import ClientTokenConf, Snapshot
from interceptor.explain.dry_run import explain
from interceptor.explain.explanation import DryRequest, Explanation
from interceptor.hooks.table import HookConf
from providers.base.names import OPENAI_RESPONSES
from tests.fakes.upstream import Seen, Upstream
from tests.interceptor.proxied import (
    DEFAULT_HOOKS,
    Running,
    provider,
    rule,
    running_proxy,
    snapshot,
)
from tests.patience import PATIENCE_S

TOKENS = {"cct-all": frozenset[str](), "cct-chat": frozenset({"chat"})}
ORIGINS = ("app://editor",)
PLACEHOLDER = "‹credential of {}›"
KEY_HEADERS = ("x-api-key", "authorization", "x-goog-api-key")


def _digest(token: str) -> str:
    from hashlib import sha256

    return sha256(token.encode()).hexdigest()


def configuration(port: int) -> Snapshot:
    """Providers of all formats on one scripted upstream, rules of all kinds, two client tokens."""
    made = snapshot(
        provider("claude", port),
        provider("chat", port, type="openai", path="/v1/chat/completions"),
        provider("answers", port, type="openai_responses", path="/v1/responses"),
        provider("google", port, type="google", path="/v1beta/models/{model}:{action}"),
        provider("open", port, type="openai", path="/v1/chat/completions", auth=None),
        provider("named", port),
        rules=(
            rule(name="models", match_model="^redirected", dest_provider="named", dest_model="a"),
            rule("transform", name="to chat", match_model="^translated", dest_provider="chat"),
            rule("passthrough", name="unchanged", match_path="^/v1/files"),
            rule(name="gone", match_model="^gone", dest_provider="no such provider"),
            rule(name="hosts", match_host="^rule[.]localhost$", dest_provider="open"),
        ),
        hooks=(
            *DEFAULT_HOOKS,
            HookConf("outbound", "nope", 3, enabled=False),
            HookConf("seal", "content_digest"),
        ),
    )
    # With names of its own no provider is asked for its models, which a dry run does not do.
    named = {key: replace(conf, model_names=("a", "b")) for key, conf in made.providers.items()}
    tokens = tuple(
        ClientTokenConf(token.removeprefix("cct-"), _digest(token), providers)
        for token, providers in TOKENS.items()
    )
    return replace(made, client_tokens=tokens, providers=MappingProxyType(named))


@dataclass(frozen=True)
class Outcome:
    """A request's fate, however it was found out."""

    status: int = 0
    """Of the proxy's own response; 0: the request left."""
    reason: str = ""
    method: str = ""
    target: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass
class Bench:
    """Both ways to the outcome of a request."""

    proxy: Running
    upstream: Upstream
    snapshot: Snapshot
    seen: list[Seen] = field(default_factory=list)

    def live(self, request: DryRequest) -> Outcome:
        before = len(self.upstream.requests)
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(
                request.method, request.url, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers:
                connection.putheader(name, value)
            connection.endheaders(request.body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if len(self.upstream.requests) > before:
            return _as_sent(self.upstream.requests[-1])
        return Outcome(response.status, _reason(response.status, content, request.method))

    def dry(self, request: DryRequest) -> Outcome:
        found = explain(
            self.snapshot, request, guard_rules("127.0.0.1", (), ORIGINS), version="test"
        )
        if not found.leaves:
            return Outcome(
                found.status_code, _reason(found.status_code, found.answer, request.method)
            )
        return _as_explained(found, request.method)


def _reason(status: int, content: bytes, method: str) -> str:
    """The message of an error in whatever format, or the whole answer."""
    if method == "HEAD":
        return ""
    if status < 400:
        return content.decode()
    error = json.loads(content)
    return str((error[0] if isinstance(error, list) else error)["error"]["message"])


def _as_sent(seen: Seen) -> Outcome:
    return Outcome(0, "", seen.method, seen.target, _comparable(seen.headers), seen.body)


def _as_explained(found: Explanation, method: str) -> Outcome:
    _, _, rest = found.url.partition("://")
    target = rest[rest.index("/") :]
    return Outcome(0, "", method, target, _comparable(list(found.headers)), found.body)


def _comparable(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Headers with every credential replaced, and without what each connection has of its own."""
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in ("connection", "content-length", "transfer-encoding"):
            continue
        if lower in KEY_HEADERS:
            value = value.replace("real-key-0123456789", "K")
            value = "Bearer K" if value.startswith("Bearer ‹") else value
            value = "K" if value.startswith("‹") else value
        kept.append((lower, value))
    return tuple(kept)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Upstream() as upstream:
        conf = configuration(upstream.port)
        with running_proxy(conf, rules=guard_rules("127.0.0.1", (), ORIGINS)) as proxy:
            yield Bench(proxy, upstream, conf)


MODELS = ("claude-x", "redirected-m", "translated-m", "gone-m", "")
PATHS = (
    "/", "/health", "/health?x=1", "/v1/models", "/models?refresh=false", "/v1/messages",
    "/v1/messages?beta=true", "/v1/messages/count_tokens", "/v1/chat/completions",
    "/v1/responses", "/v1beta/models/gemini-x:generateContent",
    "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", "/v1/files", "/v1/embeddings",
    "/v1/images/generations", "/elsewhere", "/v1/messages?key=sk-ccproxy-google",
    "/v1beta/models/g:generateContent?key=sk-ccproxy-google",
    "/v1beta/models/g:generateContent?key=sk-ccproxy-google.cct-chat",
    "/to/claude/v1/messages", "/to/chat.cct-chat/v1/chat/completions?a=1", "/to/open",
    "/to/claude/health", "/to/answers/v1/models", "/to/nobody/v1/responses", "/to/google//x",
    "/to/google/v1beta/models/g:generateContent?key=sk-ccproxy-google", "/to/chat.cct-no/v1/x",
    "/run/x-1/to/claude/v1/messages", "/run/x-1/v1/messages", "/run/x-1/health",
)  # fmt: skip
MAIN_PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses", PATHS[10])
KEYS = ("claude", "chat", "answers", "google", "open", "named", "nobody")

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
keys = st.sampled_from(KEYS).map(lambda name: f"sk-ccproxy-{name}") | texts.map(str.strip)
tokens = st.sampled_from(["", "", ".cct-all", ".cct-chat", ".cct-unknown"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A chat request in one of the formats, or what is none."""
    model = draw(st.sampled_from(MODELS))
    said = draw(st.text(max_size=10))
    messages: Any = [{"role": "user", "content": said}]
    body: Any = draw(
        st.sampled_from(
            [
                {"model": model, "max_tokens": 5, "messages": messages},
                {"model": model, "input": said, "stream": True},
                {"contents": [{"role": "user", "parts": [{"text": said}]}]},
                {"model": model, "messages": "no list", "max_tokens": 5},
                {"model": model, "max_tokens": 5, "messages": [], "n": 4},
                [],
                {"model": 5},
            ]
        )
    )
    return draw(st.sampled_from([json.dumps(body).encode(), b"{", b""]))


@st.composite
def requests(draw: st.DrawFn) -> DryRequest:
    """A well-formed HTTP request: everything that a client may mean or get wrong above HTTP."""
    method = draw(st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "DELETE", "OPTIONS"]))
    headers: list[tuple[str, str]] = [
        ("Host", draw(st.sampled_from(HOSTS))),
        (draw(st.sampled_from(["x-api-key", "X-Goog-Api-Key"])), draw(keys) + draw(tokens)),
    ]
    extras: dict[str, st.SearchStrategy[str]] = {
        "Authorization": keys.map(lambda key: f"Bearer {key}"),
        "Origin": st.sampled_from(["https://evil.test", "app://editor", "null"]),
        "Access-Control-Request-Method": st.sampled_from(["POST", "bad method"]),
        "Access-Control-Request-Headers": st.sampled_from(["authorization,content-type", "*"]),
        "Sec-Fetch-Site": st.sampled_from(["cross-site", "none", "same-origin"]),
        TOKEN_HEADER: st.sampled_from(["cct-all", "cct-chat", "cct-unknown"]),
        "X-Forwarded-Host": st.sampled_from(["rule.localhost", "other.test"]),
        "Upgrade": st.sampled_from(["websocket"]),
        "x-ccproxy-hooks": st.sampled_from(["-inject_auth", "-verbose_mode,+commitbee_compat"]),
        "anthropic-beta": st.sampled_from(["redact-thinking-2026-02-12,other", "other"]),
        "anthropic-version": st.just("2023-06-01"),
        "x-ccproxy-resend": st.just("ccr-unknown"),
        "X-Claude-Code-Session-Id": st.just("s1"),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(extras)), max_size=2, unique=True))
    headers += [(name, draw(extras[name])) for name in chosen]
    path = draw(st.sampled_from(PATHS + MAIN_PATHS * 3))
    body = draw(bodies()) if method in ("POST", "DELETE") else b""
    if body or method == "POST":
        headers.append(("Content-Length", str(len(body))))
    return DryRequest(method, path, tuple(headers), body)


HOSTS = (*["localhost"] * 6, "127.0.0.1:4000", "rule.localhost:4000", "evil.test", "[::1]:1")


def plain(method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> DryRequest:
    """A request with little about it."""
    length = (("Content-Length", str(len(body))),) if method == "POST" else ()
    return DryRequest(method, path, (("Host", "localhost"), *headers, *length), body)


KEY = ("x-api-key", "sk-ccproxy-claude")
OWN = ("x-api-key", "sk-ant-own")
ASK = b'{"model": "redirected-m", "max_tokens": 5, "messages": []}'
BROKEN = b'{"model": "translated-m", "messages": "no list"}'


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests())
@example(request=plain("GET", "/health"))
@example(request=plain("GET", "/v1/models", KEY))
@example(request=plain("POST", "/v1/messages", KEY, (TOKEN_HEADER, "cct-unknown"), body=b"{}"))
@example(request=plain("POST", "/v1/messages", KEY, ("Origin", "https://evil.test"), body=b"{}"))
@example(request=plain("POST", "/v1/messages", KEY, (TOKEN_HEADER, "cct-chat"), body=BROKEN))
@example(request=plain("POST", "/to/claude/v1/messages", OWN, body=ASK))
@example(request=plain("POST", "/to/named/v1/messages", OWN, body=ASK))
@example(request=plain("POST", "/to/claude.cct-chat/v1/messages", OWN, body=b"{}"))
@example(request=plain("POST", "/to/claude/v1/messages", KEY, body=b"{}"))
@example(request=plain("POST", "/v1/messages", KEY, (TOKEN_HEADER, "cct-all"), body=BROKEN))
def test_both_ways_agree(bench: Bench, request: DryRequest) -> None:
    assert bench.dry(request) == bench.live(request)


def test_the_generator_reaches_every_outcome(bench: Bench) -> None:
    """Guards the property above: it must not hold because everything is refused alike."""
    statuses: set[int] = set()
    wanted = {0, 200, 400, 401, 403, 421, 501}

    @settings(max_examples=300, deadline=None, database=None)
    @given(request=requests())
    def look(request: DryRequest) -> None:
        if not statuses >= wanted:
            statuses.add(bench.dry(request).status)

    look()
    assert statuses >= wanted


def test_the_steps_load_neither_mitmproxy_nor_django() -> None:
    code = (
        "import sys, interceptor.request_path.steps, interceptor.request_path.admit\n"
        "sys.exit(bool({'mitmproxy', 'django'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_configuration_has_every_format(bench: Bench) -> None:
    formats = {conf.wire_format for conf in bench.snapshot.providers.values()}
    assert OPENAI_RESPONSES in formats and len(formats) == 4
    assert isinstance(bench.snapshot.providers, MappingProxyType)
