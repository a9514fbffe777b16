"""See the product work in a minute, without any key: a scripted provider, and a few requests
through the proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import threading
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from interceptor.config.files.load_settings import load_server_settings
from interceptor.demo.agent_script import MODEL, PRICES_USD
from interceptor.demo.agent_session import LOSSY_NAME, session_requests
from interceptor.demo.outage import COOLDOWN_S, SCENES, lines, play
from interceptor.demo.perplexity_site import PerplexitySite
from interceptor.demo.requests import ASKS, REQUESTS, TIMEOUT_S, DemoRequest, send, sentence
from interceptor.demo.server import DemoProvider
from interceptor.management import parsers
from providers.base.http_client import httpx
from providers.wire.perplexity.ask_conf import ASK_PATH, PERPLEXITY_TYPE

PROVIDER_NAME = "demo"
BACKUP_NAME = "demo-backup"
ACCOUNT_NAME = "demo-perplexity"
PICK_UP_TIMEOUT_S = 10.0
FIRST_HEARTBEAT_S = 3.0


def _demo_provider() -> DemoProvider:
    return DemoProvider(key=f"demo-key-{secrets.token_hex(12)}")


def _demo_account() -> DemoProvider:
    token = f"demo-session-{secrets.token_hex(12)}"
    return DemoProvider(key=token, site=PerplexitySite(token))


@dataclass(frozen=True, slots=True)
class _Addresses:
    proxy_url: str
    console_url: str


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.demo(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        from interceptor.config.transfer.database import ensure_database

        ensure_database()
        addresses = running_addresses()
        if options["down"]:
            self._show_outage(addresses)
            return
        if options["perplexity"]:
            self._show_perplexity(addresses, keep=options["keep"])
            return
        demo = _demo_provider()
        chat: dict[str, Any] = {
            "type": "openai",
            "path": "/v1/chat/completions",
            "native_formats": [],
            "auth_header": "",
        }
        with contextlib.suppress(KeyboardInterrupt), serving(demo):
            price_agent()
            with registered(demo, LOSSY_NAME, **chat), registered(demo) as revision:
                self._say(
                    f"Scripted provider on http://{demo.host}:{demo.port}, registered as"
                    f" “{PROVIDER_NAME}” and “{LOSSY_NAME}”."
                )
                wait_for_revision(addresses, revision)
                failed = self._send_all(addresses, options["count"])
                if options["count"] is None:
                    failed += self._show_session(addresses)
                self._goodbye(addresses, keep=options["keep"])
                while options["keep"]:
                    time.sleep(3600)
            if failed:
                raise CommandError(
                    f"{failed} of the requests did not get the response they should; see the lines"
                    " above."
                )

    def _show_session(self, addresses: _Addresses) -> int:
        """Play an agent's session of twelve turns; return how many requests went wrong."""
        session_id = str(uuid.uuid4())
        requests = tuple(session_requests(session_id))
        failed = self._send_all(addresses, None, requests)
        if addresses.console_url:
            self._say(f"The agent's session: {addresses.console_url}/flows/session/{session_id}/")
        return failed

    def _show_outage(self, addresses: _Addresses) -> None:
        """Send requests to a provider that goes down, and has a fallback of another format."""
        main, backup = _demo_provider(), _demo_provider()
        fields: dict[str, Any] = {
            "fallbacks": [f"{BACKUP_NAME}/demo"],
            "cooldown_seconds": COOLDOWN_S,
        }
        chat: dict[str, Any] = {
            "type": "openai",
            "path": "/v1/chat/completions",
            "native_formats": [],
        }
        problems = 0
        with (
            contextlib.suppress(KeyboardInterrupt),
            serving(main),
            serving(backup),
            registered(backup, BACKUP_NAME, auth_header="", **chat),
            registered(main, **fields) as revision,
        ):
            self._say(f"Scripted providers: “{PROVIDER_NAME}”, with “{BACKUP_NAME}” behind it.")
            wait_for_revision(addresses, revision)
            problems = self._play_all(addresses, main, backup)
            self._goodbye(addresses, keep=False)
        if problems:
            raise CommandError(f"{problems} of the scenes went wrong; see the lines above.")

    def _show_perplexity(self, addresses: _Addresses, *, keep: bool) -> None:
        """Ask a scripted Perplexity account, from clients of all formats."""
        account, failed = _demo_account(), 0
        fields: dict[str, Any] = {
            "type": PERPLEXITY_TYPE,
            "path": ASK_PATH,
            "auth_header": "",
            "native_formats": [],
            "model_names": [],
        }
        with (
            contextlib.suppress(KeyboardInterrupt),
            serving(account),
            registered(account, ACCOUNT_NAME, **fields) as revision,
        ):
            self._say(
                f"Scripted Perplexity on http://{account.host}:{account.port}, registered as"
                f" “{ACCOUNT_NAME}”. The real one's terms apply to the real one."
            )
            wait_for_revision(addresses, revision)
            failed = self._send_all(addresses, len(ASKS), ASKS)
            while keep:
                time.sleep(3600)
        if failed:
            raise CommandError(
                f"{failed} of the asks went wrong; the hook pplx_stamp_headers has to be on."
            )

    def _play_all(self, addresses: _Addresses, main: DemoProvider, backup: DemoProvider) -> int:
        problems = 0
        with httpx.Client(
            base_url=addresses.proxy_url, timeout=TIMEOUT_S, trust_env=False
        ) as client:
            for scene in SCENES:
                time.sleep(scene.waits_s)
                played = play(client, scene, main, backup)
                for line in lines(played):
                    self._say(f"  {line}")
                if played.outcome.flow_id and addresses.console_url:
                    self._say(f"      {addresses.console_url}/flows/{played.outcome.flow_id}/")
                problems += bool(played.problem)
        return problems

    def sign_in_link(self, console_url: str) -> str:
        """Return a link that signs in; "" where this process cannot make one."""
        del console_url
        return ""

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _send_all(
        self,
        addresses: _Addresses,
        count: int | None,
        requests: tuple[DemoRequest, ...] = REQUESTS,
    ) -> int:
        """Send the requests in turn (None: each once); returns how many went wrong."""
        if count is None:
            count = len(requests)
        failed = 0
        with httpx.Client(
            base_url=addresses.proxy_url, timeout=TIMEOUT_S, trust_env=False
        ) as client:
            for request in itertools.islice(itertools.cycle(requests), max(0, count)):
                outcome = send(client, request)
                self._say("  " + sentence(request, outcome))
                if outcome.flow_id and addresses.console_url:
                    self._say(f"      {addresses.console_url}/flows/{outcome.flow_id}/")
                failed += bool(outcome.error)
        return failed

    def _goodbye(self, addresses: _Addresses, *, keep: bool) -> None:
        if addresses.console_url:
            self._say(f"Watch them: {addresses.console_url}/flows/?provider={PROVIDER_NAME}")
            # The link is a secret: it goes to a person's terminal, never into a file or a log.
            if self.stdout.isatty() and (link := self.sign_in_link(addresses.console_url)):
                self._say(f"Sign in first: {link} (works once, within 15 minutes)")
        if keep:
            self._say(
                f"Try your own: base URL {addresses.proxy_url}, API key sk-ccproxy-demo, model"
                " demo."
            )
            self._say("The scripted provider runs until Ctrl-C.")


def running_addresses() -> _Addresses:
    """Return the addresses of the running proxy and console.

    Raises:
        CommandError: none runs; the sentence says how to start one.
    """
    from interceptor.instances.health import running_interceptors

    deadline_s = time.monotonic() + FIRST_HEARTBEAT_S
    found = [status.endpoints for status in running_interceptors()]
    server = load_server_settings(settings.CONFIG_DIR, os.environ)
    proxy_url = next((e["proxy_url"] for e in found if e.get("proxy_url")), server.proxy_url)
    console_url = next(
        (e["console_url"] for e in found if e.get("console_url")),
        "" if found else server.console_url,
    )
    try:
        httpx.get(f"{proxy_url}/health", timeout=5, trust_env=False)
    except httpx.HTTPError:
        raise CommandError(
            f"No proxy answers on {proxy_url}. Start one in another terminal: ccproxy start"
        ) from None
    while not found and time.monotonic() < deadline_s:
        # It answers a moment before the recorder writes down that it runs.
        time.sleep(0.1)
        found = [status.endpoints for status in running_interceptors()]
    if not found:
        raise CommandError(
            f"The proxy on {proxy_url} runs with another config directory or database than this"
            f" command, which uses {settings.CONFIG_DIR}. Name its directory: ccproxy --config PATH"
            " demo"
        )
    return _Addresses(proxy_url.rstrip("/"), str(console_url or "").rstrip("/"))


@contextlib.contextmanager
def serving(demo: DemoProvider) -> Iterator[None]:
    """Run the scripted provider on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="scripted-provider", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(demo.start(), loop).result(5)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(demo.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@contextlib.contextmanager
def registered(demo: DemoProvider, name: str = PROVIDER_NAME, **fields: Any) -> Iterator[int]:
    """The provider's row while the scripted provider serves, as the revision that knows it;
    disabled afterwards. `fields` replace the usual ones.
    """
    from providers.base.loopback import is_loopback
    from providers.models import ConfigRevision, Provider

    row = Provider.objects.filter(name=name).first() or Provider(name=name)
    if row.pk and not is_loopback(row.host):
        raise CommandError(
            f"There is a provider “{name}” of your own at {row.host}; rename it first."
        )
    row.type, row.scheme, row.host, row.port, row.path = (
        "anthropic",
        "http",
        demo.host,
        demo.port,
        "/v1/messages",
    )
    row.native_formats = ["openai_chat", "openai_responses", "google_generate"]
    row.model_names = ["demo", "demo-slow", MODEL]
    row.auth_type, row.auth_config, row.auth_header, row.secret = "key", {}, "x-api-key", demo.key
    row.verify_tls, row.headers, row.enabled = True, {}, True
    row.fallbacks, row.cooldown_seconds = [], None
    for field, value in fields.items():
        setattr(row, field, value)
    row.full_clean()
    row.save()
    try:
        yield ConfigRevision.current()
    finally:
        row.enabled = False
        row.save(update_fields=["enabled"])


def price_agent() -> None:
    """Store made-up prices of the agent's model: a server on this machine has no listed ones."""
    from providers.models import PriceOverride

    prices = {name: Decimal(price) for name, price in PRICES_USD.items()}
    PriceOverride.objects.get_or_create(
        provider=PROVIDER_NAME,
        model=MODEL,
        defaults={**prices, "comment": "Made up, for the session of `ccproxy demo`."},
    )


def wait_for_revision(addresses: _Addresses, revision: int) -> None:
    """Return once the running proxy has picked the revision up.

    Raises:
        CommandError: it did not, with the reason when it refused it.
    """
    deadline_s = time.monotonic() + PICK_UP_TIMEOUT_S
    while time.monotonic() < deadline_s:
        reply = httpx.get(f"{addresses.proxy_url}/health", timeout=5, trust_env=False)
        if reply.json().get("revision", 0) >= revision:
            return
        time.sleep(0.1)
    from interceptor.instances.health import running_interceptors

    reasons = [status.refusal for status in running_interceptors() if status.refusal]
    why = f": {reasons[0]}" if reasons else ". Does it use the same config directory (--config)?"
    raise CommandError(
        f"The proxy on {addresses.proxy_url} does not run on the new configuration{why}"
    )
