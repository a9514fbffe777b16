"""jq, "copy as", explain and HAR in a real browser: what leaves the console works where it is taken
to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.visit import Visit, patient_context, visiting
from tests.e2e.process import Interceptor
from tests.flows.seed import IDS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.usefixtures("seeded"),
]


def test_a_har_answers_in_the_providers_place(
    browser: Any, interceptor: Interceptor, state: Any, tmp_path: Path
):
    """Chromium is served from the exported file: the recorded answer comes back for the recorded
    request.
    """
    with visiting(browser, interceptor, state) as visit:
        page = visit.go("/flows/")
        with page.expect_download() as download:
            page.click("a[download]")
        path = tmp_path / "flows.har"
        download.value.save_as(path)
    entries = json.loads(path.read_text())["log"]["entries"]
    chat = next(entry for entry in entries if entry["pageref"] == IDS["chat"])
    context = patient_context(browser)
    try:
        context.route_from_har(path, not_found="abort")
        page = context.new_page()
        page.route(
            "https://api.openai.com/",
            lambda route: route.fulfill(body="here", content_type="text/html"),
        )
        page.goto("https://api.openai.com/")
        answer = page.evaluate(
            "async (body) => (await fetch('/v1/chat/completions', {method: 'POST', body,"
            " headers: {'content-type': 'application/json'}})).json()",
            chat["request"]["postData"]["text"],
        )
    finally:
        context.close()
    assert answer["choices"][0]["message"]["content"] == "Hello! How can I help?"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_copy_explain_and_jq_pages(
    browser: Any, interceptor: Interceptor, state: Any, width: int, scheme: str
):
    with visiting(
        browser, interceptor, state, viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as visit:
        page = visit.go(f"/flows/{IDS['redirect']}/")
        page.keyboard.press("c")
        page.wait_for_selector(".steps .menu[open] a:focus")
        page.keyboard.press("Enter")
        page.wait_for_selector("#copied")
        assert page.inner_text("#copied").startswith("curl --request POST")
        visit.picture(f"copy-{width}")
        page.click("text=Python, anthropic")
        page.wait_for_selector("text=client.messages.create")
        page.keyboard.press("Escape")
        page.wait_for_selector("[data-act=explain]")
        page.keyboard.press("e")
        page.wait_for_selector("h2:has-text('Hooks')")
        visit.picture(f"explain-{width}")
        _pasted(page)
        visit.picture(f"explain-pasted-{width}")
        page = visit.go("/flows/?jq=map(select(.provider%20%3D%3D%20%22local%22))")
        assert page.locator("tr.flow").count() == 2
        page = visit.go(
            "/flows/?jq=group_by(.provider)%7Cmap(%7Bp%3A.%5B0%5D.provider%2Cn%3Alength%7D)"
        )
        assert '"anthropic"' in page.inner_text("#jq-value")
        visit.picture(f"jq-{width}")
        page = visit.go("/flows/?jq=.%5B%7D")
        assert "syntax error" in page.inner_text(".problem")
        _check(visit, page)


def _pasted(page: Any) -> None:
    if not page.locator("textarea#request").is_visible():
        page.click("summary:has-text('Try another request')")
    page.fill("textarea#request", "POST /v1/messages\nx-api-key: sk-ccproxy-nobody\n\n{}")
    page.click("button:has-text('Explain')")
    page.wait_for_selector("text=which is not configured")


def _check(visit: Visit, page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.check()
