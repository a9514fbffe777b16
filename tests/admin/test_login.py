from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import repeat
from urllib.parse import quote, urlsplit

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from ccproxy_site.console import login_form
from ccproxy_site.console.login_form import ThrottledAuthenticationForm
from ccproxy_site.console.login_link import make_login_link, page_behind
from ccproxy_site.models import LoginLink
from interceptor.access.login_offer import is_offered, offer_login, take_offer
from providers.models import FailureCount
from providers.web.client_address import client_address
from providers.web.throttle import MAX_FAILURES, MAX_OF_ADDRESS, MAX_OF_ALL, note_failure
from tests.rows import make_status

pytestmark = pytest.mark.django_db


def link() -> str:
    return urlsplit(make_login_link("http://127.0.0.1:8083/")).path


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_it_works(client: Client):
    path = link()
    page = client.get(path)
    assert "Sign in as admin" in page.content.decode()
    assert not signed_in(client)
    response = client.post(path)
    assert (response.status_code, response["Location"]) == (302, "/flows/")
    user = User.objects.get(pk=client.session["_auth_user_id"])
    assert (user.username, user.is_superuser, user.has_usable_password()) == ("admin", True, False)


def test_looking_does_not_spend_it(client: Client):
    path = link()
    for _ in range(3):
        assert Client().get(path).status_code == 200
        assert Client().head(path).status_code == 200
    assert client.post(path).status_code == 302


def test_it_works_once(client: Client):
    path = link()
    client.post(path)
    other = Client()
    response = other.post(path)
    assert response.status_code == 410
    assert not signed_in(other)
    assert "spent" in response.content.decode()


def test_it_expires(client: Client):
    path = link()
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1)):
        assert client.get(path).status_code == 410
        assert client.post(path).status_code == 410
        assert not signed_in(client)
        link()
        assert LoginLink.objects.count() == 1, "spent links are swept"


@pytest.mark.parametrize("token", ["x", "%00", "a" * 5000, "..%2F", "%F0%9F%98%80"])
def test_a_guess_is_a_plain_refusal(client: Client, token):
    link()
    assert client.post(f"/login/{token}/").status_code in (404, 410)
    assert not signed_in(client)


def test_it_needs_the_csrf_token():
    client = Client(enforce_csrf_checks=True)
    path = link()
    assert client.post(path).status_code == 403
    assert not signed_in(client)
    [token] = re.findall(
        r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(path).content.decode()
    )
    assert client.post(path, {"csrfmiddlewaretoken": token}).status_code == 302


def test_the_token_itself_is_not_stored():
    token = link().split("/")[2]
    assert len(token) >= 43  # 32 random bytes
    assert token not in str(list(LoginLink.objects.values()))


def test_an_existing_superuser_is_used_and_nobody_is_promoted():
    User.objects.create_user("admin")
    link()
    promoted = User.objects.get(username="admin")
    assert (promoted.is_superuser, promoted.is_staff) == (False, False)
    own = User.objects.exclude(username="admin").get()
    assert own.is_superuser
    link()
    assert User.objects.count() == 2


def test_a_blocked_user_gets_nowhere(client: Client):
    path = link()
    User.objects.update(is_active=False)
    assert client.post(path).status_code == 410
    assert not signed_in(client)


def test_it_takes_no_detours(client: Client):
    response = client.post(link() + "?next=https://evil.example/")
    assert response["Location"] == "/flows/"


@pytest.fixture
def directory(settings, tmp_path):
    """A config directory of its own, in which links are offered."""
    settings.CONFIG_DIR = tmp_path
    return tmp_path


def offered(directory, query: str = "") -> str:
    """Return path and query of an offered link."""
    parts = urlsplit(offer_login(directory, "http://127.0.0.1:8083", query))
    return f"{parts.path}?{parts.query}"


def test_an_offered_link_works_once_and_leads_to_the_run(client: Client, directory):
    path = offered(directory, "run=claude-3f9a21c0")
    assert "Sign in as admin" in client.get(path).content.decode() and not signed_in(client)
    assert client.post(path)["Location"] == "/flows/?run=claude-3f9a21c0"
    assert signed_in(client)
    other = Client()
    assert other.get(path).status_code == other.post(path).status_code == 410
    assert not signed_in(other)
    # The browser that is signed in goes on to the run.
    assert client.get(path)["Location"] == "/flows/?run=claude-3f9a21c0"


def test_an_offered_link_expires_and_is_swept(client: Client, directory):
    path = offered(directory)
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1)):
        assert client.get(path).status_code == client.post(path).status_code == 410
        assert not signed_in(client)
        offered(directory)
    assert len(list(directory.glob("run/links/*"))) == 1


def test_an_offer_is_taken_by_one_of_many(directory):
    token = offered(directory).split("/")[2]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take_offer, [directory] * 16, [token] * 16))
    assert sorted(taken) == [False] * 15 + [True]


def test_an_offer_holds_no_token_and_is_private(directory):
    token = offered(directory).split("/")[2]
    (file,) = directory.glob("run/links/*")
    assert token not in file.name and file.read_text() == ""
    assert file.stat().st_mode & 0o077 == 0
    # Its name is no token.
    assert not is_offered(directory, file.name) and not take_offer(directory, file.name)


@given(run=st.text(max_size=80))
def test_a_link_leads_nowhere_but_to_flows(run):
    request = RequestFactory().get("/login/x/", {"run": run})
    target = page_behind(request)
    assert target == "/flows/" or target == f"/flows/?run={quote(run, safe='')}"


def login(client: Client, name: str, password: str, address: str = "127.0.0.1"):
    return client.post(
        "/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=address
    )


def test_guessing_is_braked_and_every_refusal_reads_the_same(client: Client):
    User.objects.create_superuser("boss", password="right")
    User.objects.create_user("guest", password="right")
    texts = set()
    for name in ("boss", "nobody", "guest"):
        for _ in range(MAX_FAILURES + 2):
            response = login(client, name, "wrong")
            texts.add(str(response.context["form"].non_field_errors()))
    assert len(texts) == 1
    assert login(client, "boss", "right").status_code == 200, (
        "the right password is refused while braked"
    )
    assert login(client, "BOSS", "right").status_code == 200
    assert not signed_in(client)


def test_the_brake_is_per_account_and_address_and_lets_go(client: Client):
    User.objects.create_superuser("boss", password="right")
    for _ in range(MAX_FAILURES):
        login(client, "boss", "wrong", "10.0.0.1")
    assert login(Client(), "boss", "right", "10.0.0.2").status_code == 302
    counts = FailureCount.objects.values_list("failures", flat=True)
    assert list(counts) == [MAX_FAILURES] * 3, "in the database, which every process asks"
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert login(client, "boss", "right", "10.0.0.1").status_code == 302
        login(client, "boss", "wrong", "10.0.0.3")
    assert set(FailureCount.objects.values_list("failures", flat=True)) == {1}


def fail(times: int, addresses: Iterator[str]) -> None:
    """Count failed tries of ever new names, without the price of each password's check."""
    for number in range(times):
        request = RequestFactory().post("/admin/login/", REMOTE_ADDR=next(addresses))
        form = ThrottledAuthenticationForm(request, {})
        form.cleaned_data = {"username": f"name{number}"}
        for key in form._brakes():
            note_failure(key)


def test_an_address_is_braked_whatever_names_it_tries(client: Client):
    User.objects.create_superuser("boss", password="right")
    fail(MAX_OF_ADDRESS, repeat("10.0.0.1"))
    assert login(Client(), "boss", "right", "10.0.0.1").status_code == 200
    assert login(Client(), "boss", "right", "10.0.0.2").status_code == 302


def test_many_addresses_together_are_braked_too(monkeypatch: pytest.MonkeyPatch):
    limit = 2 * MAX_OF_ADDRESS
    assert limit < MAX_OF_ALL
    monkeypatch.setattr(login_form, "MAX_OF_ALL", limit)
    User.objects.create_superuser("boss", password="right")
    fail(limit - 1, (f"10.0.0.{n}" for n in range(1, 250)))
    assert login(Client(), "boss", "right", "192.0.2.1").status_code == 302
    fail(1, iter(["10.0.1.1"]))
    assert login(Client(), "boss", "right", "192.0.2.1").status_code == 200


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("", "10.9.9.9"),
    ],
)
def test_the_address_behind_a_trusted_proxy_counts(settings, forwarded: str, counted: str):
    def address(remote: str) -> str:
        headers = {"x-forwarded-for": forwarded} if forwarded else {}
        return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=remote))

    assert address("10.9.9.9") == "10.9.9.9", "nobody is believed unless a setting says so"
    console = settings.CCPROXY.console.model_copy(update={"trusted_proxies": ("10.9.9.9",)})
    settings.CCPROXY = settings.CCPROXY.model_copy(update={"console": console})
    assert address("10.9.9.9") == counted
    assert address("198.51.100.1") == "198.51.100.1"


def test_the_command_prints_a_link_for_the_running_console(client: Client, capsys):
    make_status(endpoints={"console_url": "http://127.0.0.1:9999"})
    call_command("loginlink")
    url = capsys.readouterr().out.strip()
    assert url.startswith("http://127.0.0.1:9999/login/")
    assert client.post(urlsplit(url).path).status_code == 302


def test_the_command_says_when_there_is_no_console(capsys):
    call_command("loginlink")
    captured = capsys.readouterr()
    assert captured.out.startswith("http://127.0.0.1:8083/login/")
    assert "ccproxy start" in captured.err


def test_the_password_page_names_the_command_that_makes_a_link(client: Client) -> None:
    assert "<code>ccproxy login</code>" in client.get("/admin/login/").content.decode()
