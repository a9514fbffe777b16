"""`ccproxy flows dump|diff|compare|clear|repl` and --jq."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from flows.console.repl import FlowShell
from flows.models import Flow, FlowBody
from flows.queries.flow_set import FlowSetError
from flows.queries.jq import JqError
from providers.base.errors import CcproxyError
from tests.cli.conftest import Cli
from tests.flows.export.har_schema import assert_valid
from tests.flows.seed import IDS, seed_all
from tests.rows import make_flow


@pytest.fixture
def seeded(db) -> None:
    seed_all()


def flows(*arguments: str) -> str:
    out = StringIO()
    call_command("flows", *arguments, stdout=out)
    return out.getvalue()


FAILED = "map(select((.response.status_code // 500) >= 400))"


def test_jq_filters_choose_the_flows_of_every_action(seeded, settings):
    listed = json.loads(flows("list", "--json", "--jq", FAILED, "--jq", "map(.id)"))
    assert listed == [IDS["failed"], IDS["unauthorised"]]
    table = flows("list", "--jq", FAILED)
    assert IDS["unauthorised"][:8] in table
    har = json.loads(flows("dump", "--jq", FAILED))
    assert [page["id"] for page in har["log"]["pages"]] == listed


def test_the_configured_filters_come_first(seeded, monkeypatch, settings):
    group = settings.CCPROXY.flows.model_copy(
        update={"default_jq_filters": ('map(select(.provider == "local"))',)}
    )
    settings.CCPROXY = settings.CCPROXY.model_copy(update={"flows": group})
    assert json.loads(flows("list", "--json", "--jq", "map(.provider)")) == ["local", "local"]
    assert flows("clear", "--jq", 'map(select(.state == "error"))') == "Cleared 1 flow.\n"
    assert flows("clear", "--all") == f"Cleared {9} flows.\n"


def test_a_filter_that_keeps_no_flows_is_refused_where_flows_are_needed(seeded):
    assert json.loads(flows("list", "--json", "--jq", "[length]")) == [10]
    for action in ("dump", "diff", "compare", "clear", "list"):
        with pytest.raises(FlowSetError, match="have to keep flows"):
            flows(action, "--jq", "map(.provider)")
    assert Flow.objects.count() == 10
    with pytest.raises(JqError, match=r"end of file [(]line 1, column 2"):
        flows("clear", "--jq", ".[")


def test_flows_can_be_named_by_the_beginning_of_their_id(seeded):
    [found] = json.loads(flows("list", "--json", IDS["chat"][:13]))
    assert found["id"] == IDS["chat"]
    with pytest.raises(FlowSetError, match="several flows"):
        flows("compare", IDS["chat"][:8])
    with pytest.raises(FlowSetError, match="There is no flow “nope”"):
        flows("dump", "nope")


def test_dump_is_a_valid_har_of_everything(seeded):
    har = json.loads(flows("dump"))
    assert_valid(har)
    assert len(har["log"]["entries"]) == 2 * Flow.objects.count()


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["dump", "compare"])
def test_nothing_to_show_is_an_error(action: str):
    with pytest.raises(CcproxyError, match="No flows are recorded yet"):
        flows(action)


@pytest.mark.django_db
def test_diff_slides_over_the_forwarded_requests():
    for number in range(3):
        body = {"model": "m", "messages": [{"role": "user", "content": f"turn {min(number, 1)}"}]}
        make_flow(id=f"0000000{number}-x", age_s=10 - number, body=json.dumps(body).encode())
    first, *rest = flows("diff").splitlines()
    assert first == "--- flow:00000000"
    assert rest[0] == "+++ flow:00000001"
    assert '-      "content": "turn 0"' in rest
    assert '+      "content": "turn 1"' in rest
    assert rest[-1] == "request: flow:00000001 and flow:00000002 are identical"
    found = json.loads(flows("diff", "--json"))
    assert [(pair["from"], pair["to"], pair["identical"]) for pair in found] == [
        ("flow:00000000", "flow:00000001", False),
        ("flow:00000001", "flow:00000002", True),
    ]
    with pytest.raises(CcproxyError, match="at least two flows; found 1 flow"):
        flows("diff", "-n", "1")


def test_compare_tells_what_the_proxy_changed_and_says_when_nothing(seeded):
    shown = flows("compare", IDS["redirect"])
    short = IDS["redirect"][:8]
    assert f"--- client:{short}\n+++ forwarded:{short}" in shown
    assert "-http://127.0.0.1:4000/v1/messages\n+http://127.0.0.1:8080/api/v1/messages" in shown
    assert '-  "model": "claude-sonnet-4-5"' in shown
    assert f"response: provider:{short} and client:{short} are identical" in shown
    assert "x-ccproxy-flow" not in shown
    assert "+x-ccproxy-flow" in flows("compare", "--headers", IDS["redirect"])
    [found] = json.loads(flows("compare", "--json", IDS["anthropic"]))
    assert found["id"] == IDS["anthropic"]
    assert {part["what"]: part["identical"] for part in found["comparisons"]} == {
        "address": False,
        "request": True,
        "response": True,
    }


def test_text_from_the_wire_cannot_steer_the_terminal(seeded):
    shown = flows("compare", "--headers", IDS["hostile"]) + flows("diff") + flows("list")
    assert not set("\x1b\u202e\x07\x9b") & set(shown)


def test_clear_deletes_the_set_with_its_bodies_but_not_what_is_pinned(seeded):
    Flow.objects.filter(pk=IDS["chat"]).update(pinned=True)
    assert flows("clear", IDS["google"][:18]) == "Cleared 1 flow.\n"
    assert flows("clear") == "Cleared 8 flows.\n"
    assert list(Flow.objects.values_list("pk", flat=True)) == [IDS["chat"]]
    assert flows("clear", "--all", "--pinned") == "Cleared 1 flow.\n"
    assert not FlowBody.objects.exists()


def test_a_flow_in_another_form(seeded):
    assert flows("as", "curl", IDS["chat"]).startswith("curl --request POST")
    assert "https://api.openai.com" in flows("as", "httpx", "--forwarded", IDS["chat"])
    with pytest.raises(CcproxyError, match="does not send that"):
        flows("as", "anthropic", IDS["chat"])


# --- the shell


@pytest.fixture
def shell(seeded) -> FlowShell:
    return FlowShell(
        list(Flow.objects.order_by("started_at").values_list("pk", flat=True)), StringIO()
    )


def printed(shell: FlowShell) -> str:
    text: str = shell._output.getvalue()
    shell._output.truncate(0)
    shell._output.seek(0)
    return text


def test_the_shell_finds_flows_by_place_id_and_mapping(shell: FlowShell, tmp_path: Path):
    flow = next(found for found in shell.flows if found["id"] == IDS["chat"])
    for ref in (shell.ids.index(IDS["chat"]), IDS["chat"][:13], flow):
        assert shell.request(ref)["model"] == "gpt-5-mini"
        assert shell.response(ref)["choices"][0]["message"]["content"].startswith("Hello")
        assert shell.flow(ref)["provider"] == "openai"
    for wrong in (99, "nope", {"id": 5}):
        with pytest.raises(CcproxyError):
            shell.flow(wrong)
    assert shell.jq('map(select(.provider == "openai")) | map(.id)') == [
        IDS["chat"],
        IDS["websocket"],
    ]
    assert shell.save_request(flow, str(tmp_path / "r.json")) > 0
    assert json.loads((tmp_path / "r.json").read_text())["model"] == "gpt-5-mini"
    assert shell.dump(str(tmp_path / "x.har")) == 10
    assert_valid(json.loads((tmp_path / "x.har").read_text()))


def test_the_shell_prints_and_clears(shell: FlowShell):
    shell.show(IDS["hostile"])
    shell.compare(IDS["redirect"])
    shell.diff(IDS["anthropic"], IDS["redirect"])
    text = printed(shell)
    assert "qwen3-coder" in text
    assert not set("\x1b\u202e") & set(text)
    names: dict[str, Any] = shell.names()
    assert shell.clear(IDS["chat"], 0) == 2
    assert len(names["flows"]) == len(names["ids"]) == 8
    assert shell.refresh() == 8


def test_as_processes(ccproxy: Cli):
    """The shell reads from a pipe, errors are one line, and a reader that goes away is no error."""
    done = ccproxy("flows", "repl", stdin="print(len(flows), ids)\n")
    assert (done.returncode, done.stdout.strip()) == (0, "0 []") or "0 []" in done.stdout
    done = ccproxy("flows", "list", "--jq", ".[} ")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ccproxy: The jq filter failed: syntax error")
    assert len(done.stderr.splitlines()) == 1
    done = ccproxy("flows", "clear", "--all")
    assert (done.returncode, done.stdout) == (0, "Cleared 0 flows.\n")
