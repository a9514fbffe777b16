"""Notices about one flow: what its row says, without the texts of the conversation."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from ccproxy_site.notices.notice import Notice, notice
from flows.display.session_names import client_name
from flows.display.units import count, usd
from flows.failure import is_alarming, with_status
from flows.models import Flow, FlowLink

WHY_CHARS: Final = 160
ERROR_CHARS: Final = 400


class FlowNotices:
    """Maker of notices about flows.

    Args:
        console_url: base URL of the console, for links.
        with_content: add the beginning of the user's text and of the response.
    """

    def __init__(self, console_url: str, *, with_content: bool) -> None:
        self._console_url, self._with_content = console_url, with_content

    def is_failure(self, flow: Flow) -> bool:
        """Return whether a flow is worth a notice; a client that went away is none."""
        return is_alarming(flow.method, flow.state, flow.status_code, flow.error)

    def failure(self, flow: Flow) -> Notice:
        """Return the notice of a failed flow."""
        path = flow.path.partition("?")[0][:160]
        provider = f" of provider {flow.provider}" if flow.provider else ""
        text = f"{flow.method} {path}{provider} failed{with_status(flow.status_code)}"
        # The provider's response may repeat the prompt; the proxy's own sentence does not.
        why = flow.error or (flow.said if self._with_content else "")
        if why:
            text = f"{text}: {_line(why, WHY_CHARS)}"
        return notice("failure", text, url=self.flow_url(flow.pk), **self.facts(flow))

    def cache_break(self, flow: Flow, link: FlowLink) -> Notice:
        """Return the notice of a flow whose prompt lost the cache."""
        author = link.author or "the client"
        text = f"{author} changed {link.path} of an earlier prompt, so that the cache is lost"
        if link.kind == "model":
            text = f"{author} changed the model, so that the cache is lost"
        if link.lost_tokens:
            text = f"{text}: {count(link.lost_tokens)} tokens"
        if link.lost_usd:
            text = f"{text}, {usd(link.lost_usd)}"
        lost_usd = float(link.lost_usd) if link.lost_usd is not None else None
        return notice(
            "cache_break",
            text,
            key=flow.pk,
            url=self.flow_url(flow.pk),
            changed_at=link.path,
            change=link.kind,
            author=author,
            lost_tokens=link.lost_tokens,
            lost_usd=lost_usd,
            **self.facts(flow),
        )

    def facts(self, flow: Flow) -> dict[str, Any]:
        """Return what programs get of a flow."""
        facts: dict[str, Any] = {
            "flow": flow.pk,
            "method": flow.method,
            "path": flow.path.partition("?")[0][:160],
            "host": flow.host,
            "provider": flow.provider,
            "model": flow.sent_model or flow.requested_model,
            "status": flow.status_code,
            "error": _line(flow.error, ERROR_CHARS),
            "session": flow.session_id,
            "client": flow.run_label or client_name(flow.user_agent),
            "duration_ms": flow.duration_ms,
            "cost_usd": float(flow.cost_usd) if flow.cost_usd is not None else None,
        }
        if self._with_content:
            facts |= {"asked": flow.asked, "said": flow.said}
        return facts

    def flow_url(self, flow_id: str) -> str:
        """Return the address of a flow's page."""
        return f"{self._console_url}/flows/{flow_id}/"

    def session_url(self, session: str) -> str:
        """Return the address of a session's page."""
        return f"{self._console_url}/flows/session/{quote(session, safe='')}/"

    def usage_url(self) -> str:
        """Return the address of the page of costs."""
        return f"{self._console_url}/usage/"


def _line(text: str, longest_chars: int) -> str:
    """Return the beginning of a text on one line."""
    shown = " ".join(text.split())
    return shown if len(shown) <= longest_chars else f"{shown[: longest_chars - 1]}…"
