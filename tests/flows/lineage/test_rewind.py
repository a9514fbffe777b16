"""Ways back and twins: a rewind is no cache break, and equal words of two clients are two sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from flows.console.context_tab import finding
from flows.lineage.linker import Linker
from flows.lineage.socket_turns import Frame, socket_turns
from flows.models import Flow, FlowLink
from flows.queries.sessions import session
from tests.flows.lineage.synthetic import Agent, Expected
from tests.flows.lineage.test_google_sessions import changed
from tests.flows.lineage.test_linker import linked, told
from tests.flows.records import EPOCH

FIRST, ON = Expected("first"), Expected("continued")


def talk(agent: Agent, questions: int, says: str = "") -> None:
    """Ask some questions, each with a response."""
    for number in range(questions):
        agent.ask(f"Question {number} of {agent.name}, what about the tabs?")
        agent.send(ON if agent.sent else FIRST, says=says and f"{says} {number}.", tool=False)


class WaysBack(TestCase):
    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(
        steps=st.lists(st.integers(0, 3), min_size=1, max_size=6),
        has_id=st.booleans(),
        reminder=st.sampled_from(["", "Today is Monday."]),
    )
    def test_going_back_any_number_of_messages_is_never_a_break(
        self, steps: list[int], has_id: bool, reminder: str
    ) -> None:
        """Each step goes back so many questions (0: it goes on), and asks another one."""
        Flow.objects.all().delete()
        agent = Agent("walk", "session-1" if has_id else "")
        talk(agent, 4)
        asked = 4
        for back in steps:
            # The very first question stays: another one begins a conversation of its own.
            back = min(back, asked - 1)
            agent.messages = agent.messages[: len(agent.messages) - 2 * back]
            index = len(agent.messages)
            agent.ask(f"Another one, number {len(agent.sent)} of all.", reminder=reminder)
            path = f"messages[{index}]" + (".content[0]" if reminder else "")
            kind = "changed"
            expected = Expected("rewound", path, kind, "the client") if back else ON
            agent.send(expected, tool=False)
            asked += 1 - back
        found = linked([agent])
        for flow_id, link, expected in found:
            assert link.relation == expected.relation, flow_id
            assert not link.is_break
            # A note is the same in every question: then the question behind it differs.
            assert link.path.partition(".")[0] == expected.path.partition(".")[0]
        assert len({link.thread for _, link, _ in found}) == 1


@pytest.mark.django_db
def test_a_rewind_says_where_the_client_went_back_to_and_what_it_cost() -> None:
    agent = Agent("s")
    talk(agent, 1)
    for number in range(3):
        agent.ask(f"Question {number} " + "about the tabs. " * 200)
        agent.send(ON, tool=False, cached=(4000 * number, 4000))
    agent.messages = agent.messages[:4]
    agent.ask("Use spaces instead.")
    agent.send(Expected("rewound"), tool=False, cached=(7000, 100))
    link = linked([agent])[-1][1]
    found = finding(link.flow)
    assert found is not None and not found.bad and found.differs
    assert found.sentence.startswith(
        "The client went back to messages[4] and went on with other words, so no cache broke: "
    )
    assert "spaces" in link.after and "tabs" in link.before
    # 12,000 tokens were cached, and a part of them is not wanted any more: nothing was lost.
    assert link.lost_tokens == 0 and not link.is_missed(7000)
    assert "7.0 k tokens were read from the cache; about" in found.cost
    assert "left out." in found.cost
    # Half of what it has is read, so the timeline marks no loss either.
    flow = link.flow
    flow.input_tokens = 7200
    flow.save()
    rows = session("session-1").rows  # type: ignore[union-attr]
    assert [row.cache_lost for row in rows][-1] is False


@pytest.mark.django_db
def test_a_rewind_whose_start_was_not_read_names_what_was_lost() -> None:
    agent = Agent("s")
    talk(agent, 3)
    agent.messages = agent.messages[:4]
    agent.ask("Use spaces instead.")
    agent.send(Expected("rewound"), tool=False, cached=(0, 4000))
    link = linked([agent])[-1][1]
    assert link.is_rewind
    assert 2000 < (link.lost_tokens or 0) < 4000
    found = finding(link.flow)
    assert found is not None and "more were lost, for $0.0" in found.cost


@pytest.mark.django_db
@pytest.mark.parametrize("is_summary", [False, True])
def test_a_summary_behind_the_first_messages_is_no_rewind(is_summary: bool) -> None:
    agent = Agent("s")
    talk(agent, 2)
    said = (
        "The parser reads carriage returns now, and nothing else was changed. (The lexer has two"
        " tests left that are still to be written.) [Tabs are an open question of the user!]"
    )
    agent.ask("Sum it up.")
    agent.send(ON, says=said, tool=False)
    agent.messages = agent.messages[:2]
    agent.ask(f"So far: {said} Go on." if is_summary else "Let us do something else.")
    agent.send(ON, tool=False)
    link = linked([agent])[-1][1]
    assert link.is_rewind is not is_summary
    assert link.is_break is is_summary


@pytest.mark.django_db
def test_a_hook_that_drops_the_end_of_a_conversation_breaks_the_cache() -> None:
    agent = Agent("s")
    talk(agent, 3)
    agent.ask("Go on.")
    agent.send(ON, tool=False)
    sent, expected = agent.sent[-1]
    body = json.loads(sent.sides[1].body or b"{}")
    body["messages"] = [*body["messages"][:2], body["messages"][-1]]
    forwarded = changed(sent.sides[1], body=json.dumps(body).encode())
    sides = (sent.sides[0], forwarded, *sent.sides[2:])
    agent.sent[-1] = (changed(sent, sides=sides), expected)
    link = linked([agent])[-1][1]
    assert (link.relation, link.author, link.is_break) == ("broken", "the proxy", True)


def frame(seq: int, from_client: bool, **value: Any) -> Frame:
    return Frame(seq, seq * 10.0, from_client, json.dumps(value).encode())


@pytest.mark.parametrize("changed", ["second", "first"])
def test_a_turn_of_a_websocket_that_goes_back_is_no_break(changed: str) -> None:
    said = {"type": "message", "role": "assistant", "content": [{"text": "Yes."}]}
    asked = [{"role": "user", "content": f"Question {number}"} for number in range(3)]
    inputs = [asked[:1], [asked[0], said, asked[1]]]
    other = {"role": "user", "content": "Something else"}
    if changed == "second":
        inputs.append([asked[0], said, other])
    else:
        inputs.append([other, said, asked[1], said, asked[2]])
    frames = []
    for number, items in enumerate(inputs):
        response = {"id": f"r{number}", "output": [said]}
        frames.append(frame(2 * number, True, type="response.create", model="gpt-5", input=items))
        frames.append(frame(2 * number + 1, False, type="response.completed", response=response))
    turn = socket_turns(frames)[-1]
    assert turn.broken is not None
    assert turn.is_rewind is (changed == "second")


@pytest.mark.django_db
@pytest.mark.parametrize("says", ["", "It is so"], ids=["answers differ", "answers are equal"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in turn", "one after the other"])
def test_two_clients_with_the_same_words_are_two_guessed_sessions(says: str, at_once: bool) -> None:
    agents = [Agent(f"client{number}", session="") for number in range(2)]
    for number, agent in enumerate(agents):
        agent.at = EPOCH + number * (1 if at_once else 300)
        for question in range(4):
            agent.ask(f"Question {question}: what about the tabs?")
            said = f"{says}, and that is answer {question}." if says else ""
            agent.send(ON if question else FIRST, says=said, tool=False)
    found = linked(agents)
    assert [told(link).relation for _, link, _ in found] == [each.relation for *_, each in found]
    assert len({link.session for _, link, _ in found}) == 2
    if not says or not at_once:
        owners = {(flow_id.partition("-")[0], link.session) for flow_id, link, _ in found}
        assert len(owners) == 2
    # A recorder that starts anew finds the same.
    Flow.objects.update(indexed=None)
    FlowLink.objects.all().delete()
    while Linker().link_pending(1):
        pass
    assert FlowLink.objects.values("session").distinct().count() == 2


@pytest.mark.django_db
def test_a_retry_stays_in_its_guessed_session() -> None:
    agent = Agent("s", session="")
    agent.ask("Why does the lexer fail on files from Windows?")
    agent.send(FIRST, status=529)
    agent.send(Expected("repeated"), cut=True)
    agent.send(Expected("repeated"), tool=False)
    agent.ask("And on Macs?")
    agent.send(ON, tool=False)
    found = linked([agent])
    assert [link.relation for _, link, _ in found] == [each.relation for *_, each in found]
    assert len({link.session for _, link, _ in found}) == 1
