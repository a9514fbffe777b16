"""Take a picture of every page, light and dark, as wide as a desktop and as a phone.

    python -m tests.pictures.every_page FOLDER [NAME …]      a name may be a pattern: 'flow-*'

For people who judge the look of the console; the pictures are no part of the documentation. Its
files are `NAME-WIDTH-SCHEME.png`. It starts three interceptors: one with the demo and rows for every
page, one with awkward rows, one without any row.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import django

from tests.browser.visit import Visit, chromium, patient_context, sign_in, visiting
from tests.e2e.process import Interceptor, running, wait_until
from tests.pictures.demo_site import NOTICES, demo_played, new_site
from tests.pictures.scenes import EARLY, Stage

WIDTHS = {1440: 900, 390: 844}
SCHEMES = ("light", "dark")
MAX_HEIGHT = 1500
"""In pixels; what is further down looks like what is above."""
TABS = ("chat", "client", "forwarded", "response", "changes", "context", "timing")

Act = Callable[[Any], object]
Pages = Iterator[tuple[str, str, Act | None]]
"""Name, address, and what is done before the picture."""


def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    site = new_site(NOTICES)
    os.environ["CCPROXY_CONFIG_DIR"] = str(site.config_dir)
    django.setup()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, chromium(playwright) as browser:
        with running(site):
            _picture_demo(browser, site, folder, wanted)
        with running(new_site()) as site:
            _picture_awkward(browser, site, folder, wanted)
        with running(new_site()) as empty:
            state = sign_in(browser, empty)
            with visiting(browser, empty, state) as visit:
                _take(visit, _empty_pages(), folder, wanted)


def _picture_demo(browser: Any, site: Interceptor, folder: Path, wanted: list[str]) -> None:
    # They have models, so Django has to be set up first.
    from interceptor.management.commands.demo import price_agent
    from tests.browser import seeds
    from tests.pictures import rows

    state = sign_in(browser, site)
    site.call(price_agent)
    assert site.manage("demo", "--down").returncode == 0
    with demo_played(site) as session:
        stage = Stage(site, session)
        wait_until(stage.is_indexed, "the links between the flows are made")
        site.call(rows.rules_and_filters)
        stage.websocket = site.call(rows.websocket)
        site.call(rows.usage)
        site.call(rows.shapes)
        site.call(rows.running_flow)
        site.call(rows.guest)
        site.call(seeds.rows_of_the_admin)
        site.settle()
        pages = [*_scenes(stage), *_flow_pages(stage), *_other_pages(stage)]
        pages += [(name, at, None) for name, at in site.call(rows.admin_pages).items()]
        with visiting(browser, site, state) as visit:
            _take(visit, iter(pages), folder, wanted)
        _picture_guest(browser, site, folder, wanted)


def _scenes(stage: Stage) -> Pages:
    for scene in EARLY:
        yield scene.name.removeprefix("console-"), scene.address(stage), scene.act


def _flow_pages(stage: Stage) -> Pages:
    from tests.flows.seed import IDS

    for tab in TABS:
        yield f"flow-{tab}", f"/flows/{stage.turn(9)}/?tab={tab}", None
    lossy = stage.flow('is_lossy and provider = "demo-openai"')
    yield "flow-translated", f"/flows/{lossy}/", None
    yield "flow-forwarded-translated", f"/flows/{lossy}/?tab=forwarded", None
    yield "flow-failed", f"/flows/{stage.flow('status_code >= 500')}/", None
    cut = stage.flow("state = 'error' and status_code = 200")
    yield "flow-cut", f"/flows/{cut}/", None
    yield "flow-live", f"/flows/{IDS['live']}/", None
    for tab in ("chat", "messages", "turns"):
        yield f"flow-websocket-{tab}", f"/flows/{stage.websocket}/?tab={tab}", None
    yield "flow-raw", f"/flows/{stage.turn(9)}/?tab=client&view=raw", None
    yield "flow-hook", f"/flows/{lossy}/?tab=changes&hook=0", None


def _other_pages(stage: Stage) -> Pages:
    yield "list-grouped", "/flows/?group=session", None
    yield "list-none", "/flows/?provider=nobody", None
    yield "list-problem", "/flows/?cost_min_usd=x&statuss=4xx", None
    yield "list-columns", "/flows/", _open("Columns")
    yield "palette", "/flows/", _press_palette
    yield "session-waterfall", f"/flows/session/{stage.session}/?tab=timeline", None
    yield "session-missing", "/flows/session/nobody/", None
    yield "flow-missing", "/flows/nobody/", None
    yield "not-found", "/no/such/page/", None
    yield "usage", "/usage/", None
    yield "shape-versions", "/shapes/anthropic/2/?tab=request", None
    yield "shape-fields", "/shapes/anthropic/2/?tab=fields", None
    yield "shape-diff", "/shapes/anthropic/1/diff/2/", None
    yield "shape-preview", "/shapes/anthropic/2/preview/", None
    yield "models", "/models/?model=claude-opus-5-5", None
    yield "explain-empty", "/explain/", None
    yield "rest-flows", "/api/flows/?limit=2", None
    yield "rest-sessions", "/api/sessions/", None
    yield "rest-missing", "/api/flows/nobody/", None
    yield "api-docs", "/api/docs/", _wait_for(".opblock")
    yield "admin-delete", "/admin/providers/provider/1/delete/", None
    yield "admin-history", "/admin/providers/provider/1/history/", None
    yield "admin-password", "/admin/password_change/", None


def _picture_awkward(browser: Any, site: Interceptor, folder: Path, wanted: list[str]) -> None:
    from tests.browser import seeds
    from tests.pictures import awkward
    from tests.pictures.rows import admin_pages

    state = sign_in(browser, site)
    site.call(awkward.rows)
    pages = [*_awkward_pages(), *_refused_forms(site.call(seeds.forms_to_add))]
    for name, at in site.call(admin_pages).items():
        pages.append((name.replace("nav-", "awkward-"), at, None))
    with visiting(browser, site, state) as visit:
        _take(visit, iter(pages), folder, wanted)


def _awkward_pages() -> Pages:
    from tests.pictures.awkward import IDS, LONG_SESSION

    for name, address in {
        "list": "/flows/",
        "grouped": "/flows/?group=session",
        "timeline": f"/flows/session/{LONG_SESSION}/?tab=timeline",
        "explain": f"/explain/?flow={IDS['arabic']}",
        "resend": f"/flows/{IDS['emoji']}/resend/",
        "diff": f"/flows/diff/{IDS['chinese']}/{IDS['markup']}/",
        "session-context": f"/flows/session/{LONG_SESSION}/?tab=context",
        "curl": f"/flows/{IDS['unbroken']}/as/curl",
        "search": "/flows/?q=" + "build" * 30,
    }.items():
        yield f"awkward-{name}", address, None
    for name, flow_id in IDS.items():
        yield f"awkward-flow-{name}", f"/flows/{flow_id}/?all=1", None
    for tab in ("client", "forwarded", "response", "changes", "context", "timing"):
        yield f"awkward-tab-{tab}", f"/flows/{IDS['markup']}/?tab={tab}", None
    yield "awkward-peek", f"/flows/?peek={IDS['chinese']}", None
    yield "awkward-session", f"/flows/session/{LONG_SESSION}/", None
    yield "awkward-palette", "/flows/", _press_palette


def _refused_forms(addresses: dict[str, str]) -> Pages:
    """Each form for a new row, as it is and after it was sent empty."""
    for name, address in addresses.items():
        yield f"add-{name}", address, None
        yield f"refused-{name}", address, _save


def _save(page: Any) -> None:
    page.locator("[name=_save]").click()
    page.locator(".errornote, .errorlist, [role=alert]").first.wait_for()


def _empty_pages() -> Pages:
    for name, address in {
        "list": "/flows/",
        "sessions": "/flows/sessions/",
        "dashboard": "/dashboard/",
        "usage": "/usage/",
        "status": "/admin/",
        "shapes": "/shapes/",
        "explain": "/explain/",
        "models": "/models/",
        "rules": "/admin/providers/transformrule/",
        "providers": "/admin/providers/provider/",
        "credentials": "/admin/providers/provider/auth-board/",
        "notices": "/admin/ccproxy_site/sentnotice/",
        "tokens": "/admin/interceptor/clienttoken/",
    }.items():
        yield f"empty-{name}", address, None


def _picture_guest(browser: Any, site: Interceptor, folder: Path, wanted: list[str]) -> None:
    """Picture the login page, and what a person without rights sees."""
    from tests.pictures.rows import GUEST, GUEST_PASSWORD

    context = patient_context(browser)
    visit = Visit(context.new_page(), site.console_url)
    _take(visit, iter([("login", "/admin/login/?next=/flows/", None)]), folder, wanted)
    page = visit.go("/admin/login/?next=/flows/")
    page.locator("[name=username]").fill(GUEST)
    page.locator("[name=password]").fill(GUEST_PASSWORD)
    page.locator("[type=submit]").click()
    page.wait_for_load_state()
    guests = [
        ("forbidden", "/flows/", None),
        ("forbidden-admin", "/admin/providers/provider/", None),
        ("guest-status", "/admin/", None),
    ]
    _take(visit, iter(guests), folder, wanted)
    context.close()


def _take(visit: Visit, pages: Pages, folder: Path, wanted: list[str]) -> None:
    for name, address, act in pages:
        if wanted and not any(fnmatchcase(name, pattern) for pattern in wanted):
            continue
        for width, height in WIDTHS.items():
            visit.page.set_viewport_size({"width": width, "height": height})
            visit.page.emulate_media(color_scheme="light")
            page = visit.go(address)
            try:
                if act:
                    act(page)
                _shoot(page, folder / f"{name}-{width}")
            except Exception as error:  # a picture that fails must not cost the others
                print(f"{name} {width}: {error}", flush=True)
    # Pages that are missing are among them.
    visit.complaints.clear()


def _shoot(page: Any, path: Path) -> None:
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        # Fonts, charts and the admin's theme; there is nothing to wait for by name.
        page.wait_for_timeout(250)
        size = page.evaluate("[innerWidth, document.documentElement.scrollHeight, innerHeight]")
        height = max(size[2], min(size[1], MAX_HEIGHT))
        clip = {"x": 0, "y": 0, "width": size[0], "height": height}
        page.screenshot(path=f"{path}-{scheme}.png", clip=clip, full_page=True)


def _open(summary: str) -> Act:
    return lambda page: page.locator("summary", has_text=summary).first.click()


def _wait_for(selector: str) -> Act:
    return lambda page: page.locator(selector).first.wait_for()


def _press_palette(page: Any) -> None:
    page.keyboard.press("Control+k")
    page.wait_for_timeout(300)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    main(Path(sys.argv[1]), sys.argv[2:])
