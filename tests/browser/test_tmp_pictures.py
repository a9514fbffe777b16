from __future__ import annotations
import time
from tests.browser.visit import Visit
from tests.e2e.process import Interceptor


def test_pictures(visit: Visit, seeded: Interceptor) -> None:
    page = visit.go("/flows/")
    for _ in range(100):
        visit.go("/flows/?q=FAILED")
        if page.locator(".hit").count() and not page.locator("text=Still indexing").count():
            break
        time.sleep(1)
    print(page.locator(".hit").all_inner_texts())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width, name in ((1400, "wide"), (390, "narrow")):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=f"/tmp/search-{scheme}-{name}.png")
