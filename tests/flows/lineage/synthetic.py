"""Synthetic agent sessions with known cache breaks, as records of a proxy.

Each step says what the next request does, and what the finder has to say about it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flows.record import FlowRecord, HookStep, SideRecord
from tests.flows.records import EPOCH, side

SUMMARY = (
    "<analysis>The user wants the parser mended, and the tests were red.</analysis> <summary>The"
    " parser now reads carriage returns; two tests of the lexer are still to be written, and the"
    " user asked for a short report about the line ends of all files. Open question: tabs."
    "</summary>"
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the finder has to say; `path` is empty where nothing broke."""

    relation: str
    path: str = ""
    kind: str = ""
    author: str = ""
    lane: str = "main"
    """Name of the thread."""


@dataclass(slots=True)
class Agent:
    """A client's state: what it would send next. `sent` collects records and expectations."""

    name: str
    session: str = "session-1"
    model: str = "claude-sonnet-4-5"
    provider: str = "anthropic"
    client: str = "claude-cli/2.1.330 (external, cli)"
    run: str = ""
    system: str = "You are an agent that mends programs. " * 20
    tools: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    """Other fields of the request."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """Messages that the client puts before each conversation, the model's among them."""
    at: float = EPOCH
    sent: list[tuple[FlowRecord, Expected]] = field(default_factory=list)
    turns: int = 0

    def ask(self, text: str, *, reminder: str = "") -> None:
        """Add a message of the user, with a reminder before it."""
        blocks = [{"type": "text", "text": text}]
        if reminder:
            blocks.insert(
                0, {"type": "text", "text": f"<system-reminder>{reminder}</system-reminder>"}
            )
        self.messages.append({"role": "user", "content": blocks})

    def send(
        self,
        expected: Expected,
        *,
        says: str = "",
        tool: bool = True,
        status: int = 200,
        cut: bool = False,
        hook: str = "",
        cached: tuple[int, int] = (0, 4000),
    ) -> str:
        """Record a request with its response; return the id of the response's tool call."""
        self.turns += 1
        self.at += 10
        call_id = f"toolu_{self.name}_{self.turns:04}"
        said = (
            says
            or f"Step {self.turns} of {self.name}: I read file number {self.turns} of the project now."
        )
        blocks: list[dict[str, Any]] = [{"type": "text", "text": said}]
        if tool:
            path = f"src/{self.name}{self.turns}.py"
            blocks.append(
                {"type": "tool_use", "id": call_id, "name": "Read", "input": {"path": path}}
            )
        body = self.body()
        forwarded = copy.deepcopy(body)
        steps: tuple[HookStep, ...] = ()
        if hook:
            forwarded["system"][0]["text"] += f" Added by {hook}."
            steps = (_rewrite(hook, body, forwarded),)
        answer = _stream(blocks, cached, cut=cut) if status == 200 else _failure(status)
        self.sent.append((self._record(body, forwarded, answer, status, cut, steps), expected))
        if status == 200 and not cut:
            self.messages.append({"role": "assistant", "content": blocks})
        return call_id

    def result(self, call_id: str, text: str = "") -> None:
        """Add the result of a tool call."""
        content = text or f"Content of the file for {call_id}. " * 8
        block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
        self.messages.append({"role": "user", "content": [block]})

    def body(self) -> dict[str, Any]:
        """Return the request, the cache mark on its last block."""
        messages = copy.deepcopy([*self.examples, *self.messages])
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        system = [{"type": "text", "text": self.system}]
        return {
            **self.settings,
            "model": self.model,
            "stream": True,
            "tools": self.tools or [_tool("Read"), _tool("Edit"), _tool("Bash")],
            "system": system,
            "messages": messages,
        }

    def _record(
        self,
        body: dict[str, Any],
        forwarded: dict[str, Any],
        answer: bytes,
        status: int,
        cut: bool,
        steps: tuple[HookStep, ...],
    ) -> FlowRecord:
        failed = cut or status != 200
        asked, sent = json.dumps(body).encode(), json.dumps(forwarded).encode()
        return FlowRecord(
            id=f"{self.name}-{self.turns:04}",
            state="error" if failed else "done",
            started_at=self.at,
            finished_at=self.at + 2,
            method="POST",
            host="api.anthropic.com",
            path="/v1/messages?beta=true",
            client_url="http://127.0.0.1:4000/v1/messages?beta=true",
            forwarded_url="https://api.anthropic.com/v1/messages?beta=true",
            user_agent=self.client,
            client_format="anthropic_messages",
            provider_format="anthropic_messages",
            action="passthrough",
            provider=self.provider,
            provider_type="anthropic",
            requested_model=self.model,
            sent_model=self.model,
            session_id=self.session,
            run_label=self.run,
            status_code=status,
            is_stream=True,
            error="The client closed the connection." if cut else "",
            sides=_sides(asked, sent, answer, status),
            hooks=steps,
        )


def _sides(asked: bytes, sent: bytes, answer: bytes, status: int) -> tuple[SideRecord, ...]:
    kind = (("content-type", "text/event-stream" if status == 200 else "application/json"),)
    return (
        side("client", asked, method="POST", url="http://127.0.0.1:4000/v1/messages"),
        side("forwarded", sent, method="POST", url="https://api.anthropic.com/v1/messages"),
        side("upstream", answer, kind, status_code=status),
        side("delivered", answer, kind, status_code=status),
    )


def _rewrite(hook: str, before: dict[str, Any], after: dict[str, Any]) -> HookStep:
    return HookStep(
        "outbound", hook, "ran", changed=("body",),
        body_before=json.dumps(before).encode(), body_after=json.dumps(after).encode(),
    )  # fmt: skip


def _tool(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    return {"name": name, "description": f"{name} a file of the project.", "input_schema": schema}


def _failure(status: int) -> bytes:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    return json.dumps({"type": "error", "error": error, "status": status}).encode()


def _stream(blocks: list[dict[str, Any]], cached: tuple[int, int], *, cut: bool) -> bytes:
    read, written = cached
    usage = {
        "input_tokens": 20, "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written, "output_tokens": 1,
    }  # fmt: skip
    message = {"id": "msg_1", "role": "assistant", "content": [], "usage": usage}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        if cut:
            return _encoded(events)
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 50}})
    events.append({"type": "message_stop"})
    return _encoded(events)


def _encoded(events: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


FIRST = Expected("first")
ON = Expected("continued")
type Steps = Iterator[tuple[FlowRecord, Expected]]


def _begin(name: str, **fields: Any) -> Agent:
    agent = Agent(name, **fields)
    agent.ask("Why does the lexer fail on files from Windows?", reminder="Today is Monday.")
    agent.result(agent.send(FIRST))
    agent.result(agent.send(ON, cached=(4000, 500)))
    return agent


def untouched(name: str, turns: int = 6, **fields: Any) -> Agent:
    """A session that only adds to its end: no break."""
    agent = _begin(name, **fields)
    for _ in range(turns):
        agent.result(agent.send(ON, cached=(4500, 300)))
    return agent


def _break(path: str, kind: str = "changed", author: str = "the client") -> Expected:
    return Expected("broken", path, kind, author)


def date_in_first_text(name: str, **fields: Any) -> Agent:
    """A reminder in the first message gets another date at midnight."""
    agent = _begin(name, **fields)
    agent.messages[0]["content"][0]["text"] = "<system-reminder>Today is Tuesday.</system-reminder>"
    agent.result(agent.send(_break("messages[0].content[0]")))
    agent.result(agent.send(ON))
    return agent


def date_after_one_turn(name: str, **fields: Any) -> Agent:
    """The first text itself changes right after the first response: nothing else is common."""
    agent = Agent(name, **fields)
    agent.ask("It is ten o'clock. Why does the lexer fail on files from Windows?")
    agent.result(agent.send(FIRST))
    agent.messages[0]["content"][0]["text"] = "It is eleven. Why does the lexer fail on Windows?"
    agent.result(agent.send(_break("messages[0]")))
    agent.result(agent.send(ON))
    return agent


def date_in_system(name: str, **fields: Any) -> Agent:
    """The system prompt changes."""
    agent = _begin(name, **fields)
    agent.system += "The directory has 3 files."
    agent.result(agent.send(_break("system[0]")))
    agent.result(agent.send(ON))
    return agent


def tool_removed(name: str, **fields: Any) -> Agent:
    """A server of tools goes away, and comes back."""
    agent = _begin(name, **fields)
    agent.tools = [_tool("Read"), _tool("Bash")]
    agent.result(agent.send(_break("tools[name=Edit]", "removed")))
    agent.tools = []
    agent.result(agent.send(_break("tools[name=Edit]", "inserted")))
    return agent


def hook_breaks(name: str, **fields: Any) -> Agent:
    """A hook of ours writes into the system prompt from the third request on."""
    agent = _begin(name, **fields)
    agent.result(agent.send(_break("system[0]", author="add_note"), hook="add_note"))
    agent.result(agent.send(ON, hook="add_note"))
    return agent


def old_results_cleared(name: str, **fields: Any) -> Agent:
    """The client empties an old tool result to save room."""
    agent = untouched(name, 4, **fields)
    agent.messages[2]["content"][0]["content"] = "[cleared]"
    agent.result(agent.send(_break("messages[2]")))
    agent.result(agent.send(ON))
    return agent


def compacted(name: str, **fields: Any) -> Agent:
    """`/compact`: the client asks for a summary, and begins anew with it."""
    agent = untouched(name, 3, **fields)
    agent.messages[-1]["content"].append({"type": "text", "text": "Summarise the conversation."})
    agent.send(ON, says=SUMMARY, tool=False)
    kept = SUMMARY.partition("<summary>")[2].removesuffix("</summary>")
    agent.messages = []
    agent.ask(f"This session goes on from an earlier one. {kept}\nWrite the tests.")
    expected = Expected("compacted", "messages[0]", "changed", "the client")
    agent.result(agent.send(expected))
    agent.result(agent.send(ON))
    return agent


def sub_agent(name: str, **fields: Any) -> Agent:
    """A sub-agent between two requests of its parent: another system prompt, a thread of its own."""
    agent = _begin(name, **fields)
    child = Agent(f"{name}-child", agent.session, at=agent.at, client=agent.client, run=agent.run)
    child.system = "You search files and report. " * 20
    # Clients put the same reminder into the first message of every sub-agent.
    child.ask("Find all callers of the lexer.", reminder="Today is Monday.")
    child.result(child.send(Expected("first", lane="child")))
    child.send(
        Expected("continued", lane="child"),
        says="There are twelve callers in three files of the project.",
        tool=False,
    )
    agent.at = child.at
    agent.messages[-1]["content"][0]["content"] = (
        "There are twelve callers in three files of the project."
    )
    agent.result(agent.send(ON))
    agent.sent += child.sent
    return agent


def parallel_sub_agents(name: str, **fields: Any) -> Agent:
    """Two sub-agents of one kind: the same tools and system prompt, two threads."""
    agent = _begin(name, **fields)
    for letter in ("a", "b"):
        child = Agent(f"{name}-{letter}", agent.session, at=agent.at + 1, client=agent.client)
        child.system = "You search files and report. " * 20
        child.ask(f"Find all users of module {letter}.", reminder="Today is Monday.")
        child.result(child.send(Expected("first", lane=letter)))
        child.result(child.send(Expected("continued", lane=letter)))
        agent.sent += child.sent
    agent.at += 60
    agent.result(agent.send(ON))
    return agent


def side_question(name: str, **fields: Any) -> Agent:
    """A small model is asked for a title beside the conversation: no switch, no break."""
    agent = _begin(name, **fields)
    title = Agent(
        f"{name}-title", agent.session, "claude-haiku-4-5", at=agent.at, client=agent.client
    )
    title.system = "Give a title for the conversation."
    title.ask("Why does the lexer fail on files from Windows?")
    title.send(Expected("first", lane="title"), says="Lexer on Windows", tool=False)
    agent.at += 20
    agent.sent += title.sent
    agent.result(agent.send(ON))
    return agent


def retried(name: str, **fields: Any) -> Agent:
    """529 twice, then the same request again."""
    agent = _begin(name, **fields)
    agent.send(ON, status=529)
    agent.send(ON, status=529)
    agent.result(agent.send(ON))
    agent.result(agent.send(ON))
    return agent


def retried_at_once(name: str, **fields: Any) -> Agent:
    """The very first request fails."""
    agent = Agent(name, **fields)
    agent.ask("Why does the lexer fail on files from Windows?", reminder="Today is Monday.")
    agent.send(FIRST, status=529)
    agent.result(agent.send(Expected("repeated")))
    agent.result(agent.send(ON))
    return agent


def stream_cut(name: str, **fields: Any) -> Agent:
    """The user stops the response, and asks something else."""
    agent = _begin(name, **fields)
    agent.send(ON, cut=True)
    agent.messages[-1]["content"].append({"type": "text", "text": "[Request interrupted by user]"})
    agent.ask("Only look at the tests.")
    agent.result(agent.send(ON))
    return agent


def model_switched(name: str, **fields: Any) -> Agent:
    """Two turns on a larger model, then back to the first one, whose cache is still there."""
    agent = _begin(name, **fields)
    agent.model = "claude-opus-4-5"
    agent.result(agent.send(Expected("switched", "model", "model", "the client")))
    agent.result(agent.send(ON))
    agent.model = "claude-sonnet-4-5"
    agent.result(agent.send(ON))
    return agent


def rewound(name: str, **fields: Any) -> Agent:
    """The user goes back two turns: the start is still cached, nothing broke."""
    agent = untouched(name, 4, **fields)
    agent.messages = agent.messages[:-4]
    agent.messages[-1]["content"].append({"type": "text", "text": "Use another way."})
    agent.result(agent.send(ON))
    agent.result(agent.send(ON))
    return agent


def _went_back(path: str, kind: str = "changed") -> Expected:
    return Expected("rewound", path, kind, "the client")


def back_to_an_earlier_message(name: str, **fields: Any) -> Agent:
    """The user goes back before an earlier question, and asks something else instead."""
    agent = _begin(name, **fields)
    for number in range(3):
        agent.send(ON, tool=False, cached=(4000, 500))
        agent.ask(f"Question {number}: what about the tabs?", reminder="Today is Monday.")
    agent.send(ON, tool=False)
    agent.messages = agent.messages[:-4]
    at = len(agent.messages)
    agent.ask("Leave the tabs alone, and look at the line ends.")
    agent.send(_went_back(f"messages[{at}]"), tool=False)
    agent.ask("And the spaces?")
    agent.send(ON, tool=False)
    return agent


def newest_message_edited(name: str, **fields: Any) -> Agent:
    """The user edits the last message after its response has come, the note beside it stays."""
    agent = _begin(name, **fields)
    agent.send(ON, tool=False)
    agent.ask("Now the tabs.", reminder="Today is Monday.")
    at = len(agent.messages) - 1
    agent.send(ON, tool=False)
    agent.messages = agent.messages[:at]
    agent.ask("Now the spaces, in all of the files.", reminder="Today is Monday.")
    agent.send(_went_back(f"messages[{at}].content[1]"), tool=False)
    return agent


def old_answer_asked_again(name: str, **fields: Any) -> Agent:
    """A retry with a note of another time, and an old result that is emptied: these are breaks."""
    agent = _begin(name, **fields)
    agent.send(ON, tool=False)
    agent.ask("Now the tabs.", reminder="It is ten.")
    at = len(agent.messages) - 1
    agent.send(ON, cut=True)
    agent.messages = agent.messages[:at]
    agent.ask("Now the tabs.", reminder="It is eleven.")
    call = agent.send(_break(f"messages[{at}].content[0]"))
    agent.result(call)
    agent.send(ON)
    agent.messages = agent.messages[: at + 2]
    agent.result(call, "[cleared]")
    agent.send(_break(f"messages[{at + 2}]"))
    return agent


def first_stream_cut(name: str, **fields: Any) -> Agent:
    """The very first response is stopped; the same question comes again with another time."""
    agent = Agent(name, **fields)
    agent.ask("Why does the lexer fail on files from Windows? It is 10:01 now.")
    agent.send(FIRST, cut=True)
    agent.messages = []
    agent.ask("Why does the lexer fail on files from Windows? It is 10:02 now.")
    agent.result(agent.send(_break("messages[0]")))
    return agent


def settings_changed(name: str, **fields: Any) -> Agent:
    """Thinking, the choice of tools and the effort change: the vendor keys its caches by them."""
    agent = _begin(name, **fields)
    changes: tuple[tuple[dict[str, Any], Expected], ...] = (
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, _break("thinking", "inserted")),
        ({"thinking": {"type": "enabled", "budget_tokens": 9000}}, _break("thinking")),
        ({"tool_choice": {"type": "any"}}, _break("tool_choice", "inserted")),
        ({"output_config": {"effort": "low"}}, _break("output_config.effort", "inserted")),
        ({"speed": "fast"}, _break("speed", "inserted")),
        ({"thinking": {"type": "disabled"}}, _break("thinking", "removed")),
    )
    for change, expected in changes:
        agent.settings.update(change)
        agent.result(agent.send(expected))
        agent.result(agent.send(ON))
    return agent


def settings_written_out(name: str, **fields: Any) -> Agent:
    """Fields get the values that they have when they are left out, or are no part of a prompt."""
    agent = _begin(name, **fields)
    agent.settings = {"tool_choice": {"type": "auto"}, "thinking": {"type": "disabled"}}
    agent.result(agent.send(ON))
    agent.settings = {"max_tokens": 9, "temperature": 1, "metadata": {"user_id": "u"}}
    agent.result(agent.send(ON))
    return agent


def deferred_tool_added(name: str, **fields: Any) -> Agent:
    """A tool that the model has to search for comes and goes: it is no part of the prompt."""
    agent = _begin(name, **fields)
    usual = [_tool("Read"), _tool("Edit"), _tool("Bash")]
    agent.tools = [{**_tool("Browse"), "defer_loading": True}, *usual]
    agent.result(agent.send(ON))
    agent.tools = usual
    agent.result(agent.send(ON))
    return agent


def keys_in_another_order(name: str, **fields: Any) -> Agent:
    """The arguments of an earlier call have their keys in another order: the bytes differ."""
    agent = _begin(name, **fields)
    call = agent.messages[1]["content"][1]
    call["input"] = {"path": "a.py", "limit": 3}
    agent.result(agent.send(_break("messages[1].content[1]")))
    call["input"] = {"limit": 3, "path": "a.py"}
    agent.result(agent.send(_break("messages[1].content[1]")))
    agent.messages[1] = {"content": agent.messages[1]["content"], "role": "assistant"}
    agent.result(agent.send(ON))
    return agent


def schema_in_another_order(name: str, **fields: Any) -> Agent:
    """A server lists the fields of a tool's arguments in another order."""
    agent = _begin(name, **fields)
    agent.tools = [_tool("Read"), _tool("Edit"), _tool("Bash")]
    schema = agent.tools[1]["input_schema"]
    agent.tools[1]["input_schema"] = dict(reversed(schema.items()))
    agent.result(agent.send(_break("tools[name=Edit]")))
    return agent


SCRIPTS = (
    untouched, date_in_first_text, date_after_one_turn, date_in_system, tool_removed, hook_breaks,
    old_results_cleared, compacted, sub_agent, parallel_sub_agents, side_question, retried,
    retried_at_once, stream_cut, model_switched, rewound,
    back_to_an_earlier_message, newest_message_edited, old_answer_asked_again,
    first_stream_cut, settings_changed, settings_written_out, deferred_tool_added,
    keys_in_another_order, schema_in_another_order,
)  # fmt: skip
