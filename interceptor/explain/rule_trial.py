"""Trial of an edited rule: both configurations run dry over the newest flows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from flows.bodies.complete_flow import CompleteFlow
from interceptor.config.snapshot.build import rule_conf
from interceptor.config.snapshot.load import load_snapshot, rule_row
from interceptor.config.snapshot.schema import Snapshot
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import Condition, Explanation
from interceptor.explain.sources import RequestError, of_flow
from providers.models import TransformRule

MAX_FLOWS: Final = 500


@dataclass(frozen=True, slots=True)
class Moved:
    """A flow that would go elsewhere: before, after, and the edited rule's verdict on it.

    `conditions` is empty for a rule that is switched off; `reached` is false where a rule before it
    decides.
    """

    flow_id: str
    before: dict[str, Any]
    after: dict[str, Any]
    conditions: tuple[Condition, ...] = ()
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of a trial. The bodies of `skipped` flows are no longer complete."""

    tried: int
    skipped: int
    moved: list[Moved]


def edited_snapshot(edited: TransformRule) -> Snapshot:
    """Return the configuration as it would be with this rule saved; a rule without an id is new.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    rows = [row for row in TransformRule.objects.filter(enabled=True) if row.pk != edited.pk]
    if edited.enabled:
        rows.append(edited)
    # A new rule stands behind the others of its position, as its id will be the highest.
    rows.sort(key=lambda row: (row.position, row.pk is None, row.pk or 0))
    return replace(load_snapshot(), rules=tuple(rule_conf(rule_row(row)) for row in rows))


def try_rule(edited: TransformRule, flows: Iterable[CompleteFlow]) -> Trial:
    """Run the flows through the configuration as it is and as it would be."""
    now, then = load_snapshot(), edited_snapshot(edited)
    moved: list[Moved] = []
    tried = skipped = 0
    for flow in flows:
        try:
            request = of_flow(flow)
        except RequestError:
            skipped += 1
            continue
        tried += 1
        found = explain_as_configured(request, then)
        before, after = _fate(explain_as_configured(request, now)), _fate(found)
        if before != after:
            own = next((verdict for verdict in found.rules if verdict.rule.id == edited.pk), None)
            conditions, reached = (own.conditions, own.reached) if own else ((), False)
            moved.append(Moved(flow.flow.pk, before, after, conditions, reached))
    return Trial(tried, skipped, moved)


def _fate(found: Explanation) -> dict[str, Any]:
    """Return the end of a request in few words."""
    decision = found.decision
    return {
        "rule": decision.rule.label if decision and decision.rule else None,
        "action": decision.action if decision else "refused",
        "provider": decision.provider.name if decision and decision.provider else None,
        "url": found.url or None,
        "model": (decision.model if decision else "") or found.requested_model,
        "problem": found.problem or None,
    }
