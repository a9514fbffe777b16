"""Copy as curl, Python and Markdown: the same request comes out, no secret does, and nothing
hostile runs.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.display.safe_text import printable
from flows.export.codegen import (
    Call,
    CopyError,
    Env,
    copy_as,
    curl,
    httpx_code,
    readable,
)
from flows.export.kinds import KINDS
from flows.models import Flow
from flows.sides import FlowSide
from providers.base.errors import CcproxyError
from tests.flows.seed import CLIENT_HEADERS, IDS, messages_body, seed_all

ANSWER = {"content-type": "application/json"}


def flow_of(
    body: bytes, url: str, headers: dict[str, str] | None = None, **fields: Any
) -> CompleteFlow:
    flow = Flow(id="f" * 36, method="POST", **fields)
    lines = [[name, value] for name, value in (headers or CLIENT_HEADERS).items()]
    side = FlowSide(
        side="client",
        method="POST",
        url=url,
        headers=lines,
        body_digest="d",
        body_size_bytes=len(body),
    )
    return CompleteFlow(flow, {"client": side}, {"d": body})


@pytest.fixture(scope="module")
def fake_curl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curl that writes its arguments and its standard input down, as JSON."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "curl"
    script.write_text(
        f"#!{sys.executable} -I\n"
        "import json, sys\n"
        "stdin = sys.stdin.buffer.read() if '--data-binary' in sys.argv else b''\n"
        "arguments = [a.encode('utf-8', 'surrogateescape').hex() for a in sys.argv[1:]]\n"
        "print(json.dumps([arguments, stdin.hex()]))\n"
    )
    script.chmod(0o755)
    return folder


def run_curl(text: str, folder: Path, **environ: str) -> tuple[list[str], bytes]:
    """(arguments, standard input) that the shell gives to curl."""
    (folder / "pasted.sh").write_text(text, newline="")
    done = subprocess.run(
        ["/bin/sh", "pasted.sh"],
        env={"PATH": f"{folder}:{os.environ['PATH']}", **environ},
        capture_output=True,
        cwd=folder,
        check=True,
    )
    arguments, stdin = json.loads(
        done.stdout
    )  # anything that a literal had run would have written here too
    return [bytes.fromhex(argument).decode() for argument in arguments], bytes.fromhex(stdin)


# --- curl


def test_curl_sends_the_clients_request(fake_curl: Path):
    body = json.dumps(messages_body("claude-haiku-4-5")).encode()
    text = copy_as("curl", flow_of(body, "http://127.0.0.1:4000/v1/messages?beta=true"))
    arguments, _ = run_curl(text, fake_curl)
    assert arguments[:5] == [
        "--request",
        "POST",
        "--globoff",
        "--url",
        "http://127.0.0.1:4000/v1/messages?beta=true",
    ]
    assert "x-api-key: sk-ant-oat-ccproxy-anthropic" in arguments
    assert arguments[-2:] == ["--data-raw", body.decode()]
    assert not [argument for argument in arguments if argument.startswith("Host")]


def test_secrets_are_variables(fake_curl: Path):
    headers = {
        "authorization": "Bearer ‹redacted 3f9a21›",
        "x-api-key": "sk-live-4711-4711",
        "cookie": "sid=‹redacted 3f9a21›",
        "x-vendor-token": "tok-4711-4711-4711",
        "x-note": "see ‹redacted 3f9a21› there",
    }
    url = "https://api.anthropic.com/v1/messages?key=4711abc&a=%E2%80%B9redacted%203f9a21%E2%80%BA&b=c"
    text = copy_as("curl", flow_of(b"{}", url, headers))
    assert "4711" not in text
    assert "redacted" not in text
    names = {"ANTHROPIC_API_KEY": "K y", "COOKIE": "C", "X_VENDOR_TOKEN": "T", "X_NOTE": "N"}
    arguments, _ = run_curl(text, fake_curl, **names)
    assert arguments[4] == "https://api.anthropic.com/v1/messages?key=K y&a=K y&b=c"
    assert arguments[6:-2:2] == ["authorization: Bearer K y", "x-api-key: K y", "cookie: C",
    "x-vendor-token: T",
                                 "x-note: see N there"]  # fmt: skip
    for kind in ("httpx", "anthropic"):
        assert "4711" not in copy_as(kind, flow_of(b'{"model": "m"}', url, headers))


def test_a_binary_body_and_a_huge_one_come_through_a_pipe(fake_curl: Path):
    for body in (b"\xff\x00\x01'$(id)", b"x'\n" * 100_000):
        arguments, stdin = run_curl(copy_as("curl", flow_of(body, "http://h/")), fake_curl)
        assert arguments[-2:] == ["--data-binary", "@-"]
        assert stdin == body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode), st.sampled_from(
        [b"@/etc/passwd", b"$(touch pwned)", b"`id`", b"'; id; '", b"\\", b"!!",
        '{"a": "\u202e\x1b[31m\x9b"}'.encode()]
    )),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
    | st.sampled_from(["$(touch pwned)", "`id`", "'\"", "\\", "@file", "-H x", "$HOME",
    "‹redacted 00ff00›"]),
    url=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
    | st.sampled_from(["-o/tmp/pwned", "https://h/$(id)?a='b'&c=`d`", "http://h/{a,b}[1-9]",
    "file:///etc/passwd"]),
)  # fmt: skip
def test_whatever_was_recorded_is_one_quoted_word(
    fake_curl: Path, body: bytes, value: str, url: str
):
    text = copy_as("curl", flow_of(body, url, {"x-a": value, value: "x", "x-b": ""}))
    assert printable(text) == text
    arguments, stdin = run_curl(text, fake_curl, X_A="secret", API_KEY="key")
    assert not list(fake_curl.glob("pwned"))
    assert arguments[0:4] == ["--request", "POST", "--globoff", "--url"]
    options = arguments[5::2]
    assert set(options) <= {"--header", "--data-raw", "--data-binary"}
    assert "x-b;" in arguments
    sent = (
        stdin
        if "--data-binary" in options
        else arguments[-1].encode()
        if "--data-raw" in options
        else b""
    )
    assert sent == body or json.loads(sent) == json.loads(body)


def test_invisible_characters_of_json_become_escapes_and_others_go_as_base64():
    assert readable(b'{"a": "\xe2\x80\xae"}') == '{"a": "\\u202e"}'
    assert readable(b"plain \xe2\x80\xae") is None
    assert readable('{"ä": "é"}'.encode()) == '{"ä": "é"}'


# --- Python


class Recorder:
    """Stands for a module: remembers every call made on it."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return self

    def __enter__(self) -> Any:
        return SimpleNamespace(status_code=200, iter_text=lambda: iter(()))

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Any:
        return iter(())


def run_python(
    text: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, module, recorder)
    exec(compile(text, "copied", "exec"), {})
    return recorder.calls


@given(value=st.text(max_size=30), body=st.binary(max_size=40), url=st.text(max_size=30))
def test_python_literals_are_the_values_themselves(value: str, body: bytes, url: str):
    tree = ast.parse(httpx_code(Call("POST", [url], [("x-a", [value])], body)))
    found = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    assert ast.literal_eval(found["url"]) == url
    assert ast.literal_eval(found["headers"]) == [("x-a", value)]
    evaluated = eval(compile(ast.Expression(found["body"]), "b", "eval"), {"__builtins__": {}})
    assert evaluated == body


def test_httpx_takes_the_key_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    flow = flow_of(
        b"{}", "https://api.openai.com/v1/x", {"authorization": "Bearer ‹redacted 3f9a21›"}
    )
    [(args, kwargs)] = run_python(copy_as("httpx", flow), "httpx", monkeypatch)
    assert args == ("POST", "https://api.openai.com/v1/x")
    assert kwargs["headers"] == [("authorization", "Bearer from-env")]
    assert kwargs["content"] == b"{}"


def test_the_anthropic_sdk_gets_the_same_body(monkeypatch):
    body = {**messages_body("claude-haiku-4-5"), "new_field": {"a": None}}
    flow = flow_of(json.dumps(body).encode(), "http://127.0.0.1:4000/v1/messages?beta=true")
    text = copy_as("anthropic", flow)
    client, call = run_python(text, "anthropic", monkeypatch)
    assert client[1] == {
        "api_key": "sk-ant-oat-ccproxy-anthropic",
        "base_url": "http://127.0.0.1:4000",
    }
    sent = dict(call[1])
    assert sent.pop("extra_headers") == {"anthropic-beta": CLIENT_HEADERS["anthropic-beta"]}
    assert {**sent, **sent.pop("extra_body")} | {"extra_body": 0} == body | {"extra_body": 0}
    assert "for event in answer:" in text


@pytest.mark.parametrize(
    ("url", "body", "method"),
    [
        (
            "https://api.openai.com/v1/chat/completions",
            {"model": "m", "messages": []},
            "client.chat.completions.create",
        ),
        (
            "https://api.openai.com/v1/responses",
            {"model": "m", "input": "x" * 300},
            "client.responses.create",
        ),
    ],
)
def test_the_openai_sdk(monkeypatch, url: str, body: dict[str, Any], method: str):
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    flow = flow_of(json.dumps(body).encode(), url, {"authorization": "Bearer ‹redacted 3f9a21›"})
    text = copy_as("openai", flow)
    assert method in text
    client, call = run_python(text, "openai", monkeypatch)
    assert (client[1], call[1]) == ({"api_key": "from-env"}, body)


def test_the_google_sdk(monkeypatch):
    body = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "be kind"}]},
        "generationConfig": {"temperature": 0.5},
    }
    url = "http://127.0.0.1:4000/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    flow = flow_of(json.dumps(body).encode(), url, {"x-goog-api-key": "sk-ccproxy-google"})
    client, call = run_python(copy_as("google", flow), "google", monkeypatch)
    assert client[1] == {
        "api_key": "sk-ccproxy-google",
        "http_options": {"base_url": "http://127.0.0.1:4000"},
    }
    assert call[1] == {
        "model": "gemini-2.5-flash",
        "contents": body["contents"],
        "config": {"temperature": 0.5, "system_instruction": body["systemInstruction"]},
    }


@pytest.mark.parametrize("kind", ["anthropic", "openai", "google"])
@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("http://h/v1/messages/count_tokens", b"{}"),
        ("http://h/api/other", b"{}"),
        ("http://[bad", b"{}"),
        ("http://h/v1/messages", b"[]"),
        ("http://h/v1/chat/completions", b'{"n": NaN}'),
        ("http://h/v1/responses", b"[" * 100_000),
        ("http://h/v1beta/models/m:generateContent", b"\xff"),
        ("http://h/v1/messages", b'{"a":' * 900 + b"1" + b"}" * 900),
    ],
)
def test_what_an_sdk_cannot_send_is_refused(kind: str, url: str, body: bytes):
    with pytest.raises(CcproxyError):
        copy_as(kind, flow_of(body, url))


def test_a_lost_body_and_an_unknown_form_are_refused():
    flow = flow_of(b"{}", "http://h/")
    flow.bodies.clear()
    with pytest.raises(CopyError, match="not kept in full"):
        copy_as("curl", flow)
    with pytest.raises(CopyError, match="no form"):
        copy_as("nope", flow)


def test_env_is_the_only_place_for_a_variable():
    assert (
        curl(Call("GET", ["http://h/", Env("A")], [], b""))
        == 'curl --request GET --globoff --url http://h/"$A"\n'
    )


# --- transcripts and whole flows


@pytest.mark.django_db
def test_a_transcript_has_turns_calls_results_and_the_answer():
    seed_all()
    flow = load_flow(IDS["anthropic"])
    assert flow is not None
    text = copy_as("markdown", flow)
    assert text.startswith("# claude-haiku-4-5\n")
    for words in (
        "## System",
        "- `Bash`",
        "## User",
        "**Calls** `Bash`",
        "**Result**",
        "The test compares against",
    ):
        assert words in text
    assert _forms_of(flow) == ["curl", "httpx", "anthropic", "markdown"]


def _forms_of(flow: CompleteFlow) -> list[str]:
    forms = []
    for kind in KINDS:
        with suppress(CcproxyError):
            copy_as(kind, flow)
            forms.append(kind)
    return forms


@pytest.mark.django_db
@pytest.mark.parametrize("side", ["client", "forwarded"])
def test_every_form_of_every_flow_is_safe_or_refused(side: str):
    seed_all()
    for flow_id in IDS.values():
        flow = load_flow(flow_id)
        assert flow is not None
        for kind in KINDS:
            try:
                text = copy_as(kind, flow, side)
            except CcproxyError as exc:
                assert len(str(exc)) > 20
                continue
            assert printable(text) == text
            if kind not in ("curl", "markdown"):
                ast.parse(text)
