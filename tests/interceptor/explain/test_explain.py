"""A dry run: rules with their conditions, the route, hooks, what would leave; and that nothing is
asked or read.
"""

from __future__ import annotations

import json
import re
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from flows.bodies.complete_flow import load_flow
from interceptor.access.client_token import create_client_token
from interceptor.config.snapshot.load import load_snapshot
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.dry_run import OWN_HOOK, explain
from interceptor.explain.explanation import DryRequest
from interceptor.explain.sources import RequestError, as_json, difference, of_flow, of_text
from interceptor.models import HookSetting
from interceptor.request_path.upgrade import UPGRADE_REFUSED
from providers.base.errors import CcproxyError
from providers.models import Provider
from tests.flows.seed import IDS, messages_body, seed_all
from tests.parts import change_sides
from tests.rows import make_provider, make_rule, make_status
from tests.visitors import viewer

pytestmark = pytest.mark.django_db

HEADERS = (
    ("Host", "127.0.0.1:4000"),
    ("x-api-key", "sk-ccproxy-anthropic"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "redact-thinking-2026-02-12,other"),
    ("x-ccproxy-show-losses", "1"),
)


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A provider whose credential command leaves a trace when it runs, and the usual hooks."""
    trace = tmp_path / "ran"
    make_provider(auth_type="command", auth_config={"command": f"touch {trace}; echo secret-4711"})
    make_provider("openai", type="openai", host="api.openai.com", path="/v1/chat/completions")
    for position, (name, stage) in enumerate(
        [
            ("inject_auth", "inbound"),
            ("extract_session_id", "inbound"),
            ("verbose_mode", "outbound"),
        ]
    ):
        HookSetting.objects.create(name=name, stage=stage, position=position)
    return trace


def request(**changes: Any) -> DryRequest:
    fields: dict[str, Any] = {
        "method": "POST",
        "url": "http://127.0.0.1:4000/v1/messages?beta=true",
        "headers": HEADERS,
        "body": json.dumps(messages_body("claude-haiku-4-5")).encode(),
    }
    return DryRequest(**{**fields, **changes})


def test_it_tells_what_would_leave_and_reads_no_credential(configured: Path):
    found = explain(load_snapshot(), request())
    assert (found.problem, found.url) == ("", "https://api.anthropic.com/v1/messages?beta=true")
    headers = dict(found.headers)
    assert headers["Host"] == "api.anthropic.com"
    assert headers["anthropic-beta"] == "other"
    assert headers["authorization"] == "Bearer ‹credential of anthropic›"
    assert not {"x-api-key", "x-ccproxy-show-losses"} & set(headers)
    assert found.body == request().body
    assert found.credential == "the credential command of anthropic, in the header authorization"
    assert [step.hook for step in found.steps if step.changed] == [
        "inject_auth",
        "extract_session_id",
        "redirect",
        "verbose_mode",
        "inject_auth",
    ]
    assert found.session_id == "5ba13327-6e60-496a-9b2b-53d6b9119725"
    assert not configured.exists()


def test_every_condition_of_every_rule_is_told(configured: Path):
    make_rule(name="other host", match_host="example[.]com", position=1)
    make_rule(name="wrong model", match_path="^/v1/", match_model="opus", position=2)
    make_rule(
        name="cheap", match_model="haiku", action="redirect", dest_host="local.example", position=3
    )
    make_rule(name="never asked", position=4)
    found = explain(load_snapshot(), request())
    told = [
        (
            v.rule.name,
            v.reached,
            v.matches,
            [(c.name, c.wanted, c.seen, c.holds) for c in v.conditions],
        )
        for v in found.rules
    ]
    path = "/v1/messages?beta=true"
    assert told == [
        ("other host", True, False, [("host", "example[.]com", "127.0.0.1", False)]),
        (
            "wrong model",
            True,
            False,
            [("path", "^/v1/", path, True), ("model", "opus", "claude-haiku-4-5", False)],
        ),
        ("cheap", True, True, [("model", "haiku", "claude-haiku-4-5", True)]),
        ("never asked", False, True, []),
    ]
    assert found.url.startswith("https://local.example/")
    assert "secret" not in json.dumps(as_json(found))


def test_a_translation_shows_the_other_format_and_its_losses(configured: Path):
    make_rule(
        name="to openai",
        action="transform",
        dest_provider_id=_id("openai"),
        dest_model="gpt-5-mini",
    )
    body = {**messages_body("claude-haiku-4-5"), "top_k": 5}
    found = explain(load_snapshot(), request(body=json.dumps(body).encode()))
    assert found.url == "https://api.openai.com/v1/chat/completions"
    assert json.loads(found.body)["model"] == "gpt-5-mini"
    assert "top_k" in [path for path, _ in found.losses]
    assert any(item.change.path == "model" for item in difference(found).body)


def _id(name: str) -> int:
    from providers.models import Provider

    return int(Provider.objects.get(name=name).pk)


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [((), 501, "no rule matched"), ((("x-api-key", "sk-ccproxy-nope"),), 401, "nope")],
)
def test_a_refusal_is_told_as_the_client_would_see_it(
    configured: Path, headers, status: int, words: str
):
    found = explain(load_snapshot(), request(headers=headers))
    assert found.status_code == status
    assert words in found.problem
    assert as_json(found)["forwarded"] is None


def test_a_users_own_hook_is_not_run(configured: Path, tmp_path: Path, monkeypatch):
    marker = tmp_path / "own-ran"
    (tmp_path / "my_dry_hooks.py").write_text(
        "from interceptor.pipeline.hook import Stage, hook\n"
        "@hook(stage=Stage.OUTBOUND)\n"
        f"def touch(ex): open({str(marker)!r}, 'w').close()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    HookSetting.objects.create(name="my_dry_hooks.touch", stage="outbound", position=9)
    found = explain(load_snapshot(), request())
    [step] = [step for step in found.steps if step.hook == "my_dry_hooks.touch"]
    assert (step.outcome, step.reason) == ("skipped", OWN_HOOK)
    assert not marker.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "x"]),
    url=st.text(max_size=30)
    | st.sampled_from(["/v1/messages", "/v1/responses", "http://[x/", "http://h:99999999/", "//"]),
    headers=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=20)), max_size=4).map(tuple),
    body=st.binary(max_size=40) | st.sampled_from([b"[]", b"{", b'{"model": 5}', b"[" * 5000]),
    keyed=st.booleans(),
)  # fmt: skip
def test_no_request_breaks_it(
    configured: Path, method: str, url: str, headers, body: bytes, keyed: bool
):
    lines = (*headers, *(HEADERS if keyed else ()))
    found = explain(load_snapshot(), DryRequest(method, url, lines, body))
    json.dumps(as_json(found)).encode()
    if not found.problem:
        difference(found)


def test_a_pasted_request():
    dry = of_text("\n POST /v1/messages HTTP/1.1\r\nHost: x:1\r\nA:b\r\n\r\n{\n\n}")
    assert dry == DryRequest("POST", "/v1/messages", (("Host", "x:1"), ("A", "b")), b"{\n\n}")
    for text in ("", "hello", "POST /x\nno header", "POST /x\n: y", "POST /x\n" + "a: b\n" * 600):
        with pytest.raises(RequestError):
            of_text(text)


def test_every_recorded_flow_can_be_asked_about(configured: Path):
    seed_all()
    for flow_id in IDS.values():
        flow = load_flow(flow_id)
        assert flow is not None
        if flow.side("client", "forwarded"):
            explain(load_snapshot(), of_flow(flow))


# --- page and REST


@pytest.fixture
def staff(client: Client, configured: Path) -> Client:
    client.force_login(viewer())
    seed_all()
    return client


def test_the_page_explains_a_flow(staff: Client):
    html = staff.get("/explain/", {"flow": IDS["anthropic"]}).content.decode()
    assert "by its sentinel key to provider anthropic" in html
    assert "Bearer ‹credential of anthropic›" in html
    assert (
        f'href="/explain/?flow={IDS["anthropic"]}"'
        in staff.get(f"/flows/{IDS['anthropic']}/").content.decode()
    )


def test_the_page_explains_a_pasted_request_and_says_what_is_wrong_with_one(staff: Client):
    make_rule(name="<script>alert(1)</script>", match_model="x")
    html = staff.post(
        "/explain/", {"request": "POST /v1/messages\nx-api-key: sk-ccproxy-anthropic\n\n{}"}
    ).content.decode()
    assert "https://api.anthropic.com/v1/messages" in html
    assert "<script>alert" not in html
    assert (
        "The first line has to be like"
        in staff.post("/explain/", {"request": "hello"}).content.decode()
    )
    assert "There is no such flow" in staff.get("/explain/?flow=%00").content.decode()
    assert staff.get("/explain/", {"flow": IDS["hostile"]}).status_code == 200


def test_only_staff_may_ask(client: Client, db):
    client.force_login(User.objects.create_user("guest"))
    assert client.get("/explain/").status_code == 403
    assert client.post("/explain/", {"request": "POST /"}).status_code == 403


@pytest.fixture
def api(configured: Path) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(User.objects.create_superuser("boss"))
    return client


def test_rest(api: APIClient):
    seed_all()
    found = api.post("/api/explain/", {"flow": IDS["anthropic"]}, format="json").json()
    assert (found["provider"], found["action"]) == ("anthropic", "redirect")
    headers = {"x-api-key": "sk-ccproxy-anthropic"}
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    found = api.post(
        "/api/explain/", {"url": "/v1/messages", "headers": headers, "body": body}, format="json"
    ).json()
    assert found["forwarded"]["url"] == "https://api.anthropic.com/v1/messages"
    assert json.loads(found["forwarded"]["body"]) == body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ([], 400), ({}, 400), ({"url": 5}, 400), ({"url": "/x", "method": "a b"}, 400),
        ({"url": "/x", "nope": 1}, 400),
        ({"url": "/x", "headers": 5}, 400), ({"url": "/x", "headers": [["a"]]}, 400),
        ({"flow": "nope"}, 404),
        ({"flow": 5}, 404), ({"url": "/x", "headers": {"a": "\ud800"}}, 400), ({"url": "/x",
        "body": None}, 200),
    ],
)  # fmt: skip
def test_bad_requests_to_rest(api: APIClient, data: Any, status: int):
    answer = api.post("/api/explain/", json.dumps(data), content_type="application/json")
    assert answer.status_code == status


def test_a_flow_whose_body_was_not_kept_cannot_be_tried(api: APIClient):
    seed_all()
    change_sides(IDS["chat"], body_digest="")
    assert api.post("/api/explain/", {"flow": IDS["chat"]}, format="json").status_code == 400


def test_which_flows_an_edited_rule_would_move(api: APIClient):
    seed_all()
    new = {
        "name": "cheaper",
        "action": "redirect",
        "match_model": "opus",
        "dest_host": "local.example",
    }
    found = api.post("/api/explain/rule/", {"rule": new}, format="json").json()
    assert [moved["flow_id"] for moved in found["moved"]] == [IDS["live"]]
    assert found["moved"][0]["before"]["provider"] == "anthropic"
    assert found["moved"][0]["after"]["url"].startswith("https://local.example/")
    assert found["tried"] + found["skipped"] == len(IDS)
    rule = make_rule(**new)
    found = api.post(
        "/api/explain/rule/", {"id": rule.pk, "rule": {"match_model": "haiku"}}, format="json"
    ).json()
    assert {moved["flow_id"] for moved in found["moved"]} >= {IDS["live"], IDS["anthropic"]}
    same = {"id": rule.pk, "rule": {"match_model": "opus"}}
    assert api.post("/api/explain/rule/", same, format="json").json()["moved"] == []
    rule.refresh_from_db()
    assert rule.match_model == "opus"  # nothing was saved


@pytest.mark.parametrize(
    ("data", "status"),
    [({}, 400), ([], 400), ({"rule": 5}, 400), ({"rule": {"match_model": "("}}, 400),
    ({"rule": {"nope": 1}}, 400),
     ({"rule": {}, "last": 0}, 400), ({"rule": {}, "last": "x"}, 400), ({"rule": {}, "id": 9**30},
     404)],
)  # fmt: skip
def test_bad_rules_are_refused(api: APIClient, data: Any, status: int):
    assert (
        api.post(
            "/api/explain/rule/", json.dumps(data), content_type="application/json"
        ).status_code
        == status
    )


# --- shell


def test_the_command(configured: Path, tmp_path: Path):
    seed_all()
    make_rule(name="opus only", match_model="opus")
    out = StringIO()
    call_command("explain", IDS["anthropic"][:13], stdout=out)
    text = out.getvalue()
    assert "  ✗ opus only: ✗ model opus (has claude-haiku-4-5)" in text
    assert "Would go to https://api.anthropic.com/v1/messages?beta=true" in text
    assert "+authorization: Bearer ‹credential of anthropic›" in text
    (tmp_path / "r.txt").write_text("POST /v1/messages\nx-api-key: sk-ccproxy-nope\n\n{}")
    call_command(
        "explain", "--request", str(tmp_path / "r.txt"), "--json", stdout=(out := StringIO())
    )
    assert json.loads(out.getvalue())["status_code"] == 401
    for arguments in ((), ("x", "--request", "y"), ("--request", str(tmp_path / "missing"))):
        with pytest.raises(CcproxyError):
            call_command("explain", *arguments)


def test_a_client_token_that_does_not_cover_the_provider(configured: Path) -> None:
    token = create_client_token("ci", ["openai"])
    for headers in (
        (*HEADERS, ("x-ccproxy-token", token)),
        (HEADERS[0], ("x-api-key", f"sk-ccproxy-anthropic.{token}"), *HEADERS[2:]),
    ):
        found = explain(load_snapshot(), DryRequest("POST", "/v1/messages", headers))
        assert (
            found.status_code,
            "“ci” does not cover the provider “anthropic”" in found.problem,
        ) == (403, True)
    free = create_client_token("free")
    found = explain(
        load_snapshot(), DryRequest("POST", "/v1/messages", (*HEADERS, ("x-ccproxy-token", free)))
    )
    assert found.problem == ""
    recorded = (*HEADERS, ("x-ccproxy-token", "‹redacted 3f9a21›"))
    unknown = explain(load_snapshot(), DryRequest("POST", "/v1/messages", recorded))
    assert (unknown.status_code, "does not know this client token" in unknown.problem) == (
        401,
        True,
    )
    admitted = DryRequest("POST", "/v1/messages", recorded, admitted=True)
    assert explain(load_snapshot(), admitted).problem == ""


def test_a_websocket_where_the_provider_speaks_none(configured: Path) -> None:
    upgrade = (*HEADERS, ("Upgrade", "websocket"), ("Connection", "Upgrade"))
    found = explain(load_snapshot(), DryRequest("GET", "/v1/messages", upgrade))
    assert (found.status_code, found.problem) == (426, UPGRADE_REFUSED)


# Chains of fallbacks


@pytest.fixture
def chained(configured: Path) -> None:
    """The provider anthropic with a fallback of another format, and one that does not exist."""
    Provider.objects.filter(name="anthropic").update(fallbacks=["openai/gpt-5", "gone"])


def candidates(model: str = "claude-haiku-4-5") -> list[tuple[str, str]]:
    text = io_of("POST", model)
    found = explain_as_configured(of_text(text))
    return [(each.name, each.verdict) for each in found.chain]


def io_of(method: str, model: str) -> str:
    """A pasted request for a model."""
    body = json.dumps(
        {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    )
    return f"{method} /v1/messages\nx-api-key: sk-ccproxy-anthropic\n\n{body}"


def test_the_chain_is_shown(chained: None) -> None:
    assert candidates() == [
        ("anthropic/claude-haiku-4-5", "is asked"),
        ("openai/gpt-5", "is asked when the one before it fails"),
        ("gone/claude-haiku-4-5", "is asked when the one before it fails"),
    ]


def test_a_candidate_that_cools_down_is_skipped(chained: None) -> None:
    row = {"provider": "anthropic", "model": "claude-haiku-4-5", "until": time.time() + 60}
    make_status(cooldowns=[{**row, "cause": "429"}])
    (first, why), second, _ = candidates()
    assert first == "anthropic/claude-haiku-4-5"
    assert re.fullmatch(r"skipped: cools down for (59\.\d|60) s after 429", why)
    assert second == ("openai/gpt-5", "is asked")
    found = explain_as_configured(of_text(io_of("POST", "claude-haiku-4-5")))
    assert found.url == "https://api.openai.com/v1/chat/completions"
    assert json.loads(found.body)["model"] == "gpt-5"
    assert found.decision is not None
    assert found.decision.route == ("as a fallback of anthropic translated for provider openai")
    assert candidates("claude-opus-4")[0] == ("anthropic/claude-opus-4", "is asked")
    assert as_json(found)["chain"][1]["chosen"] is True


def test_the_command_and_the_page_show_the_chain(
    chained: None, tmp_path: Path, admin: Client
) -> None:
    file, output = tmp_path / "request", StringIO()
    text = io_of("POST", "claude-haiku-4-5")
    file.write_text(text)
    call_command("explain", request=str(file), stdout=output)
    assert "→ anthropic/claude-haiku-4-5: is asked\n" in output.getvalue()
    html = admin.post("/explain/", {"request": text}).content.decode()
    assert "Chain of fallbacks" in html and "openai/gpt-5" in html
