"""Signed requests through the real proxy: the provider computes the digests over what it received."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import HTTPFlow

from interceptor.access.grant import Grant
from interceptor.addons.signature import SignatureAddon
from interceptor.config.snapshot.schema import Snapshot
from interceptor.hooks.table import HookConf
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook
from interceptor.shaping.billing_signer import signed_bytes
from providers.wire.core.jsonio import dumps
from shapes.replay.billing_line import BillingConstants
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.interceptor.shaping.reference import (
    BILLING,
    HOOKS,
    ReferenceProvider,
    active,
    shape_row,
    shaped_snapshot,
    with_constants,
)
from tests.patience import PATIENCE_S

KEY = "sk-ccproxy-up"
HERE = __name__
EARLY, LATE = b"change it early", b"change it late"
"""Texts of a user on which the hooks below act."""


@hook(stage=Stage.SEAL, reads={"body"}, writes={"body"})
def change_late(ex: Exchange) -> None:
    """Change the body after it was signed, if the client asks for it."""
    if LATE in ex.body.data:
        ex.json["messages"].append({"role": "assistant", "content": "added"})


@hook(stage=Stage.OUTBOUND, writes={"body"})
def change_before(ex: Exchange) -> None:
    """Change the first user text before the request is signed."""
    if EARLY in ex.body.data:
        ex.json["messages"][0]["content"] = "Changed before"


@pytest.fixture(scope="module")
def configuration(upstream: Upstream) -> Snapshot:
    hooks = (
        *HOOKS,
        HookConf("outbound", f"{HERE}.change_before", 9),
        HookConf("seal", f"{HERE}.change_late", 1),
        HookConf("seal", "content_digest", 2),
    )
    return shaped_snapshot(upstream, with_constants(shape_row()), hooks)


@pytest.fixture(autouse=True)
def strict(upstream: Upstream) -> Iterator[ReferenceProvider]:
    upstream.requests.clear()
    yield ReferenceProvider(upstream, signed=True)
    upstream.scripts.clear()


def asking(text: bytes) -> Any:
    return [{"role": "user", "content": text.decode()}]


def post(proxy: Running, messages: Any = None) -> httpx.Response:
    messages = messages or [{"role": "user", "content": "Hello there"}]
    return httpx.post(
        proxy.url + "/v1/messages",
        json={"model": "demo", "max_tokens": 9, "messages": messages},
        headers={"x-api-key": KEY},
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize(
    "text", ["Hello there", "", "é", "a" * 3000, BILLING, BILLING.replace("abcde", "00000")]
)
def test_the_provider_accepts_the_digests_of_what_it_received(proxy, text):
    response = post(proxy, [{"role": "user", "content": text or [{"type": "text", "text": ""}]}])
    assert response.status_code == 200, response.text
    record = proxy.sink.of(response)
    [step] = [step for step in record.hooks if step.hook == "billing_line"]
    assert (step.outcome, step.changed, record.shape_problem) == ("ran", ("body",), "")


def test_a_change_before_the_signature_is_signed(proxy, upstream):
    response = post(proxy, asking(EARLY))
    assert response.status_code == 200, response.text
    assert upstream.last.json["messages"][0]["content"] == "Changed before"


def test_a_change_after_the_signature_leaves_unsigned_and_flagged(proxy, upstream, caplog):
    with caplog.at_level(logging.WARNING):
        response = post(proxy, asking(LATE))
    line = upstream.last.json["system"][0]["text"]
    assert line.endswith("cch=00000;")
    assert upstream.last.json["messages"][-1]["content"] == "added"
    assert response.status_code == 400
    record = proxy.sink.of(response)
    assert record.shape == "anthropic v3"
    assert record.shape_problem == "not signed: the body was changed after it was signed"
    assert record.shape_problem in caplog.text
    forwarded = next(side for side in record.sides if side.side == "forwarded")
    assert forwarded.body == upstream.last.body


def test_a_digest_in_a_header_is_of_the_body_that_leaves(proxy, upstream):
    import base64
    import hashlib

    for messages in (None, asking(LATE)):
        post(proxy, messages)
        digest = base64.b64encode(hashlib.sha256(upstream.last.body).digest()).decode()
        assert upstream.last.header("content-digest") == f"sha-256=:{digest}:"


def test_the_last_addon_takes_the_digest_out_of_bytes_that_another_one_changed(
    configuration, upstream, monkeypatch
):
    checked = SignatureAddon.request

    def change_and_check(addon: SignatureAddon, flow: HTTPFlow) -> None:
        flow.request.raw_content = (flow.request.raw_content or b"") + b" "
        checked(addon, flow)

    monkeypatch.setattr(SignatureAddon, "request", change_and_check)
    with running_proxy(configuration) as proxy:
        record = proxy.sink.of(post(proxy))
    assert upstream.last.json["system"][0]["text"].endswith("cch=00000;")
    assert record.shape_problem == "not signed: the body was changed after it was signed"


def test_without_constants_the_line_leaves_as_captured_with_one_notice(upstream, caplog):
    with (
        caplog.at_level(logging.WARNING),
        running_proxy(shaped_snapshot(upstream, shape_row())) as proxy,
    ):
        post(proxy)
        post(proxy)
    assert upstream.last.json["system"][0]["text"] == BILLING
    assert caplog.text.count("no billing constants") == 1


def test_constants_that_cannot_be_read_leave_it_unsigned_and_say_so(upstream):
    row = replace(with_constants(shape_row()), billing_seed="no ciphertext")
    with running_proxy(shaped_snapshot(upstream, row)) as proxy:
        record = proxy.sink.of(post(proxy))
    assert upstream.last.json["system"][0]["text"] == BILLING
    assert record.shape_problem.startswith("not signed: the billing constants cannot be read")


def test_a_request_that_is_sent_again_after_a_401_has_the_same_signature(upstream):
    """The credential is in a header; the bytes of the body are those that were signed."""
    calls: list[bytes] = []
    strict = ReferenceProvider(upstream, signed=True)

    def first_refused(seen: Any) -> Any:
        calls.append(seen.body)
        if len(calls) == 1:
            return replace(upstream.scripted_answer(seen), status=503)
        return strict(seen)

    from providers.retry_policy import retry_policy

    policy = retry_policy({"attempts": 2, "statuses": [503], "budget_seconds": 20})
    upstream.scripts["/v1/messages"] = first_refused
    config = replace(
        snapshot(provider("up", upstream.port, retry=policy), hooks=HOOKS),
        shapes=active(with_constants(shape_row())),
    )
    with running_proxy(config) as proxy:
        assert post(proxy).status_code == 200
    assert calls[0] == calls[1]


class Grants:
    """Lets every request with this token go where its first one went."""

    TOKEN = "ccr-" + "a" * 43

    def __init__(self, port: int) -> None:
        self.grant = Grant("t", as_forwarded=True, provider="up", origin=f"http://127.0.0.1:{port}")

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        del flow_id
        return self.grant if token == self.TOKEN else None


@pytest.mark.parametrize("edited", [False, True])
def test_a_recorded_request_that_is_sent_again_is_signed_for_what_it_is_now(
    configuration, upstream, edited
):
    with running_proxy(configuration, grants=Grants(upstream.port)) as proxy:
        assert post(proxy).status_code == 200
        first = upstream.last
        body = first.body
        if edited:
            body = body.replace(b"Hello there", b"Something else")
        headers = [(k, v) for k, v in first.headers if k.lower() not in ("host", "content-length")]
        again = httpx.post(
            f"{proxy.url}{first.target}",
            content=body,
            headers=[*headers, ("x-ccproxy-resend", Grants.TOKEN)],
            timeout=PATIENCE_S,
        )
    assert again.status_code == 200, again.text
    assert (upstream.last.body == first.body) is not edited
    assert (b"Something else" in upstream.last.body) is edited


def test_signing_finds_its_own_line_and_no_text_that_looks_like_it():
    constants = BillingConstants(b"a", 7, (0,))
    body = {
        "messages": [{"role": "user", "content": BILLING}],
        "system": [{"type": "text", "text": BILLING}],
    }
    data = signed_bytes(body, 0, constants)
    signed = json.loads(data)
    assert signed["messages"] == body["messages"]
    # The line with zeros in a message, too: only the system prompt's is signed.
    zeroed = signed["system"][0]["text"]
    zeroed = zeroed[: zeroed.index("cch=")] + "cch=00000;"
    body["messages"] = [{"role": "user", "content": zeroed}]
    again = json.loads(signed_bytes(body, 0, replace(constants, positions=())))
    assert again["messages"][0]["content"] == zeroed
    assert not again["system"][0]["text"].endswith("cch=00000;")
    assert Body(dumps(body)).peek() == body


TEXTS = st.text(max_size=4) | st.just(BILLING)
BLOCKS: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS})
    | st.fixed_dictionaries({"text": TEXTS}, optional={"cache_control": st.just({})}),
    max_size=2,
)
FIELDS = st.dictionaries(st.sampled_from(["model", "tools", "x"]), TEXTS | st.none(), max_size=3)


@given(before=BLOCKS, after=BLOCKS, fields=FIELDS, more=FIELDS, first=st.booleans(), said=TEXTS)
def test_the_fast_way_gives_the_bytes_of_the_slow_one(before, after, fields, more, first, said):
    system = [*before, {"type": "text", "text": BILLING}, *after]
    messages = [{"role": "user", "content": said}]
    content: dict[str, Any] = {"system": system, "messages": messages}
    if first:
        content = {"messages": messages, "system": system}
    body = {**fields, **content, **more}
    constants = BillingConstants(b"a", 7, (0, 3))
    slow = signed_bytes(body, len(before), constants)
    assert signed_bytes(body, len(before), constants, dumps(body)) == slow


def test_the_position_is_found_without_a_second_encoding(monkeypatch):
    from interceptor.shaping import billing_signer

    def never(*_: Any) -> bytes:
        raise AssertionError("encoded twice")

    monkeypatch.setattr(billing_signer, "_encoded_twice", never)
    for names in (("system", "messages", "x"), ("model", "messages", "system")):
        values: dict[str, Any] = {"system": [{"text": "a"}, {"type": "t", "text": BILLING}]}
        body = {name: values.get(name, []) for name in names}
        assert b"cch=" in signed_bytes(body, 1, BillingConstants(b"", 1, ()), dumps(body))
