from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from interceptor.models import InterceptorStatus
from providers.models import ConfigRevision
from tests.rows import make_flow, make_provider, make_status


def state_of(response, name: str):
    return next(state for state in response.context["providers"] if state.provider.name == name)


def test_an_empty_installation_says_what_to_do(browser: Client):
    page = browser.get("/admin/").content.decode()
    assert "No interceptor is running. Start one: ccproxy start" in page
    assert "ccproxy init" in page


def test_traffic_is_counted_by_window(browser: Client):
    made: list[tuple[float, dict[str, Any]]] = [
        (5, {}),
        (300, {"status_code": 500}),
        (7200, {"status_code": None, "state": "error"}),
        (7300, {"status_code": None, "state": "live"}),
        (200_000, {"status_code": 500}),
    ]
    for age_s, fields in made:
        make_flow(age_s=age_s, **fields)
    traffic = browser.get("/admin/").context["traffic"]
    assert (traffic.minute, traffic.hour, traffic.day, traffic.failed_in_day) == (1, 2, 4, 2)


def test_a_provider_shows_its_last_flow_and_its_401s(browser: Client):
    make_provider("quiet", auth_type="key")
    make_provider("busy")
    make_flow(provider="busy", age_s=90_000, status_code=401)
    make_flow(provider="busy", age_s=120, status_code=401)
    make_flow(provider="busy", age_s=60)
    response = browser.get("/admin/")
    busy, quiet = state_of(response, "busy"), state_of(response, "quiet")
    assert (busy.unauthorised, quiet.unauthorised) == (1, 0)
    assert busy.last_flow_at > busy.last_401_at
    assert quiet.last_flow_at is None
    assert quiet.missing_key


def test_it_says_when_the_newest_revision_is_live(browser: Client):
    ConfigRevision.objects.create(pk=1, number=42)
    status = make_status(revision=41)
    assert browser.get("/admin/").context["live"] == "Revision 42 is saved; running 41."
    status.revision = 42
    status.save()
    response = browser.get("/admin/")
    assert (response.context["live"], response.context["is_live"]) == (
        "Revision 42 is saved and live.",
        True,
    )


@pytest.mark.parametrize(
    "page",
    ["/admin/", "/admin/providers/provider/", "/admin/auth/user/add/", "/admin/password_change/"],
)
def test_a_refusal_stands_on_every_page(browser: Client, page):
    make_status(revision=42, refused_revision=43, refusal="rule 7: <b>bad</b>.")
    content = browser.get(page).content.decode()
    assert "Revision 43 was refused: rule 7: &lt;b&gt;bad&lt;/b&gt;. Running 42." in content
    assert 'role="alert"' in content


def test_a_refusal_that_was_overcome_is_silent(browser: Client):
    make_status(revision=44, refused_revision=43, refusal="old")
    assert "was refused" not in browser.get("/admin/").content.decode()


def test_a_dead_interceptor_counts_as_not_running(browser: Client):
    make_status(age_s=13, refused_revision=43, refusal="x")
    content = browser.get("/admin/").content.decode()
    assert "No interceptor is running" in content
    assert "was refused" not in content
    assert "–" in content  # what only a running interceptor knows


def test_losses_and_a_failing_writer_are_loud(browser: Client):
    make_status(
        bodies_dropped=3, records_dropped=1, writer_error="disk full", restart_needed=["port"]
    )
    response = browser.get("/admin/")
    assert (response.context["bodies_dropped"], response.context["records_dropped"]) == (3, 1)
    content = response.content.decode()
    assert "Flows are not being stored: disk full" in content
    assert "needs a restart to take effect: port" in content


def test_what_chains_skip_is_shown(browser: Client):
    until = time.time() + 30.3
    row = {"provider": "main", "model": "large", "until": until, "cause": "529"}
    make_status(cooldowns=[row])
    assert "main/large is skipped for 30 s after 529" in browser.get("/admin/").content.decode()
    InterceptorStatus.objects.update(cooldowns=[])
    assert "chains skip" not in browser.get("/admin/").content.decode()


def test_the_login_page_tells_strangers_nothing(client: Client, db):
    make_status(refused_revision=43, refusal="secret detail")
    content = client.get("/admin/login/").content.decode()
    assert "secret detail" not in content
    assert "No interceptor" not in content
