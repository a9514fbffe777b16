"""Search for the project of a Code Assist account, against a scripted account."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from interceptor.hooks.code_assist_projects import (
    DOUBT_AFTER_S,
    MAX_ENTRIES,
    MAX_PAUSE_S,
    CodeAssistProjects,
)
from interceptor.pipeline.project_search import ProjectSearch
from interceptor.pipeline.provider_clients import ProviderClients
from providers.auth.resolve import Credential
from providers.provider_conf import ProviderConf
from tests.fakes.code_assist import PROJECT, CodeAssist
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import provider
from tests.patience import PATIENCE_S

CREDENTIAL = Credential("authorization", "Bearer t-1", "t-1", "key")
WAITING = ProjectSearch(timeout_s=PATIENCE_S)
ONBOARDING = replace(WAITING, onboard=True)


class Clock:
    """Seconds that a test moves on."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def projects(clock: Clock) -> CodeAssistProjects:
    async def pause(_: float) -> None:
        return

    return CodeAssistProjects(ProviderClients(), clock=clock, pause=pause)


@pytest.fixture
def conf(upstream: Upstream) -> ProviderConf:
    return provider("a", upstream.port, type="gemini", path="/v1internal:{action}")


@pytest.fixture
def assist(upstream: Upstream) -> Iterator[CodeAssist]:
    upstream.requests.clear()
    yield CodeAssist(upstream)
    upstream.scripts.clear()


def find(projects: CodeAssistProjects, conf: ProviderConf, search: ProjectSearch = WAITING) -> str:
    return asyncio.run(projects.find(conf, CREDENTIAL, search))


def test_an_account_is_asked_once(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist
) -> None:
    async def many() -> list[str]:
        return await asyncio.gather(*(projects.find(conf, CREDENTIAL, WAITING) for _ in range(9)))

    assert asyncio.run(many()) == [PROJECT] * 9
    assert find(projects, conf) == PROJECT
    (seen,) = assist.upstream.requests
    assert seen.json == {} and seen.header("authorization") == "Bearer t-1"


def test_a_failed_search_is_repeated_later_and_later(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist, clock: Clock
) -> None:
    assist.setup_status = 503
    for tries, wait_s in enumerate((1, 2, 4, 8), start=1):
        assert find(projects, conf) == find(projects, conf) == ""
        assert len(assist.upstream.requests) == tries
        clock.now_s += wait_s
    for _ in range(20):
        find(projects, conf)
        clock.now_s += MAX_PAUSE_S
    assert len(assist.upstream.requests) == 24
    assist.setup_status = 200
    assert find(projects, conf) == PROJECT


@pytest.mark.parametrize(
    "script",
    [
        Script(pieces=(b"<html>",)),
        Script(pieces=(b"[]",)),
        Script(reset_after=0),
        Script(pieces=(b'{"cloudaicompanionProject": 5}',)),
        Script(pieces=(b'"' + b"x" * 2_000_000 + b'"',)),
    ],
)
def test_odd_responses_find_nothing(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist, script: Script
) -> None:
    assist.upstream.scripts["/v1internal:loadCodeAssist"] = script
    assert find(projects, conf) == ""


def test_a_fresh_account_is_registered_only_if_allowed(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist
) -> None:
    assist.project, assist.polls = "", 3
    assert find(projects, conf) == "" and not assist.calls("onboardUser")
    assert find(projects, conf, ONBOARDING) == "onboarded-1"
    assert len(assist.calls("onboardUser")) == 3


def test_a_tier_that_needs_an_own_project_is_not_registered(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist
) -> None:
    tier = b'{"id":"standard","isDefault":true,"userDefinedCloudaicompanionProject":true}'
    account = Script(pieces=(b'{"allowedTiers": [' + tier + b"]}",))
    assist.upstream.scripts["/v1internal:loadCodeAssist"] = account
    assert find(projects, conf, ONBOARDING) == "" and not assist.calls("onboardUser")


def test_a_doubted_project_is_looked_up_again_and_kept_meanwhile(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist, clock: Clock
) -> None:
    assert find(projects, conf) == PROJECT
    assist.project = "second-1"
    projects.doubt(conf)
    # Bad requests in a row do not make the proxy ask each time.
    assert find(projects, conf) == PROJECT and len(assist.upstream.requests) == 1
    clock.now_s += DOUBT_AFTER_S
    assist.setup_status = 500
    assert find(projects, conf) == PROJECT
    clock.now_s += DOUBT_AFTER_S
    assist.setup_status = 200
    assert find(projects, conf) == "second-1"
    assert len(assist.upstream.requests) == 3


def test_a_caller_that_leaves_does_not_end_the_search(
    projects: CodeAssistProjects, conf: ProviderConf, assist: CodeAssist
) -> None:
    gate = threading.Event()
    account = b'{"cloudaicompanionProject": {"id": "late-1"}}'
    assist.upstream.scripts["/v1internal:loadCodeAssist"] = Script(pieces=(account,), gate=gate)

    async def impatient() -> tuple[str, str]:
        first = await projects.find(conf, CREDENTIAL, ProjectSearch(timeout_s=0.01))
        leaving = asyncio.create_task(projects.find(conf, CREDENTIAL, WAITING))
        await asyncio.sleep(0)
        leaving.cancel()
        gate.set()
        return first, await projects.find(conf, CREDENTIAL, WAITING)

    assert asyncio.run(impatient()) == ("", "late-1")
    assert len(assist.upstream.requests) == 1


def test_no_credential_leaves_in_clear(projects: CodeAssistProjects) -> None:
    away = provider("a", 80, type="gemini", host="assist.example", verify_tls=False)
    assert find(projects, away) == find(projects, replace(away, scheme="https")) == ""
    assert len(projects._entries) == 2


def test_old_configurations_are_forgotten(projects: CodeAssistProjects) -> None:
    away = provider("a", 80, type="gemini", host="assist.example")
    for number in range(MAX_ENTRIES + 5):
        find(projects, replace(away, name=f"p{number}"))
    assert len(projects._entries) == MAX_ENTRIES
