"""Take every picture of the documentation anew: `make pictures`, or `make pictures ARGS="console-list"`.

It starts ccproxy with a new config directory, plays `ccproxy demo`, and opens the pages in Chromium.
The pictures of the guides need the vendors' own programs: CCPROXY_TEST_REAL_CLIENTS names their folders.
`.venv/docs` has Pillow, which makes the files small.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from tests.browser.visit import chromium, sign_in, visiting
from tests.e2e.client_cases import program_of
from tests.e2e.process import Interceptor, running, wait_until
from tests.environment import ROOT
from tests.pictures.agents import AGENTS, installed_agents, run_agent, vendors
from tests.pictures.demo_site import NOTICES, demo_played, new_site
from tests.pictures.scenes import EARLY, LATE, OF_AGENTS, SHAPES, Scene, Stage

IMAGES = ROOT / "docs/images"
DOCS_PYTHON = ROOT / ".venv/docs/bin/python"
WIDTH = 1280
# A palette of 256 colours takes a third of the bytes, and shows the same.
SHRINK = """
import sys
from PIL import Image
source, target = sys.argv[1:]
Image.open(source).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
"""


def main(wanted: list[str]) -> None:
    of_agents = {scene.name for scene in OF_AGENTS}
    if not wanted or set(wanted) - of_agents:
        _picture_demo(wanted)
    if not wanted or set(wanted) & of_agents:
        _picture_agents(wanted)


def _picture_agents(wanted: list[str]) -> None:
    """Take the pictures of the agents that are installed."""
    from playwright.sync_api import sync_playwright

    folder = Path(tempfile.mkdtemp(prefix="ccproxy-vendors-"))
    with (
        sync_playwright() as playwright,
        chromium(playwright) as browser,
        vendors(folder) as environ,
        running(new_site(**environ)) as site,
    ):
        state = sign_in(browser, site)
        agents = [
            agent
            for agent in installed_agents()
            if not wanted or f"guide-{agent.program}" in wanted
        ]
        stage = Stage(site, runs={agent.program: run_agent(agent, site) for agent in agents})
        wait_until(stage.is_indexed, "the links between the flows are made")
        scenes = tuple(
            scene for scene in OF_AGENTS if scene.name.removeprefix("guide-") in stage.runs
        )
        with _page(browser, site, state) as page:
            _take(page, stage, scenes, wanted)
    for agent in AGENTS:
        if program_of(agent.program) is None:
            print(f"no picture of {agent.program}: it is in no folder", flush=True)


def _picture_demo(wanted: list[str]) -> None:
    site = new_site(NOTICES)
    os.environ["CCPROXY_CONFIG_DIR"] = str(site.config_dir)
    django.setup()
    from playwright.sync_api import sync_playwright

    # It has models, so Django has to be set up first.
    from interceptor.management.commands.demo import price_agent

    with sync_playwright() as playwright, chromium(playwright) as browser, running(site):
        state = sign_in(browser, site)
        # The recorder reads prices every two seconds: before the first request, not amid them.
        site.call(price_agent)
        done = site.manage("demo", "--down")
        assert done.returncode == 0, done.stdout + done.stderr
        _take_all(browser, site, state, wanted)


def _take_all(browser: Any, site: Interceptor, state: Any, wanted: list[str]) -> None:
    # It has models, so Django has to be set up first.
    from tests.pictures import rows

    with demo_played(site) as session:
        stage = Stage(site, session)
        wait_until(stage.is_indexed, "the links between the flows are made")
        site.call(rows.rules_and_filters)
        site.settle()
        with _page(browser, site, state) as page:
            _take(page, stage, EARLY, wanted)
            stage.websocket = site.call(rows.websocket)
            site.call(rows.usage)
            _take(page, stage, LATE, wanted)
            site.call(rows.shapes)
            _take(page, stage, SHAPES, wanted)


@contextlib.contextmanager
def _page(browser: Any, site: Interceptor, state: Any) -> Iterator[Any]:
    with visiting(
        browser, site, state, viewport={"width": WIDTH, "height": 720}, color_scheme="light"
    ) as visit:
        yield visit


def _take(visit: Any, stage: Stage, scenes: tuple[Scene, ...], wanted: list[str]) -> None:
    for scene in scenes:
        if wanted and scene.name not in wanted:
            continue
        visit.page.set_viewport_size({"width": WIDTH, "height": scene.height})
        page = visit.go(scene.address(stage))
        page.locator(scene.there).first.wait_for()
        scene.act(page)
        # Fonts and charts that move; there is nothing to wait for by name.
        page.wait_for_timeout(400)
        raw = Path(tempfile.gettempdir()) / f"{scene.name}-{os.getpid()}.png"
        page.screenshot(path=str(raw))
        target = IMAGES / f"{scene.name}.png"
        subprocess.run([str(DOCS_PYTHON), "-c", SHRINK, str(raw), str(target)], check=True)
        raw.unlink()
        print(f"{target.relative_to(ROOT)}  {target.stat().st_size / 1000:.0f} KB", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    main(sys.argv[1:])
