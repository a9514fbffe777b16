"""Links between model calls: every known break of the synthetic sessions, and none else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from flows.lineage.linker import Linker, pending
from flows.models import Flow, FlowBody, FlowLink, FlowParts
from flows.reading.decoded import format_of
from flows.record import FlowRecord
from flows.redaction.redactor import Redactor
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from interceptor.hooks.extract_session_id import SESSION_HEADERS
from providers.auth.registry import SecretRegistry
from providers.wire.detect import model_of
from tests.flows.lineage.synthetic import SCRIPTS, Agent, Expected, untouched
from tests.flows.records import EPOCH, flow, side

pytestmark = pytest.mark.django_db


def record(records: Iterable[FlowRecord]) -> None:
    """Store records as the recorder does."""
    builder = RowBuilder(Redactor(SecretRegistry()))
    write_batch([builder.build(each) for each in records])


def linked(
    agents: Iterable[Agent], *, linker: Linker | None = None
) -> list[tuple[str, FlowLink, Expected]]:
    """Store sessions mixed in the order of time, link them; return links with expectations."""
    sent = [pair for agent in agents for pair in agent.sent]
    sent.sort(key=lambda pair: (pair[0].started_at, pair[0].id))
    record(pair[0] for pair in sent)
    linker = linker or Linker()
    while linker.link_pending():
        pass
    links = FlowLink.objects.in_bulk()
    return [(each.id, links[each.id], expected) for each, expected in sent]


def told(link: FlowLink) -> Expected:
    return Expected(link.relation, link.path, link.kind, link.author)


def check(found: Iterable[tuple[str, FlowLink, Expected]]) -> int:
    """Compare links with what their sessions expect; return the number of breaks."""
    breaks = 0
    for flow_id, link, expected in found:
        plain = Expected(expected.relation, expected.path, expected.kind, expected.author)
        assert told(link) == plain, flow_id
        breaks += link.is_break
    return breaks


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_each_break_is_found_and_none_is_invented(script: Callable[[str], Agent]) -> None:
    found = linked([script("s")])
    expected = sum(each.relation != "rewound" and bool(each.path) for _, _, each in found)
    assert check(found) == expected
    lanes: dict[str, set[str]] = defaultdict(set)
    for _, link, each in found:
        lanes[each.lane].add(link.thread)
    assert all(len(threads) == 1 for threads in lanes.values()), lanes
    assert len({link.thread for _, link, _ in found}) == len(lanes)


def test_sessions_of_strangers_are_never_compared() -> None:
    twins = [
        untouched("one", session=""),
        untouched("two", session="", client="codex_exec/0.169.0"),
        untouched("three", session="", provider="gateway"),
        untouched("four", session="", run="jail-7"),
    ]
    found = linked(twins)
    assert check(found) == 0
    threads: dict[str, set[str]] = defaultdict(set)
    for flow_id, link, _ in found:
        assert link.guessed
        assert link.session.startswith("~")
        threads[flow_id.partition("-")[0]].add(link.session)
    assert all(len(sessions) == 1 for sessions in threads.values())
    assert len(set.union(*threads.values())) == 4


def test_breaks_are_found_without_session_ids_while_clients_run_side_by_side() -> None:
    found = linked(
        script(script.__name__, session="", client=f"client{number}/1.0")
        for number, script in enumerate(SCRIPTS)
    )
    breaks = [each for _, _, each in found if each.path and each.relation != "rewound"]
    assert check(found) == len(breaks) >= 9


EXAMPLES: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "This is the agent. Here are my files."}],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "Got it, thanks for the context!"}]},
    {"role": "user", "content": [{"type": "text", "text": "Change get_factorial() to use math."}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Ok, done: I edited that file."}]},
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_breaks_are_found_behind_messages_that_every_conversation_begins_with(
    script: Callable[..., Agent],
) -> None:
    for _, link, expected in linked([script("s", examples=EXAMPLES)]):
        path = re.sub(r"messages\[(\d+)\]", _behind_examples, expected.path)
        assert told(link) == Expected(expected.relation, path, expected.kind, expected.author)


def _behind_examples(found: re.Match[str]) -> str:
    return f"messages[{int(found[1]) + len(EXAMPLES)}]"


@pytest.mark.parametrize("session", ["", "session-1"])
@pytest.mark.parametrize("models", [("claude-haiku-4-5",), ("claude-haiku-4-5", "claude-opus-4-5")])
def test_examples_in_the_prompt_join_no_strangers(session: str, models: tuple[str, ...]) -> None:
    agents = []
    for number in range(4):
        model = models[number % len(models)]
        agent = Agent(f"job{number}", session, model, examples=EXAMPLES, at=EPOCH + number)
        agent.ask("Count the words." if len(models) > 1 else f"Translate: sentence {number}.")
        said = Expected("first")
        for _ in range(1 if len(models) > 1 else 3):
            agent.result(agent.send(said))
            said = Expected("continued")
        agents.append(agent)
    if len(models) > 1:
        agents = agents[:2]
    found = linked(agents)
    assert check(found) == 0
    assert len({link.thread for _, link, _ in found}) == len(agents)


@pytest.mark.parametrize("session", ["", "session-1"])
@pytest.mark.parametrize("examples", [[], EXAMPLES], ids=["plain", "examples"])
def test_equal_calls_and_results_join_no_strangers(
    session: str, examples: list[dict[str, Any]]
) -> None:
    agents = []
    call = {"type": "tool_use", "id": "", "name": "ReadFolder", "input": {"path": "."}}
    for number in range(3):
        agent = Agent(f"agent{number}", session, examples=examples, at=EPOCH + 5 * number)
        agent.ask(f"Question {number}: what is wrong here?")
        relation = "first"
        for _ in range(4):
            agent.send(Expected(relation, lane=agent.name), tool=False)
            # Of a format without ids for calls, such as Google's: all look into the same folder.
            agent.messages[-1] = {"role": "assistant", "content": [call]}
            agent.result("", "README.md src tests " * 50)
            relation = "continued"
        agents.append(agent)
    found = linked(agents)
    assert check(found) == 0
    assert {(each.lane, link.thread) for _, link, each in found} == {
        (agent.name, f"{agent.name}-0001") for agent in agents
    }


@pytest.mark.parametrize("line", [" " * 30, "-" * 30, "| ---- | ---- | ---- | ---- |"])
def test_indentation_and_rules_of_tables_join_no_strangers(line: str) -> None:
    agents = []
    for number in range(2):
        agent = Agent(f"agent{number}", "", examples=EXAMPLES, at=EPOCH + 60 * number)
        agent.ask(f"Question {number}, about something else: {line}")
        agent.send(Expected("first", lane=agent.name), says=f"{line}\n{line}", tool=False)
        agent.ask(f"Another question of {number}.")
        agent.send(Expected("continued", lane=agent.name), tool=False)
        agents.append(agent)
    found = linked(agents)
    assert check(found) == 0
    assert len({link.thread for _, link, _ in found}) == 2


def test_a_question_behind_the_same_context_does_not_retry_a_request_that_was_cut() -> None:
    agents = []
    for number, question in enumerate(("Rename the parser's classes.", "How do I run the tests?")):
        agent = Agent(f"agent{number}", session="", at=EPOCH + 60 * number)
        agent.ask("The working directory is /srv/project. It has 12 files. Today is Monday.")
        agent.ask(question)
        agent.send(Expected("first"), cut=number == 0)
        agents.append(agent)
    assert check(linked(agents)) == 0


def test_the_threads_of_a_captured_command_are_one_guessed_session() -> None:
    agent = Agent("main", session="", run="run-1")
    agent.ask("Mend the tests of this project, please.")
    agent.send(Expected("first"))
    other = Agent("other", session="", run="run-1", at=agent.at)
    other.system = "Give a title."
    other.ask("Mend the tests of this project, please.")
    other.send(Expected("first"))
    links = [link for _, link, _ in linked([agent, other])]
    assert len({link.session for link in links}) == 1
    assert len({link.thread for link in links}) == 2


def test_a_restarted_recorder_goes_on_where_the_last_one_stopped() -> None:
    sessions = [script(script.__name__, session=script.__name__) for script in SCRIPTS[:6]]
    sent = [pair for agent in sessions for pair in agent.sent]
    record(pair[0] for pair in sent)
    total = pending().count()
    # A process a flow: nothing is kept between them.
    while Linker().link_pending(1):
        total -= 1
        assert pending().count() == total
    links = FlowLink.objects.in_bulk()
    assert check((each.id, links[each.id], expected) for each, expected in sent) >= 5


def test_a_break_says_what_changed_and_what_it_cost() -> None:
    agent = untouched("s", 1)
    agent.messages[0]["content"][0]["text"] = "<system-reminder>Today is Tuesday.</system-reminder>"
    agent.send(Expected("broken"), cached=(1000, 4000))
    link = linked([agent])[-1][1]
    assert ("Monday" in link.before, "Tuesday" in link.after) == (True, True)
    assert link.lost_tokens == 4500 + 300 - 1000
    assert link.lost_usd is not None
    # Sonnet 4.5: writing 3,800 tokens costs $3.75 a million, reading them $0.30.
    assert float(link.lost_usd) == pytest.approx(3800 * 3.45 / 1e6, rel=0.01)
    assert 0 < link.kept_bytes < link.total_bytes


def test_flows_that_are_no_calls_of_a_model_get_no_link() -> None:
    record([flow("plain", path="/health", client_url="http://x/health")])
    assert Linker().link_pending() == 1
    assert not FlowLink.objects.exists()
    assert not pending().exists()
    assert Flow.objects.get().indexed


def recorded(recording: Path, number: int) -> list[FlowRecord]:
    """Return the calls of a recorded client as records, ten seconds apart."""
    records = []
    for index, entry in enumerate(json.loads(recording.read_text())):
        body = entry.get("body")
        wire = format_of("", entry["path"])
        if not isinstance(body, dict) or wire is None:
            continue
        asked = json.dumps(body).encode()
        headers = {name.lower(): value for name, value in entry["headers"]}
        url = f"http://127.0.0.1:4000{entry['path']}"
        records.append(
            flow(
                f"{number}-{index}",
                started_at=EPOCH + 100 * number + 10 * index,
                path=entry["path"],
                client_url=url,
                user_agent=headers.get("user-agent", ""),
                client_format=wire,
                provider_format=wire,
                provider=wire,
                requested_model=model_of(entry["path"], body) or "",
                session_id=next((headers[name] for name in SESSION_HEADERS if name in headers), ""),
                sides=(side("client", asked), side("forwarded", asked)),
            )
        )
    return records


@pytest.mark.corpus
def test_recorded_clients_keep_their_cache(corpus: Path) -> None:
    continued = 0
    for number, recording in enumerate(sorted((corpus / "clients").glob("*.json"))):
        records = recorded(recording, number)
        record(records)
        while Linker().link_pending():
            pass
        links = FlowLink.objects.filter(pk__in=[each.id for each in records])
        assert len(links) == len(records), recording.name
        assert [link.flow_id for link in links if link.is_break] == [], recording.name
        goes_on = any(link.relation == "continued" for link in links)
        assert goes_on == ("+tool" in recording.name and len(records) > 1), recording.name
        continued += goes_on
    assert continued >= 14


def test_one_shot_requests_of_one_pattern_are_no_conversation() -> None:
    agents = []
    for number in range(4):
        agent = Agent(f"job{number}", session="", at=EPOCH + 60 * number)
        agent.ask(f"Translate the following sentence into French, please: sentence {number}.")
        agent.send(Expected("first"), says="Oui", tool=False)
        agents.append(agent)
    found = linked(agents)
    assert check(found) == 0
    assert len({link.session for _, link, _ in found}) == 4


def test_one_question_to_two_models_is_no_switch() -> None:
    agents = []
    for number, model in enumerate(("claude-sonnet-4-5", "claude-opus-4-5")):
        agent = Agent(model, session="", model=model, at=EPOCH + 60 * number)
        agent.ask("How far is the moon from here, roughly?")
        agent.send(Expected("first"), tool=False)
        agents.append(agent)
    assert check(linked(agents)) == 0


@pytest.mark.parametrize("damage", ["body", "sides"])
def test_a_damaged_flow_keeps_no_other_from_its_link(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = [pair[0] for pair in untouched("s", 4).sent]
    record(sent)
    parts = FlowParts.objects.get(pk=sent[-1].id)
    if damage == "sides":
        parts.sides = "not JSON"
        parts.save()
    else:
        digest = parts.by_side()["client"].body_digest
        FlowBody.objects.filter(pk=digest).update(blob=b"not packed", encoding="zstd")
    assert Linker().link_pending() == len(sent)
    assert not pending().exists()
    assert caplog.messages == [f"Flow {sent[-1].id} could not be linked"]
    links = FlowLink.objects.in_bulk()
    assert {each.id for each in sent[:-1]} <= links.keys()
    assert links[sent[1].id].previous == sent[0].id


def chained(number: int, previous: str = "", **changes: object) -> FlowRecord:
    """Return a call of the Responses API that sends only its new input."""
    body: dict[str, object] = {"model": "gpt-5", "instructions": "Be short.", **changes}
    body["input"] = [{"role": "user", "content": f"Question {number}: how far is it?"}]
    if previous:
        body["previous_response_id"] = previous
    asked = json.dumps(body).encode()
    answered = json.dumps({"id": f"resp_{number:016}", "object": "response", "output": []}).encode()
    kind = (("content-type", "application/json"),)
    url = "https://api.openai.com/v1/responses"
    return flow(
        f"chain-{number}",
        started_at=EPOCH + 10 * number,
        path="/v1/responses",
        client_url=url,
        client_format="openai_responses",
        provider_format="openai_responses",
        status_code=200,
        sides=(side("client", asked), side("forwarded", asked), side("upstream", answered, kind)),
    )


def test_a_conversation_that_the_provider_keeps_is_one_thread() -> None:
    first = f"resp_{1:016}"
    record(
        [
            chained(1),
            chained(2, first),
            chained(3, f"resp_{2:016}", instructions="Be long."),
            # Back to the first response, and one that was never seen.
            chained(4, first),
            chained(5, "resp_unknown0000000"),
        ]
    )
    while Linker().link_pending(1):
        pass
    links = [FlowLink.objects.get(pk=f"chain-{number}") for number in range(1, 6)]
    assert [link.relation for link in links] == [
        "first", "continued", "broken", "continued", "first",
    ]  # fmt: skip
    assert [link.previous for link in links[1:4]] == ["chain-1", "chain-2", "chain-1"]
    assert (links[2].path, links[2].kind, links[2].author) == (
        "instructions[0]", "changed", "the client",
    )  # fmt: skip
    assert len({link.session for link in links[:4]}) == 1 != len({link.session for link in links})
