"""The admin and the API's pages in a real browser: nothing is blocked by the policy, nothing asks a
foreign host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from ccproxy_site.console.login_link import make_login_link
from ccproxy_site.models import SentNotice
from tests.browser.visit import patient_context
from tests.rows import make_flow, make_provider, make_rule, make_status

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@dataclass
class Visitor:
    """A browser page at the console, and everything it complained about."""

    page: Any
    base: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, path: str) -> Any:
        self.page.goto(self.base + path, wait_until="load")
        return self.page


@pytest.fixture(scope="module", autouse=True)
def database_beside_the_loop(playwright: Any) -> Iterator[None]:
    """Let Django use the database in this thread, in which the loop of Playwright runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def visitor(browser: Any, live_server: Any) -> Iterator[Visitor]:
    """Signed in by link, as a user would."""
    provider = make_provider(auth_type="file", auth_config={"file": "~/key"})
    make_rule(name="first", position=0, dest_provider=provider, action="redirect")
    make_rule(name="second", position=1)
    make_flow()
    make_status()
    link = make_login_link(live_server.url)
    context = patient_context(browser, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    visitor = Visitor(page, live_server.url)
    page.on(
        "console",
        lambda m: visitor.complaints.append(m.text) if m.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("request", lambda request: visitor.hosts.add(urlsplit(request.url).netloc))
    page.goto(link)
    assert visitor.complaints == []
    page.locator("button:focus").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/flows/")
    page.goto("about:blank")
    visitor.complaints.clear()  # the flow list wants a websocket, which this server has not
    yield visitor
    context.close()
    assert visitor.complaints == []
    assert visitor.hosts - {""} == {urlsplit(live_server.url).netloc}


def test_no_page_is_hurt_by_the_policy(visitor: Visitor):
    for path in (
        "/admin/",
        "/admin/providers/provider/",
        "/admin/providers/provider/add/",
        "/admin/providers/transformrule/",
        "/admin/interceptor/hooksetting/add/",
        "/admin/flows/flow/",
        "/admin/auth/user/add/",
    ):
        page = visitor.go(path)
        # The theme's script takes the cloak off; ours shows the button.
        page.locator("html:not([x-cloak])").wait_for()
        page.locator("[data-act=theme]").wait_for(state="visible")


def test_the_form_shows_the_fields_of_the_chosen_source(visitor: Visitor):
    page = visitor.go("/admin/providers/provider/add/")
    secret, command, file = (
        page.locator(f"#id_{name}") for name in ("new_secret", "auth_command", "auth_file")
    )
    assert not (secret.is_visible() or command.is_visible() or file.is_visible())
    page.select_option("#id_auth_type", "key")
    secret.wait_for(state="visible")
    page.select_option("#id_auth_type", "file")
    file.wait_for(state="visible")
    assert not secret.is_visible()


def test_a_refused_form_opens_at_its_first_error(visitor: Visitor):
    page = visitor.go("/admin/providers/provider/add/")
    page.fill("#id_name", "far")
    page.fill("#id_host", "far.example")
    page.select_option("#id_auth_type", "google_oauth")
    page.locator("[name=_save]").click()
    page.locator("#id_login_client_id[aria-invalid=true]").wait_for()
    page.wait_for_function("document.activeElement.id == 'id_login_client_id'")
    box = page.locator("#id_login_client_id").bounding_box()
    assert box is not None
    assert 100 < box["y"] < page.viewport_size["height"] - 100


def test_rules_are_ordered_by_dragging(visitor: Visitor):
    from providers.models import TransformRule

    page = visitor.go("/admin/providers/transformrule/")
    handles = page.locator("tbody .material-symbols-outlined", has_text="drag_indicator")
    handles.nth(1).drag_to(handles.nth(0), target_position={"x": 5, "y": 1})
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Live in a second").wait_for()
    assert list(TransformRule.objects.values_list("name", flat=True)) == ["second", "first"]


def test_the_page_follows_the_systems_dark_mode(visitor: Visitor):
    colours = []
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        page = visitor.go("/admin/")
        page.locator("[data-act=theme]").wait_for(state="visible")
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_the_chosen_theme_holds_on_admin_and_console(visitor: Visitor):
    seen: list[str | None] = []
    for path in ("/admin/", "/explain/", "/admin/providers/provider/"):
        page = visitor.go(path)
        button = page.locator("[data-act=theme]")
        button.wait_for(state="visible")
        if not seen:
            button.click()
            button.click()
        seen.append(button.get_attribute("aria-label"))
        shown = page.evaluate(
            "getComputedStyle(document.querySelector('.top')).getPropertyValue('background-color')"
        )
        assert shown == "rgb(22, 25, 29)"
        if path.startswith("/admin/"):
            page.locator("html.dark").wait_for()
    assert seen == ["Theme: dark"] * 3


def test_ctrl_k_goes_to_any_page(visitor: Visitor):
    page = visitor.go("/admin/")
    for words, address in (("hook", "**/admin/interceptor/hooksetting/"), ("expl", "**/explain/")):
        page.keyboard.press("Control+k")
        page.keyboard.type(words)
        page.keyboard.press("Enter")
        page.wait_for_url(address)
    page.keyboard.press("Control+k")
    page.keyboard.type("no page says this")
    assert page.locator("#palette [aria-selected=true]").inner_text().startswith("Search flows")
    page.keyboard.press("Escape")
    page.locator("#palette:not([open])").wait_for(state="attached")


def test_narrow_pages_have_every_link(visitor: Visitor):
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/admin/", "/explain/"):
        page = visitor.go(path)
        assert not page.locator("#pages").is_visible()
        page.locator(".burger").click()
        for title in page.locator("#pages summary").all():
            title.click()
            for link in page.locator("#pages details[open] a").all():
                assert link.is_visible()
        page.locator("#pages details[open] a").last.scroll_into_view_if_needed()
        page.keyboard.press("Escape")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, path


def test_swagger_shows_the_api(visitor: Visitor):
    page = visitor.go("/api/docs/")
    page.get_by_text("/api/flows/{id}/body/{side}/").wait_for()


def test_the_auth_board_tests_a_credential(visitor: Visitor, tmp_path):
    (tmp_path / "key").write_text("canary-0123456789\n")
    make_provider("filed", auth_type="file", auth_config={"file": str(tmp_path / "key")})
    make_provider(
        "login", auth_type="codex_oauth", auth_config={"file_path": str(tmp_path / "none.json")}
    )
    make_flow(provider="filed", status_code=401)
    page = visitor.go("/admin/providers/provider/auth-board/")
    states = page.locator("td.cc-bad").all_inner_texts()
    assert [state for state in states if "no such file" not in state] == ["not logged in"]
    page.get_by_role("button", name="Read the credential of filed").click()
    page.get_by_text("a credential of 17 characters for authorization").wait_for()
    if folder := os.environ.get("CCPROXY_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/auth-board.png")
    assert "canary" not in page.content()


def test_the_provider_form_shows_a_login_s_settings(visitor: Visitor):
    page = visitor.go("/admin/providers/provider/add/")
    file = page.locator("#id_login_file_path")
    assert not file.is_visible()
    page.locator("#id_auth_type").select_option("codex_oauth")
    file.wait_for(state="visible")
    assert file.get_attribute("placeholder") == "~/.codex/auth.json"
    page.locator("#id_auth_type").select_option("google_oauth")
    page.wait_for_function(
        "document.querySelector('#id_login_file_path').placeholder.startsWith('~/.gemini')"
    )
    assert page.locator("#id_new_secret").is_visible()
    assert not page.locator("#id_auth_command").is_visible()


def test_a_stored_secret_is_shown_after_the_password(visitor: Visitor):
    user = User.objects.get()
    user.set_password("a-password-of-mine")
    user.save()
    keyed = make_provider("keyed", auth_type="key", secret="sk-shown-in-the-browser")
    visitor.page.goto(visitor.base + "/admin/login/?next=/admin/")
    visitor.page.fill("#id_username", user.username)
    visitor.page.fill("#id_password", "a-password-of-mine")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(visitor.base + "/admin/")
    page = visitor.go("/admin/providers/provider/auth-board/")
    page.get_by_label("Show the stored secret of keyed").click()
    page.fill("#reveal-password", "a-password-of-mine")
    page.get_by_role("button", name="Show the secret").click()
    assert page.locator("#revealed-secret").inner_text() == "sk-shown-in-the-browser"
    visitor.go(f"/admin/providers/provider/{keyed.pk}/reveal/")
    assert "sk-shown" not in page.content()
    assert visitor.complaints == []


HIDDEN = """
window.shown = [];
window.isHidden = false;
Object.defineProperty(document, "hidden", { get: () => window.isHidden });
window.Notification = class {
  static permission = "default";
  static async requestPermission() { return this.permission = "granted"; }
  constructor(title, { body }) { window.shown.push(body); }
};
"""
LOOK_AWAY = "isHidden = {}; document.dispatchEvent(new Event('visibilitychange'))"


def test_the_tab_counts_failures_and_shows_notices(visitor: Visitor) -> None:
    visitor.page.add_init_script(HIDDEN)
    page = visitor.go("/admin/ccproxy_site/sentnotice/")
    icons = "[...document.querySelectorAll('link[rel~=icon]')].map(each => each.href).join()"
    page.wait_for_function("localStorage.ccproxyTabSeen > 0 && localStorage.ccproxyNoticeShown")
    title = page.title()
    assert not title.startswith("(")
    page.get_by_role("button", name="Show notices in this browser").click()
    page.get_by_role("button", name="Stop showing notices in this browser").wait_for()
    page.evaluate(LOOK_AWAY.format("true"))
    make_flow(status_code=529, finished_at=timezone.now() + timedelta(minutes=10))
    SentNotice.objects.create(made_at=timezone.now(), kind="failure", text="it failed with 529")
    # As the next look does, in a quarter of a minute.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function("shown.length === 1")
    page.wait_for_function("document.title.startsWith('(1) ')")
    assert page.title() == f"(1) {title}"
    assert page.evaluate("shown") == ["it failed with 529"]
    assert "icon_failing" in page.evaluate(icons)
    page.evaluate(LOOK_AWAY.format("false"))
    page.wait_for_function("!document.title.startsWith('(')")
    assert "icon_failing" not in page.evaluate(icons)
    assert page.evaluate("shown.length") == 1
    assert visitor.complaints == []
