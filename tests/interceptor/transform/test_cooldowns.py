"""Pauses of providers that failed."""

from __future__ import annotations

import pytest

from interceptor.transform.cooldowns import (
    LONGEST_GROWN_S,
    MAX_KEPT,
    Cooldown,
    Cooldowns,
    Target,
)
from providers.fallbacks import BadFallbacks, Fallback, parse_fallbacks

LARGE, SMALL, ALL = Target("p", "large"), Target("p", "small"), Target("p")


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cooldowns(clock: Clock) -> Cooldowns:
    return Cooldowns(clock)


def left(cooldowns: Cooldowns, target: Target = LARGE) -> float:
    found = cooldowns.of(target)
    return found.left_s if found else 0.0


def test_a_pause_is_as_long_as_the_provider_asked(cooldowns: Cooldowns, clock: Clock) -> None:
    cooldowns.begin(LARGE, "429", first_s=5, asked_s=60)
    assert cooldowns.of(LARGE) == Cooldown(60, "429")
    clock.now_s += 59
    assert left(cooldowns) == 1
    clock.now_s += 1
    assert cooldowns.of(LARGE) is None


def test_without_a_hint_it_grows_with_each_failure(cooldowns: Cooldowns, clock: Clock) -> None:
    pauses = []
    for _ in range(8):
        cooldowns.begin(LARGE, "503", first_s=5)
        pauses.append(left(cooldowns))
        clock.now_s += left(cooldowns)
    assert pauses == [5, 10, 20, 40, 80, 160, LONGEST_GROWN_S, LONGEST_GROWN_S]
    cooldowns.end(LARGE)
    cooldowns.begin(LARGE, "503", first_s=5)
    assert left(cooldowns) == 5


def test_requests_that_fail_together_are_one_failure(cooldowns: Cooldowns, clock: Clock) -> None:
    for _ in range(50):
        cooldowns.begin(LARGE, "503", first_s=5)
        clock.now_s += 0.05
    assert left(cooldowns) == pytest.approx(2.5)


def test_the_longer_hint_holds(cooldowns: Cooldowns) -> None:
    cooldowns.begin(LARGE, "429", first_s=5, asked_s=60)
    cooldowns.begin(LARGE, "429", first_s=5, asked_s=2)
    assert left(cooldowns) == 60


def test_a_status_is_about_one_model_a_lost_connection_about_all(cooldowns: Cooldowns) -> None:
    cooldowns.begin(LARGE, "429", first_s=5)
    assert (left(cooldowns, LARGE), left(cooldowns, SMALL)) == (5, 0)
    cooldowns.begin(ALL, "connect", first_s=9)
    assert (left(cooldowns, LARGE), left(cooldowns, SMALL)) == (9, 9)
    cooldowns.end(SMALL)
    assert (left(cooldowns, LARGE), left(cooldowns, SMALL)) == (5, 0)


def test_a_provider_may_have_no_pause(cooldowns: Cooldowns) -> None:
    cooldowns.begin(LARGE, "429", first_s=0, asked_s=60)
    assert cooldowns.running() == {}


def test_names_that_clients_choose_do_not_fill_memory(cooldowns: Cooldowns) -> None:
    for number in range(MAX_KEPT + 5):
        cooldowns.begin(Target("p", f"m{number}"), "429", first_s=5)
    assert len(cooldowns.running()) == MAX_KEPT
    assert left(cooldowns, Target("p", "m0")) == 0


def test_the_heartbeat_tells_points_in_time(cooldowns: Cooldowns, clock: Clock) -> None:
    cooldowns.begin(LARGE, "429", first_s=5, asked_s=60)
    told = [{"provider": "p", "model": "large", "until": 1060, "cause": "429"}]
    assert cooldowns.as_facts(1000.0) == told
    clock.now_s += 7.3
    assert cooldowns.as_facts(1007.3) == told, "it is sent again only when it changed"
    clock.now_s += 60
    assert cooldowns.as_facts(1067.3) == []


def test_entries_of_a_list() -> None:
    found = parse_fallbacks(["backup", "router/vendor/model"])
    assert found == (Fallback("backup"), Fallback("router", "vendor/model"))
    assert [entry.text for entry in found] == ["backup", "router/vendor/model"]


@pytest.mark.parametrize(
    "values", [None, "a", {}, [1], [""], ["/m"], ["a/"], ["a b"], ["a", "a"], ["a/\n"], ["x"] * 9]
)
def test_a_list_that_cannot_be_used(values: object) -> None:
    with pytest.raises(BadFallbacks):
        parse_fallbacks(values)
