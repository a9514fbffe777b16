"""The flows of one page of the list by session, under headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from flows.display.session_names import client_name, user_text
from flows.failure import has_failed
from flows.flow_link import is_guessed
from flows.models import Flow, FlowLink
from flows.sessions.session_list import titles_of

PARAMETER: Final = "group"
BY_SESSION: Final = "session"
GROUPINGS: Final = (BY_SESSION,)


@dataclass(slots=True)
class SessionGroup:
    """Flows of a page that belong to one session, in the order of the page.

    `session` is its id, "" of the flows without one; the id of a guessed session begins with "~".
    """

    session: str
    title: str = ""
    flows: list[Flow] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its title, else its id; words for the flows without a session."""
        return self.title or self.session or "no session"

    @property
    def is_guessed(self) -> bool:
        return is_guessed(self.session)

    @property
    def client(self) -> str:
        """The captured command, or the client's name; "" for flows without a session."""
        if not self.session:
            return ""
        return self.flows[0].run_label or client_name(self.flows[0].user_agent)

    @property
    def failed(self) -> int:
        return sum(has_failed(flow) for flow in self.flows)

    @property
    def cost_usd(self) -> Decimal | None:
        """Cost of the flows that are shown; None where no price is known."""
        known = [flow.cost_usd for flow in self.flows if flow.cost_usd is not None]
        return sum(known, Decimal(0)) if known else None


def grouped(flows: Sequence[Flow]) -> list[SessionGroup]:
    """Return the groups in the order of their first flow, those without a session last.

    One query for the titles. Example: flows of the sessions a, b, none, a → a with 2, b, none.
    """
    groups: dict[str, SessionGroup] = {}
    for flow in flows:
        session = _session_of(flow)
        group = groups.setdefault(session, SessionGroup(session))
        group.flows.append(flow)
    titles = titles_of([session for session in groups if session and not is_guessed(session)])
    for group in groups.values():
        group.title = titles.get(group.session) or _asked_first(group)
    return sorted(groups.values(), key=lambda group: not group.session)


def _session_of(flow: Flow) -> str:
    link: FlowLink | None = getattr(flow, "link", None)
    return flow.session_id or (link.session if link else "")


def _asked_first(group: SessionGroup) -> str:
    """Return the user's text of the earliest flow of a page that has one."""
    if not group.session:
        return ""
    earliest = sorted(group.flows, key=lambda flow: flow.started_at)
    texts = [user_text(flow.asked) for flow in earliest]
    return next((text for text in texts if text), "")
