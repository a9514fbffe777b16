"""Sample of a notice, sent by every channel, so that a person sees whether they work."""

from __future__ import annotations

from datetime import UTC, datetime

from ccproxy_site.notices.kept_notices import keep_notice, note_delivery
from ccproxy_site.notices.notice import Notice
from ccproxy_site.notices.notice_channel import Outcome
from ccproxy_site.notices.setup import channels_of
from flows.redaction.redactor import Redactor
from interceptor.config.files.server import ServerSettings
from providers.auth.registry import SECRETS

NO_CHANNEL = "No channel is set: notices.webhook.url or notices.command.run"


def send_sample(settings: ServerSettings) -> dict[str, Outcome]:
    """Send a sample by each channel, once; return the outcomes by channel.

    The row of the sample shows that the console's own list works.
    """
    sent = Notice(
        "test",
        "this is a sample: notices of ccproxy arrive here",
        datetime.now(UTC),
        url=settings.console_url,
    )
    redact = Redactor(SECRETS).text
    row = keep_notice(sent, redact)
    outcomes: dict[str, Outcome] = {}
    for channel in channels_of(settings):
        outcome = channel.deliver(sent)
        outcomes[channel.name] = outcome._replace(text=redact(outcome.text))
        note_delivery(row, channel.name, outcomes[channel.name].text)
    return outcomes
