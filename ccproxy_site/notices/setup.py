"""Notices as the settings say: channels, watches, the thread, its service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from ccproxy_site.notices.break_watch import BreakWatch
from ccproxy_site.notices.courier import Courier
from ccproxy_site.notices.flow_notice import FlowNotices
from ccproxy_site.notices.notice_channel import Channel
from ccproxy_site.notices.notice_command import NoticeCommand
from ccproxy_site.notices.notice_limiter import NoticeLimiter
from ccproxy_site.notices.notice_thread import NoticeThread
from ccproxy_site.notices.spend_watch import SpendWatch
from ccproxy_site.notices.state_watches import CooldownWatch, LoginWatch, RecordWatch
from ccproxy_site.notices.watch import Watch
from ccproxy_site.notices.webhook import Webhook, WebhookConf
from interceptor.config.files.server import ServerSettings
from providers.base.upstream_proxy import choose_proxies

CLOSE_S: Final = 2.0


def channels_of(settings: ServerSettings) -> list[Channel]:
    """Return the channels that are set."""
    webhook, command = settings.notices.webhook, settings.notices.command
    found: list[Channel] = []
    if webhook.url is not None:
        proxies, _ = choose_proxies(settings.upstream_proxy, os.environ)
        conf = WebhookConf(
            url=webhook.url,
            auth=webhook.auth,
            form=webhook.format,
            timeout_s=webhook.timeout_seconds,
            source_timeout_s=settings.auth.command_timeout_seconds,
        )
        found.append(Webhook(conf, proxies))
    if command.run:
        found.append(NoticeCommand(command.run, command.timeout_seconds))
    return found


def notice_thread(
    settings: ServerSettings,
    *,
    redact: Callable[[str], str],
    problem: Callable[[], str],
    cooldowns: Callable[[], Iterable[Mapping[str, Any]]],
) -> NoticeThread | None:
    """Return the thread; None where no kind of notice is on.

    Args:
        settings: the server settings.
        redact: cuts secrets out of a text.
        problem: returns why flows are not stored; "" while they are.
        cooldowns: returns the cooldowns of this machine's proxies.
    """
    conf = settings.notices
    if not conf.kinds:
        return None
    flows = FlowNotices(settings.console_url, with_content=conf.content)
    thread = NoticeThread(
        flows if "failure" in conf.kinds else None,
        _watches(settings, flows, problem, cooldowns),
        NoticeLimiter(conf.interval_seconds),
        redact,
    )
    thread.deliver_by(Courier(each, thread.note_outcome) for each in channels_of(settings))
    return thread


def _watches(
    settings: ServerSettings,
    flows: FlowNotices,
    problem: Callable[[], str],
    cooldowns: Callable[[], Iterable[Mapping[str, Any]]],
) -> list[Watch]:
    conf, console_url = settings.notices, settings.console_url
    found: list[Watch] = []
    if "cache_break" in conf.kinds:
        found.append(BreakWatch(flows))
    if "spend" in conf.kinds:
        found.append(SpendWatch(flows, conf.spend_day_usd, conf.spend_session_usd))
    if "login" in conf.kinds:
        found.append(LoginWatch(console_url, timedelta(hours=conf.login_hours)))
    if "cooldown" in conf.kinds:
        found.append(CooldownWatch(console_url, cooldowns))
    if "recording" in conf.kinds:
        found.append(RecordWatch(console_url, problem))
    return found


class NoticeService:
    """The thread that makes notices."""

    name = "the notices"
    stop_limit_s = 2 * CLOSE_S + 1.0

    def __init__(self, thread: NoticeThread) -> None:
        self._thread = thread

    async def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self._thread.close, CLOSE_S)
