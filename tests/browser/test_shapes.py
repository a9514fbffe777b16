"""Shapes in a real browser: capture with review, comparison, activation, rollback."""

from __future__ import annotations

import os
import re
from typing import Any

import httpx
import pytest

from tests.browser.visit import Visit
from tests.e2e.process import Interceptor
from tests.patience import PATIENCE_S
from tests.rows import make_provider
from tests.shapes.captured import CANARY, NEWEST, recorded_sdk_flow, seed_shapes

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.usefixtures("seeded"),
]
NARROW = {"width": 390, "height": 844}


def seed() -> None:
    """Versions of shapes, a new release, and a request of an SDK."""
    seed_shapes()
    make_provider()
    recorded_sdk_flow()


SEED = seed


def active_version(interceptor: Interceptor) -> int:
    [row] = interceptor.rows("select version from shapes_shape where active")
    return int(row["version"])


def looks(visit: Visit, name: str) -> None:
    """Pictures of the page, if any are wanted: light, dark, narrow."""
    if "CCPROXY_TEST_PICTURES" not in os.environ:
        return
    page = visit.page
    visit.picture(name)
    page.emulate_media(color_scheme="dark")
    visit.picture(f"{name}-dark")
    page.set_viewport_size(NARROW)
    visit.picture(f"{name}-narrow")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_new_release_is_captured_compared_activated_and_rolled_back(
    visit: Visit, interceptor: Interceptor
) -> None:
    page = visit.go("/shapes/")
    news = page.locator(".news")
    assert "claude-cli 2.1.332" in news.inner_text()
    assert "9 refused" in page.locator(".refused").inner_text()
    looks(visit, "shapes")

    # From the notice to the comparison with the active shape, then to the review.
    news.get_by_role("link").click()
    assert "claude-cli/2.1.331" in page.locator(".diff").first.inner_text()
    looks(visit, "shape-review-active")
    page.get_by_role("link", name="recorded → stored").click()
    assert CANARY in page.locator(".change").inner_text()
    looks(visit, "shape-review")

    # The person keeps one text, and stores exactly this.
    page.get_by_label("odd.mode").check()
    page.get_by_role("button", name="Show again").click()
    stored = page.locator("pre.raw").last.inner_text()
    assert '"mode": "careful"' in stored and '"note": "placeholder"' in stored
    page.get_by_label("Notes").fill("the newest")
    page.get_by_role("button", name="store this").click()
    page.wait_for_url("**/shapes/anthropic/3/")
    assert "requests take it" in page.locator("h1").inner_text()
    looks(visit, "shape")
    assert active_version(interceptor) == 3
    assert CANARY not in str(interceptor.rows("select * from shapes_shape"))

    for tab in ("Fields", "Left out", "TLS", "Patches"):
        page.get_by_role("link", name=re.compile(tab)).click()
        looks(visit, f"shape-{tab.lower().replace(' ', '-')}")

    page.get_by_label("Compare with version").select_option("1")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/shapes/anthropic/1/diff/3/")
    assert "claude-cli/2.1.330" in page.locator(".diff").first.inner_text()
    looks(visit, "shape-diff")

    page.get_by_role("link", name="v3").click()
    page.get_by_role("button", name="Roll back to v2").click()
    page.wait_for_url("**/shapes/")
    assert active_version(interceptor) == 2
    page.get_by_role("row", name=re.compile("^v1 ")).get_by_role("button", name="Activate").click()
    assert "take v1 now" in page.locator(".note").first.inner_text()
    assert active_version(interceptor) == 1
    interceptor.settle()


def test_the_terms_are_confirmed_with_a_tick(visit: Visit, interceptor: Interceptor) -> None:
    page = visit.go("/shapes/")
    page.get_by_role("button", name="Withdraw").click()
    assert "terms not confirmed" in page.locator(".provider").first.inner_text()
    looks(visit, "shapes-terms")
    page.get_by_label("Shaping makes requests look like").check()
    page.get_by_role("button", name="Confirm for anthropic").click()
    assert "Terms confirmed by" in page.locator(".provider").first.inner_text()


def test_every_flow_that_may_become_a_shape_leads_to_the_review(visit: Visit) -> None:
    page: Any = visit.go(f"/flows/{NEWEST}/")
    page.get_by_role("link", name="use as shape").click()
    page.wait_for_url(f"**/shapes/capture/{NEWEST}/")
    page = visit.go("/flows/?candidate=true")
    page.locator(f"#f-{NEWEST} .mark").click()
    page.locator("#marked").get_by_role("link", name="Use as shape").click()
    page.wait_for_url(f"**/shapes/capture/{NEWEST}/")
    page = visit.go("/flows/?candidate=true")
    page.locator(f"#f-{NEWEST} a.tag").click()
    page.wait_for_url(f"**/shapes/capture/{NEWEST}/")


def test_a_preview_sends_nothing(visit: Visit, interceptor: Interceptor) -> None:
    sdk = "user_agent like 'anthropic-sdk%'"
    [flow] = interceptor.flows(sdk)
    page = visit.go("/shapes/anthropic/2/")
    page.get_by_role("link", name="preview").click()
    page.wait_for_url("**/shapes/anthropic/2/preview/")
    looks(visit, "shape-preview-empty")
    page.locator(".recent a").first.click()
    page.wait_for_url(f"**/preview/?flow={flow['id']}")
    row = page.get_by_role("row", name=re.compile("^x-stainless-os "))
    assert row.locator(".origin").inner_text() == "shape"
    assert "MacOS" in row.inner_text()
    looks(visit, "shape-preview")
    assert len(interceptor.flows(sdk)) == 1


def test_the_changes_of_a_shaped_request_show_the_origin_of_each_part(
    visit: Visit, interceptor: Interceptor
) -> None:
    response = httpx.post(
        interceptor.url + "/v1/messages",
        json={
            "model": "demo",
            "max_tokens": 9,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "Hello"}],
            "unknown": 1,
        },
        headers={"x-api-key": "sk-ccproxy-up", "x-mine": "1"},
        timeout=PATIENCE_S,
    )
    flow = interceptor.flow(response.headers["x-ccproxy-flow"])
    assert flow["shape"].startswith("anthropic v")
    page = visit.go(f"/flows/{flow['id']}/?tab=changes")
    page.locator(".rail").get_by_role("link", name=re.compile("^shape")).click()
    origins = page.locator(".origins")
    for name, kind in (("user-agent", "client"), ("x-mine", "dropped"), ("messages", "client")):
        row = origins.locator("li").filter(has=page.get_by_text(name, exact=True))
        assert f"origin-{kind}" in (row.first.get_attribute("class") or "")
    assert origins.locator(".origin-shape").count() > 0
    assert origins.locator(".origin-made").count() > 0
    assert page.locator(".rail .inner").count() == 3
    looks(visit, "shape-origins")
    interceptor.settle()
