"""Scenes of the pictures: name, address, an element that is there, and what is done before the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.process import Interceptor


@dataclass
class Stage:
    """A running ccproxy that the demo was played on."""

    site: Interceptor
    session: str = ""
    websocket: str = ""
    runs: dict[str, str] = field(default_factory=dict)
    """Agent's program to the name of its run."""

    def is_indexed(self) -> bool:
        """Tell if the recorder has linked the flows of the session."""
        return not self.site.flows("indexed is null or indexed = 0")

    def flow(self, where: str) -> str:
        """Return the id of the newest flow under a condition of SQL."""
        return str(self.site.flows(where)[-1]["id"])

    def of_run(self, program: str, order: str = "input_tokens") -> str:
        """Return the id of the flow of an agent's run that is last in an order."""
        sql = f"select id from flows_flow where run_label = ? order by {order} desc"
        return str(self.site.rows(sql, self.runs[program])[0]["id"])

    def slow(self) -> str:
        """Return the id of the request that streams slowly, with a short body."""
        return self.flow("requested_model = 'demo-slow'")

    def rule(self) -> int:
        """Return the id of the rule that rows.py adds."""
        sql = "select id from providers_transformrule where name = 'claude-on-gpt'"
        return int(self.site.rows(sql)[0]["id"])

    def turn(self, number: int) -> str:
        """Return the id of a turn of the agent's session, from 1."""
        return str(
            self.site.flows("requested_model = 'demo-agent' and session_id = ?", self.session)[
                number - 1
            ]["id"]
        )


def _nothing(page: Any) -> None:
    del page


@dataclass(frozen=True)
class Scene:
    """One picture. Its file is `NAME.png`."""

    name: str
    address: Callable[[Stage], str]
    there: str
    act: Callable[[Any], None] = field(default=_nothing)
    height: int = 720


def _open_filters(page: Any) -> None:
    page.locator("summary", has_text="Filters").click()


def _open_saved(page: Any) -> None:
    page.locator("summary", has_text="Saved").click()


def _press_help(page: Any) -> None:
    page.keyboard.press("?")
    page.locator("#help dt").first.wait_for()


def _edit(page: Any) -> None:
    body = page.locator("textarea[name=body]")
    body.fill(body.input_value().replace('"demo-slow"', '"demo"'))
    page.locator(".change").first.wait_for()


def _try_rule(page: Any) -> None:
    page.locator("#id_match_model").fill("demo-agent")
    page.get_by_role("button", name="Try it").click()
    page.locator("table.trial, .problem, .outcome").first.wait_for()


# The turn after which the demo's clock changes the system prompt.
_BREAK_TURN = 9

EARLY = (
    Scene("console-list", lambda s: "/flows/", "tr.flow"),
    Scene("console-peek", lambda s: f"/flows/?peek={s.turn(_BREAK_TURN)}", ".peek-body"),
    Scene("console-search", lambda s: "/flows/?q=voucher.percent", ".hit", height=420),
    Scene("console-filters", lambda s: "/flows/?stream=true", ".chip", _open_filters, 820),
    Scene("console-saved", lambda s: "/flows/?error=true", ".chip", _open_saved, 400),
    Scene(
        "console-jq",
        lambda s: "/flows/?jq=group_by(.provider)|map({provider:.[0].provider,flows:length})",
        "#jq-value",
        height=540,
    ),
    Scene("console-keys", lambda s: "/flows/", "tr.flow", _press_help),
    Scene("console-conversation", lambda s: f"/flows/{s.turn(5)}/?all=1", ".turn.final"),
    Scene("console-client", lambda s: f"/flows/{s.turn(2)}/?tab=client", ".tree"),
    Scene(
        "console-response",
        lambda s: f"/flows/{s.turn(12)}/?tab=response&view=events",
        ".events",
    ),
    Scene(
        "console-changes",
        lambda s: f"/flows/{s.flow('is_lossy and provider = "demo-openai"')}/?tab=changes",
        ".rail",
    ),
    Scene(
        "console-context",
        lambda s: f"/flows/{s.turn(_BREAK_TURN)}/?tab=context",
        ".bar-chart",
        height=880,
    ),
    Scene(
        "console-timing",
        lambda s: f"/flows/{s.flow('requested_model = "demo-slow"')}/?tab=timing",
        "svg.timing",
    ),
    Scene("console-copy", lambda s: f"/flows/{s.slow()}/as/curl", "#copied", height=480),
    Scene("console-import", lambda s: "/flows/import/", "input[type=file]", height=300),
    Scene("console-resend", lambda s: f"/flows/{s.slow()}/resend/", "#send", _edit),
    Scene("console-diff", lambda s: f"/flows/diff/{s.turn(1)}/{s.turn(2)}/", ".outcome"),
    Scene("console-explain", lambda s: f"/explain/?flow={s.turn(12)}", "h2"),
    Scene("console-rule-trial", lambda s: f"/explain/rule/?id={s.rule()}", ".rule-form", _try_rule),
    Scene("console-session", lambda s: f"/flows/session/{s.session}/", ".turn"),
    Scene(
        "console-session-context",
        lambda s: f"/flows/session/{s.session}/?tab=context",
        ".columns-chart",
    ),
    Scene("console-sessions", lambda s: "/flows/sessions/", "table", height=300),
    Scene("console-dashboard", lambda s: "/dashboard/", "main"),
    Scene(
        "console-copy-sdk",
        lambda s: f"/flows/{s.slow()}/as/anthropic",
        "#copied",
        height=640,
    ),
    Scene("console-rules", lambda s: "/admin/providers/transformrule/", "#changelist", height=480),
    Scene("console-credentials", lambda s: "/admin/providers/provider/auth-board/", "table"),
    Scene(
        "console-notices",
        lambda s: "/admin/ccproxy_site/sentnotice/",
        "#result_list",
        height=620,
    ),
)
"""Of the demo and its rules."""

LATE = (
    Scene(
        "console-messages",
        lambda s: f"/flows/{s.websocket}/?tab=messages",
        ".events",
        height=460,
    ),
    Scene("console-usage", lambda s: "/usage/", ".columns-chart", height=860),
)
"""After a websocket and weeks of usage were added."""

SHAPES = (Scene("shapes", lambda s: "/shapes/", "table", height=600),)
"""After shapes were added, with flows that took them."""

OF_AGENTS = (
    Scene(
        "guide-claude",
        lambda s: f"/flows/{s.of_run('claude')}/?tab=context",
        ".bar-chart",
        height=880,
    ),
    Scene(
        "guide-codex",
        lambda s: f"/flows/{s.of_run('codex', 'status_code = 101')}/?tab=messages",
        ".events",
        height=620,
    ),
    Scene("guide-gemini", lambda s: f"/flows/?run={s.runs['gemini']}", "tr.flow", height=400),
    Scene(
        "guide-opencode",
        lambda s: f"/flows/{s.of_run('opencode')}/?all=1",
        ".turn.final",
        height=880,
    ),
    Scene("guide-aider", lambda s: f"/flows/{s.of_run('aider')}/", ".turn.final"),
)
"""Of the sessions of real agents, named by their programs."""
