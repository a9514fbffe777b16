"""Notices by webhook and by command: what they get, what they refuse, what they keep to themselves."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pydantic import ValidationError

from ccproxy_site.models import SentNotice
from ccproxy_site.notices.courier import MAX_WAITING, Courier
from ccproxy_site.notices.notice import Notice, json_body
from ccproxy_site.notices.notice_channel import Channel, Outcome
from ccproxy_site.notices.notice_command import NoticeCommand
from ccproxy_site.notices.setup import channels_of
from ccproxy_site.notices.webhook import Webhook, secrets_in
from flows.redaction.redactor import Redactor
from interceptor.config.files.document import parse_document
from interceptor.config.files.parse_settings import parse_server_settings
from interceptor.config.files.server import ServerSettings
from providers.auth.registry import SecretRegistry
from tests.ccproxy_site.notices.receiver import Receiver, receiver
from tests.e2e.process import wait_until
from tests.environment import ROOT
from tests.visitors import staff_with

SENT = Notice(
    "failure",
    "POST /v1/messages failed with <529> & more",
    datetime(2026, 11, 29, 12, tzinfo=UTC),
    facts={"flow": "f1", "status": 529},
    url="http://127.0.0.1:8083/flows/f1/",
)


@pytest.fixture
def browser(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as served:
        yield served


def settings_with(**notices: Any) -> ServerSettings:
    return ServerSettings.model_validate({"notices": notices})


def webhook(**conf: Any) -> Webhook:
    (channel,) = channels_of(settings_with(webhook=conf))
    assert isinstance(channel, Webhook)
    return channel


def test_the_json_body(hook):
    assert webhook(url=hook.url).deliver(SENT) == (True, "delivered (204)", False, 0.0)
    (headers, body) = hook.got[0]
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers
    said = json.loads(body)
    assert said.pop("machine")
    assert said == {
        "version": 1,
        "kind": "failure",
        "at": "2026-11-29T12:00:00Z",
        "text": SENT.text,
        "count": 1,
        "url": SENT.url,
        "facts": {"flow": "f1", "status": 529},
    }


def test_the_format_of_slack(hook):
    webhook(url=hook.url, format="slack").deliver(SENT)
    text = "ccproxy: POST /v1/messages failed with &lt;529&gt; &amp; more"
    assert hook.bodies == [{"text": f"{text} <{SENT.url}>"}]


def test_a_secret_from_its_source(hook, tmp_path, caplog):
    (tmp_path / "secret").write_text("hush-4711-secret\n")
    source = {"type": "file", "file": str(tmp_path / "secret")}
    webhook(url=hook.url, auth=source).deliver(SENT)
    webhook(url=hook.url, auth={**source, "header": "X-Hook"}).deliver(SENT)
    (first, _), (second, _) = hook.got
    assert first["authorization"] == "Bearer hush-4711-secret"
    assert (second["x-hook"], "authorization" in second) == ("hush-4711-secret", False)
    # The address may be secret too, and comes from a file then.
    (tmp_path / "url").write_text(hook.url)
    from_file = {"type": "file", "file": str(tmp_path / "url")}
    assert webhook(url=from_file).deliver(SENT).is_delivered
    gone = webhook(url=hook.url, auth={"type": "file", "file": str(tmp_path / "none")})
    with caplog.at_level(logging.DEBUG):
        outcome = gone.deliver(SENT)
    assert not outcome.is_delivered
    assert "notices.webhook.auth" in outcome.text
    assert "hush-4711-secret" not in caplog.text + outcome.text
    assert len(hook.got) == 3


def test_neither_a_redirect_nor_an_odd_address_is_followed(hook, tmp_path):
    hook.replies, hook.headers = [302], {"location": hook.url}
    outcome = webhook(url=hook.url).deliver(SENT)
    assert (outcome.is_delivered, outcome.may_retry) == (False, False)
    assert "redirects (302)" in outcome.text
    assert len(hook.got) == 1
    (tmp_path / "url").write_text("http://192.0.2.1/hook")
    outcome = webhook(url={"type": "file", "file": str(tmp_path / "url")}).deliver(SENT)
    assert "must begin with https://" in outcome.text


@pytest.mark.parametrize(
    "url", ["http://example.com/hook", "ftp://127.0.0.1/", "https://u:p@example.com/", "https:///x"]
)
def test_addresses_that_settings_refuse(url):
    with pytest.raises(ValidationError) as refused:
        settings_with(webhook={"url": url})
    assert "u:p" not in str(refused.value)
    assert settings_with(webhook={"url": "http://localhost:9/"}).notices.webhook.url
    assert "T0/B0" not in repr(settings_with(webhook={"url": "https://h.example/T0/B0"}))


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://hooks.slack.test/services/T01/B02/x7Kq2mZ9p4Lw8Vb3", ["x7Kq2mZ9p4Lw8Vb3"]),
        ("https://h.example/in?token=x7Kq2mZ9p4Lw8Vb3&room=7", ["x7Kq2mZ9p4Lw8Vb3"]),
        ("http://127.0.0.1:4000/hook", []),
        ("https://h.example", []),
    ],
)
def test_of_an_address_the_token_alone_is_cut_out_of_the_record(url, secrets):
    assert secrets_in(url) == secrets
    registry = SecretRegistry()
    for secret in secrets:
        registry.add(secret)
    redact = Redactor(registry).text
    assert not any(secret in redact(url) for secret in secrets)
    other = url.partition("://")[0] + "://h.example/services/other"
    assert redact(other) == other


def test_a_receiver_that_does_not_respond(hook):
    hook.is_silent.set()
    outcome = webhook(url=hook.url, timeout_seconds=0.1).deliver(SENT)
    assert outcome == (False, "the receiver did not respond within 0.1 s", True, 0.0)
    closed = webhook(url="http://127.0.0.1:9/").deliver(SENT)
    assert "cannot be reached (ConnectError)" in closed.text


def test_busy_receivers_are_asked_again_a_few_times(hook):
    hook.replies = [503, 429, 204, 400]
    outcomes: list[tuple[int, str, str]] = []
    courier = Courier(webhook(url=hook.url), lambda *each: outcomes.append(each), (0.0, 0.0))
    courier.start()
    courier.put(7, SENT)
    courier.put(8, SENT)
    wait_until(lambda: len(outcomes) == 2, "both are delivered")
    courier.close(1.0)
    assert outcomes == [(7, "webhook", "delivered (204)"), (8, "webhook", "refused with 400")]
    assert len(hook.got) == 4


def test_a_queue_has_its_bound():
    class Never:
        name = "never"

        def deliver(self, sent: Notice) -> Outcome:
            raise AssertionError

    outcomes: list[Any] = []
    channel: Channel = Never()
    courier = Courier(channel, lambda *each: outcomes.append(each))
    for row in range(MAX_WAITING + 2):
        courier.put(row, SENT)
    assert outcomes == [(row, "never", "dropped: 20 notices wait") for row in (20, 21)]


def command(*words: str, timeout_s: float = 5.0, **environ: str) -> NoticeCommand:
    return NoticeCommand(words, timeout_s, environ)


def test_the_command_gets_json_and_no_secret(tmp_path: Path):
    kept = tmp_path / "kept"
    program = (
        "import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ), sys.argv],"
        f" open({str(kept)!r}, 'w'))"
    )
    # A shell would run the second command.
    words = [sys.executable, "-c", program, "; exit 3"]
    run = command(*words, HOME="/h", ANTHROPIC_API_KEY="sk-secret", CCPROXY_SECRET_KEY="s")
    assert run.deliver(SENT) == (True, "delivered (status 0)", False, 0.0)
    said, environ, argv = json.loads(kept.read_text())
    assert (said["kind"], said["facts"]) == ("failure", {"flow": "f1", "status": 529})
    assert environ["HOME"] == "/h"
    assert "secret" not in json.dumps(environ).lower()
    assert argv[-1] == "; exit 3"


def test_a_command_that_fails():
    assert command("/no/such").deliver(SENT).text == "could not be started (FileNotFoundError)"
    assert command("/bin/false").deliver(SENT).text == "exited with status 1"
    assert command("/bin/true").deliver(SENT).is_delivered
    words = ["/bin/sh", "-c", "sleep 60 & wait"]
    slow = settings_with(command={"run": words, "timeout_seconds": 0.1})
    (channel,) = channels_of(slow)
    assert channel.deliver(SENT).text == "did not finish within 0.1 s, and was ended"


def test_channels_are_those_that_are_set():
    assert channels_of(settings_with()) == []
    both = settings_with(webhook={"url": "http://127.0.0.1:9/"}, command={"run": ["notify"]})
    assert [channel.name for channel in channels_of(both)] == ["webhook", "command"]


def test_the_examples_of_the_docs(tmp_path: Path):
    page = (ROOT / "docs/notices.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        assert parse_server_settings(parse_document(example, "notices.md")).notices.kinds
    script = tmp_path / "notice.py"
    script.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    shown = tmp_path / "notify-send"
    shown.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/shown\n')
    shown.chmod(0o700)
    assert command(sys.executable, str(script), PATH=f"{tmp_path}:/bin").deliver(SENT).is_delivered
    assert (tmp_path / "shown").read_text() == f"--app-name=ccproxy|failure|{SENT.text}|"
    described = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    assert described.keys() == json.loads(json_body(SENT)).keys()


def test_a_sample_by_the_command_line_and_by_the_page(hook, browser, settings):
    settings.CCPROXY = settings_with(webhook={"url": hook.url}, command={"run": ["/bin/false"]})
    said = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("notices", "test", stdout=said)
    assert "delivered (204)" in said.getvalue()
    assert "exited with status 1" in said.getvalue()
    assert hook.bodies[0]["kind"] == "test"
    row = SentNotice.objects.get()
    assert row.deliveries == {"webhook": "delivered (204)", "command": "exited with status 1"}
    page = browser.post(reverse("admin:ccproxy_site_sentnotice_test"), follow=True)
    assert "webhook: delivered (204)" in page.content.decode()
    assert len(hook.got) == 2
    listed = io.StringIO()
    call_command("notices", "list", stdout=listed)
    assert listed.getvalue().count("this is a sample") == 2
    # A sample leaves the machine and starts a command.
    viewer = Client()
    viewer.force_login(staff_with("viewer", "ccproxy_site.view_sentnotice"))
    assert viewer.post(reverse("admin:ccproxy_site_sentnotice_test")).status_code == 403
    assert "Send a test" not in viewer.get("/admin/ccproxy_site/sentnotice/").content.decode()
    settings.CCPROXY = settings_with()
    with pytest.raises(CommandError, match="No channel is set"):
        call_command("notices", "test")
