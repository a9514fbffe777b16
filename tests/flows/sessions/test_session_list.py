"""The list of sessions: titles, order, pages, sums."""

from __future__ import annotations

import re

import pytest
import time_machine
from django.test import Client

from flows.display.session_names import Opening, client_name, main_thread, title_of, user_text
from flows.models import FlowLink
from flows.queries import sessions
from flows.sessions import guessed_sessions
from flows.sessions.session_list import session_page
from tests.flows.seed import NOW, add_flow


@pytest.mark.parametrize(
    ("asked", "typed"),
    [
        ("Fix the test", "Fix the test"),
        ("<system-reminder>Notes</system-reminder> Fix\n it", "Fix it"),
        ("<environment_context>\n<cwd>/x</cwd></environment_context>", ""),
        ("<command-name>/clear</command-name> <command-args></command-args>", ""),
        ("<session> the stored text ends here", ""),
        ("quota", ""),
        ("Quota of the disk is full, why?", "Quota of the disk is full, why?"),
        ('Generate a title for this conversation: "Fix it"', ""),
        ('"Fix it"', "Fix it"),
        ("Compare a < b with <b>bold</b>", "Compare a < b with <b>bold</b>"),
    ],
)
def test_clients_own_texts_are_no_text_of_the_user(asked: str, typed: str) -> None:
    assert user_text(asked) == typed


def test_sub_agents_that_outgrow_the_conversation_do_not_name_it() -> None:
    openings = [
        Opening("title", "Name this conversation", 900),
        Opening("main", "Compare three libraries", None),
        Opening("main", "Compare three libraries", 19_000),
        Opening("agent", "Look at library 1", 21_000),
        Opening("other", "Look at library 2", 12_000),
        Opening("agent", "Look at library 1", 60_000),
    ]
    assert title_of(openings) == "Compare three libraries"
    assert main_thread((each.thread, each.input_tokens) for each in openings) == "main"
    assert main_thread([]) == ""


@pytest.mark.parametrize(("shown", "main"), [(500, "m"), (3, "sub")])
def test_the_main_thread_of_a_session(
    shown: int, main: str, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_ROWS", shown)
    for number, (thread, tokens) in enumerate(
        [("m", 900), ("sub", 700), ("sub", 9000), ("m", 950)]
    ):
        add_flow(
            f"f{number}", 60 - number, session_id="s", conversation_id=thread, input_tokens=tokens
        )
    found = sessions.session("s")
    assert found is not None
    assert [thread.key for thread in found.threads if thread.main] == [main]


def test_the_title_is_the_first_text_of_the_main_thread() -> None:
    openings = [
        Opening("quota", "quota", 9),
        Opening("title", "Name this conversation", 300),
        Opening("main", "<system-reminder>x</system-reminder>", 12_000),
        Opening("main", "Why does the lexer fail?", 12_000),
        Opening("main", "Fix it, please.", 14_000),
    ]
    assert title_of(openings) == "Why does the lexer fail?"
    assert title_of(openings[:1]) == ""
    unmeasured = [Opening("a", "first", None), Opening("b", "second", None)]
    assert title_of(unmeasured) == "first"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("claude-cli/2.1.330 (external, cli)", "claude-cli 2.1.330"),
        ("OpenAI/Python 1.2.0", "OpenAI/Python 1.2.0"),
        ("codex_cli_rs/0.55.0 (Linux 6.1; x86_64)", "codex_cli_rs 0.55.0"),
        ("curl", "curl"),
        ("", ""),
    ],
)
def test_a_client_has_a_short_name(agent: str, name: str) -> None:
    assert client_name(agent) == name


@pytest.fixture
def three_sessions(db: None) -> None:
    """Sessions a (two threads, one failure), b (live) and c; and a flow without a session."""
    main = {"session_id": "a", "conversation_id": "m", "sent_model": "opus"}
    add_flow("a0", 61, session_id="a", conversation_id="q", asked="quota", input_tokens=8)
    known = {"input_tokens": 1000, "output_tokens": 20, "cost_usd": "0.5"}
    add_flow("a1", 60, asked="Why is it red?", cache_read_tokens=900, **main, **known)
    add_flow("a2", 50, asked="Mend it", state="error", status_code=500, duration_ms=6e4, **main)
    add_flow("b1", 40, session_id="b", state="live")
    add_flow("c1", 70, session_id="c", asked="Hello")
    add_flow("lonely", 1, asked="Nobody's")


def test_sessions_are_listed_by_their_newest_request(three_sessions: None) -> None:
    found = session_page()
    assert [row.id for row in found.sessions] == ["b", "a", "c"]
    assert [row.title for row in found.sessions] == ["", "Why is it red?", "Hello"]
    running, red, _ = found.sessions
    assert (running.live, red.live) == (1, 0)
    assert (red.requests, red.failed, red.models, red.client) == (3, 1, 1, "claude-cli 2.1.330")
    assert (red.input_tokens, red.cache_share, float(red.cost_usd or 0)) == (1008, 0.9, 0.5)
    assert red.duration_ms == (11 + 1) * 60_000
    assert running.cost_usd is None
    assert found.older == ""


def test_pages_of_sessions_follow_each_other(three_sessions: None) -> None:
    first = session_page(rows=2)
    second = session_page(first.older, rows=2)
    ids = [row.id for page in (first, second) for row in page.sessions]
    assert ids == ["b", "a", "c"]
    assert (bool(first.older), second.older) == (True, "")


def guess(session: str, *names: str) -> None:
    for name in names:
        FlowLink.objects.create(
            flow_id=name, session=session, guessed=True, thread=names[0], parts=3
        )


@pytest.fixture
def with_guessed(three_sessions: None) -> None:
    """Two conversations without an id between the sessions, and a question beside them."""
    for name, minutes in (("g1", 66), ("h1", 64), ("g3", 55), ("g2", 45), ("h2", 62), ("one", 44)):
        tokens = None if name == "one" else 500
        add_flow(name, minutes, asked=f"Ask {name}", input_tokens=tokens, conversation_id=name[0])
    guess("~g1", "g1", "g2", "g3")
    guess("~h1", "h1", "h2")
    guess("~one", "one")


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
@pytest.mark.parametrize("window", [1, 2, 3, 4, 3000])
def test_sessions_without_an_id_stand_between_the_others(
    rows: int, window: int, with_guessed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessed_sessions, "WINDOW_FLOWS", window)
    cursor, listed = "", []
    for _ in range(9):
        page = session_page(cursor, rows)
        listed += page.sessions
        cursor = page.older
        if not cursor:
            break
    ids = [row.id for row in listed]
    # A window full of single questions hides what is behind it; nothing comes twice.
    assert [each for each in ids if each[0] != "~"] == ["b", "a", "c"]
    assert ids == [each for each in ["b", "~g1", "a", "~h1", "c"] if each in ids]
    if window > 2:
        assert len(ids) == 5
        g = listed[1]
        assert (g.title, g.requests, g.input_tokens, g.is_guessed) == ("Ask g1", 3, 1500, True)


def test_a_guessed_session_is_named_so_and_leads_to_its_flows(
    with_guessed: None, staff: Client
) -> None:
    html = staff.get("/flows/sessions/").content.decode()
    assert html.count(">guessed</span>") == 2
    rows = {row["id"]: row["guessed"] for row in staff.get("/api/sessions/").json()["results"]}
    assert rows == {"b": False, "~g1": True, "a": False, "~h1": True, "c": False}
    page = staff.get("/flows/session/~g1/").content.decode()
    (address,) = re.findall(r'href="(/flows/\?session=[^"]*)"', page)
    shown = staff.get(address).content.decode()
    assert "Ask g1" in shown and "Ask g2" in shown and "Ask h1" not in shown


def test_the_page_and_rest_show_them(three_sessions: None, staff: Client) -> None:
    html = staff.get("/flows/sessions/").content.decode()
    assert html.index("/flows/session/b/") < html.index("Why is it red?") < html.index("Hello")
    listed = staff.get("/api/sessions/").json()
    assert [(row["id"], row["live"]) for row in listed["results"]] == [
        ("b", True),
        ("a", False),
        ("c", False),
    ]
    assert listed["next"] is None
    assert staff.get("/api/sessions/?cursor=x").status_code == 400
    assert staff.get("/flows/sessions/?cursor=x").status_code == 200


def test_a_session_that_runs_lasts_until_now(db: None) -> None:
    with time_machine.travel(NOW, tick=False):
        add_flow("done", 20, session_id="s-done", duration_ms=5)
        add_flow("live", 10, session_id="s-live", state="live")
        found = {row.id: row.duration_ms for row in session_page().sessions}
        assert found == {"s-done": 5.0, "s-live": 10 * 60 * 1000}


def test_without_sessions_the_page_says_what_to_do(staff: Client) -> None:
    assert "No sessions yet" in staff.get("/flows/sessions/").content.decode()
