"""Shape and other hooks on one request: every edit is there upstream, wherever its hook stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import httpx
import pytest

from interceptor.hooks.table import HookConf, build_plan
from interceptor.pipeline.hook import Stage
from providers.fallbacks import Fallback
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.notes.scripted_book import Book
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.interceptor.shaping.reference import FLAG, HOOKS, IDENTITY, REDACTS, active, shape_row
from tests.patience import PATIENCE_S

KEY = "sk-ccproxy-up"
OWN = "tests.interceptor.shaping.own_inner_hooks"
MCP = "inject_mcp_notifications"
EVENT = '{"summary": "the build is done"}'
OTHERS = ("verbose_mode", "commitbee_compat", f"{OWN}.edit_everything", f"{OWN}.undeclared", MCP)
COMMITBEE = "You write messages for commitbee."


def hooks(others: tuple[str, ...], shape_at: int) -> tuple[HookConf, ...]:
    """Return outbound hooks in this order, with the shape at a position among them."""
    names = [*others[:shape_at], "shape", *others[shape_at:]]
    return tuple(HookConf("outbound", name, position) for position, name in enumerate(names))


@pytest.fixture(scope="module")
def proxy(upstream: Upstream) -> Iterator[Running]:
    config = replace(
        snapshot(provider("up", upstream.port, headers=(("x-gateway", "g"),))),
        shapes=active(shape_row()),
    )
    with running_proxy(config, notes=Book(EVENT)) as running:
        yield running


def send(
    proxy: Running, upstream: Upstream, outbound: tuple[HookConf, ...], **headers: str
) -> Seen:
    plan = build_plan(outbound, Stage.OUTBOUND)
    proxy.store.replace(replace(proxy.store.current, outbound=plan))
    response = httpx.post(
        proxy.url + "/v1/messages",
        json={
            "model": "demo",
            "max_tokens": 9,
            "system": COMMITBEE,
            "messages": [{"role": "user", "content": "Hello"}],
            "tools": [{"name": "x", "input_schema": {"type": "object"}}],
        },
        headers={
            "x-api-key": KEY,
            "anthropic-version": "2023-06-01",
            "x-session-id": "s",
            **headers,
        },
        timeout=PATIENCE_S,
    )
    assert response.status_code == 200, response.text
    assert not proxy.sink.of(response).shape_problem
    return upstream.last


def problems(seen: Seen, others: tuple[str, ...]) -> list[str]:
    """Return the edits that did not arrive."""
    body = seen.json
    flags = (seen.header("anthropic-beta") or "").split(",")
    texts = [block["text"] for block in body["system"]]
    content = str(body["messages"])
    edits: dict[str, Any] = {
        "shape": FLAG in flags and texts[1] == IDENTITY and body["ref_mode"] == {"fast": True},
        "beta": "beta=true" in seen.target,
        "settings": seen.header("x-gateway") == "g",
        "verbose_mode": REDACTS not in flags,
        "commitbee_compat": "bare JSON" in texts[2],
        f"{OWN}.edit_everything": "(edited)" in content
        and seen.header("x-team") == "blue"
        and seen.header("accept") == "application/edited"
        and "team=blue" in seen.target,
        f"{OWN}.undeclared": "(undeclared)" in content and seen.header("x-undeclared") == "1",
        MCP: "the build is done" in content,
    }
    expected = {"shape", "beta", "settings", *others}
    return [name for name, arrived in edits.items() if bool(arrived) != (name in expected)]


SUBSETS = [
    tuple(n for n, on in zip(OTHERS, bits, strict=True) if on)
    for bits in product((0, 1), repeat=len(OTHERS))
]


@pytest.mark.parametrize(
    "others", SUBSETS, ids=lambda names: "+".join(n.rsplit(".")[-1] for n in names)
)
def test_every_edit_is_visible_upstream_wherever_the_shape_stands(proxy, upstream, others):
    for shape_at in range(len(others) + 1):
        seen = send(proxy, upstream, hooks(others, shape_at))
        assert problems(seen, others) == [], f"the shape at {shape_at}"


def test_a_flag_of_the_clients_that_a_hook_removed_stays_removed(proxy, upstream):
    for shape_at in (0, 1):
        outbound = hooks(("verbose_mode",), shape_at)
        seen = send(proxy, upstream, outbound, **{"anthropic-beta": "redact-thinking-mine,own"})
        assert (seen.header("anthropic-beta") or "").split(",") == [FLAG, "own"]


def test_a_client_can_leave_the_shape_out_or_ask_for_it(proxy, upstream):
    outbound = hooks(("verbose_mode",), 1)
    seen = send(proxy, upstream, outbound, **{"x-ccproxy-hooks": "-shape"})
    assert seen.header("x-app") is None
    off = tuple(replace(conf, enabled=conf.name != "shape") for conf in outbound)
    assert send(proxy, upstream, off).header("x-app") is None
    seen = send(proxy, upstream, off, **{"x-ccproxy-hooks": "+shape"})
    assert seen.header("x-app") == "ref"


def test_forced_without_a_shape_the_request_leaves_unshaped_and_says_so(proxy, upstream):
    before = proxy.store.current
    proxy.store.replace(replace(before, shapes={}))
    try:
        response = httpx.post(
            proxy.url + "/v1/messages",
            json={
                "model": "demo",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "Hi"}],
            },
            headers={"x-api-key": KEY, "x-ccproxy-hooks": "+shape"},
            timeout=PATIENCE_S,
        )
        [step] = [s for s in proxy.sink.of(response).hooks if s.hook == "shape"]
        assert (step.outcome, step.reason) == (
            "error",
            "NoShape: no shape of the provider's type is active",
        )
        assert response.status_code == 200
    finally:
        proxy.store.replace(before)


# Inner hooks of the user's own


def with_inner(proxy: Running, *names: str) -> None:
    row = shape_row(shape_hooks=("regenerate", *(f"{OWN}.{name}" for name in names)))
    plan = build_plan(hooks((), 0), Stage.OUTBOUND)
    proxy.store.replace(replace(proxy.store.current, outbound=plan, shapes=active(row)))


def ask(proxy: Running) -> httpx.Response:
    return httpx.post(
        proxy.url + "/v1/messages",
        json={"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
        headers={"x-api-key": KEY},
        timeout=PATIENCE_S,
    )


def test_an_own_inner_hook_changes_the_draft_and_reads_the_request(proxy, upstream):
    with_inner(proxy, "add_field")
    record = proxy.sink.of(ask(proxy))
    assert upstream.last.json["ref_note"] == "for demo"
    assert upstream.last.header("x-inner") == "1"
    outer, _, step = [s for s in record.hooks if s.stage == "shape" or s.hook == "shape"]
    assert step.changed == ("header:x-inner", "body:ref_note")
    assert dict(outer.origins)["body:ref_note"] == f"{OWN}.add_field"


@pytest.mark.parametrize(
    ("name", "words"), [("fail", "LookupError: no luck"), ("hang", "within 0.05 s")]
)
def test_a_failing_inner_hook_leaves_the_request_as_the_client_sent_it(
    proxy, upstream, name, words
):
    with_inner(proxy, name)
    response = ask(proxy)
    seen = upstream.last
    assert (response.status_code, seen.header("x-app"), "system" in seen.json) == (200, None, False)
    record = proxy.sink.of(response)
    assert record.shape == ""
    assert record.shape_problem.startswith(f"the inner hook {OWN}.{name} failed: ")
    assert words in record.shape_problem
    steps = [s for s in record.hooks if s.stage == "shape" or s.hook == "shape"]
    assert [s.outcome for s in steps] == ["error", "ran", "error"]


# Fallbacks


@pytest.mark.parametrize("first", ["up", "other"])
def test_each_candidate_of_a_chain_is_shaped_for_its_own_type(upstream, first):
    """A request that failed goes to another provider: unshaped, if that one's type has no shape."""
    second = "other" if first == "up" else "up"
    chained = {"fallbacks": (Fallback(second, ""),)}
    config = replace(
        snapshot(
            provider("up", upstream.port, **(chained if first == "up" else {})),
            provider(
                "other",
                upstream.port,
                type="zai",
                **(chained if first == "other" else {}),
            ),
            hooks=HOOKS,
        ),
        shapes=active(shape_row()),
    )
    statuses = iter([503, 200])

    def answer(seen: Seen) -> Script:
        scripted: Script = upstream.scripted_answer(seen)
        return replace(scripted, status=next(statuses))

    upstream.scripts["/v1/messages"] = answer
    try:
        with running_proxy(config) as proxy:
            response = httpx.post(
                proxy.url + "/v1/messages",
                json={
                    "model": "demo",
                    "max_tokens": 9,
                    "messages": [{"role": "user", "content": "Hi"}],
                },
                headers={"x-api-key": f"sk-ccproxy-{first}"},
                timeout=PATIENCE_S,
            )
            record = proxy.sink.of(response)
    finally:
        upstream.scripts.clear()
    assert response.status_code == 200, response.text
    failed, sent = upstream.requests[-2:]
    assert (failed.header("x-app"), sent.header("x-app")) == (
        ("ref", None) if first == "up" else (None, "ref")
    )
    assert record.shape == ("" if first == "up" else "anthropic v3")
