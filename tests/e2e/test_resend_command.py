"""`ccproxy resend`: from the shell through the running proxy, the answer printed."""

from __future__ import annotations

import httpx

from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Script, Upstream

ASKED = {"model": "demo-1", "max_tokens": 20, "messages": [{"role": "user", "content": "Say it"}]}
ANSWER = (
    b'{"type": "message", "role": "assistant", "content": [{"type": "text", "text": "It was'
    b' said."}]}'
)


def ask(interceptor: Interceptor, upstream: Upstream) -> str:
    upstream.scripts["/v1/messages"] = Script(pieces=(ANSWER,))
    headers = {"x-api-key": "sk-ccproxy-up"}
    answer = httpx.post(
        f"{interceptor.url}/v1/messages", json=ASKED, headers=headers, trust_env=False
    )
    return str(interceptor.flow(answer.headers["x-ccproxy-flow"])["id"])


def test_it_sends_and_prints_the_answer(interceptor: Interceptor, upstream: Upstream) -> None:
    original = ask(interceptor, upstream)
    for option, stages in (
        ("--as-forwarded", {"transform", "egress"}),
        ("", {"inbound", "transform", "egress"}),
    ):
        done = interceptor.command("resend", original, *([option] if option else []))
        assert (done.returncode, done.stdout.strip()) == (0, "It was said."), done.stderr
        again = done.stderr.split()[1].rstrip(",")
        assert {trace.stage for trace in interceptor.traces(again)} & {
            "inbound",
            "transform",
            "egress",
        } == stages
    first, second, third = upstream.wait_for(3)
    assert first.body == second.body == third.body
    assert all(REAL_KEY in seen.head.decode() for seen in (second, third))
    rows = interceptor.rows(
        "select * from providers_auditentry where action='replay' and source='command'"
    )
    assert [row["outcome"] for row in rows] == ["done", "done"]


def test_an_edited_one(interceptor: Interceptor, upstream: Upstream) -> None:
    original = ask(interceptor, upstream)
    editor = "sed -i -e s/Say.it/Sing.it/ -e s/demo-1/demo-2/"
    done = interceptor.command("resend", original[:13], "--edit", VISUAL=editor)
    assert "+" in done.stderr and "demo-2" in done.stderr and "Nothing is sent." in done.stderr
    assert len(upstream.requests) == 1
    done = interceptor.command("resend", original, "--edit", "--yes", VISUAL=editor)
    assert done.returncode == 0, done.stderr
    assert upstream.wait_for(2)[-1].json["model"] == "demo-2"
    done = interceptor.command("resend", original, "--edit", "--yes", VISUAL="true")
    assert "Nothing is sent." in done.stderr
    done = interceptor.command("resend", original, "--edit", VISUAL="no-such-editor-7")
    assert "Set $EDITOR" in done.stderr


def test_an_error_is_an_error(interceptor: Interceptor, upstream: Upstream) -> None:
    original = ask(interceptor, upstream)
    upstream.scripts["/v1/messages"] = Script(
        status=500, pieces=(b'{"error": {"message": "broken"}}',)
    )
    done = interceptor.command("resend", original)
    assert done.returncode != 0
    assert "500" in done.stderr
