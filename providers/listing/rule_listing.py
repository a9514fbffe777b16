"""Rules for lists: their conditions, their destination and how often they match."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.apps import apps
from django.db.models import Count, Max, Q
from django.utils import timezone

from providers.base.names import FORMAT_OF_TYPE, WIRE_FORMATS
from providers.models import TransformRule


def conditions_of(rule: TransformRule) -> list[tuple[str, str]]:
    """Return what is matched, with its expression; nothing for a rule of every request."""
    parts = [("host", rule.match_host), ("path", rule.match_path), ("model", rule.match_model)]
    return [(label, value) for label, value in parts if value not in ("", ".*")]


def destination_of(rule: TransformRule) -> str:
    """Write where a rule sends requests: "openai", "openai/v1/x as gpt-5", "left as it is"."""
    if rule.action == "passthrough":
        return "left as it is"
    where = rule.dest_host or (rule.dest_provider.name if rule.dest_provider else "–")
    model = f" as {rule.dest_model}" if rule.dest_model else ""
    return f"{where}{rule.dest_path}{model}"


def rule_hits(rule_ids: list[int]) -> dict[int, tuple[int, datetime]]:
    """Return, for each rule, its matches of the last 24 hours and the time of its last match.

    Rules without a recorded match are left out. One query.
    """
    # By name: this package stands below flows and must not import it.
    flow = apps.get_model("flows", "Flow")
    day_ago = timezone.now() - timedelta(hours=24)
    rows = (
        flow.objects.filter(rule_id__in=rule_ids)
        .order_by()
        .values_list("rule_id")
        .annotate(recent=Count("pk", filter=Q(started_at__gte=day_ago)), last=Max("started_at"))
    )
    return {rule_id: (recent, last) for rule_id, recent, last in rows}


def transform_proposal(rule: TransformRule) -> str:
    """Return a sentence for a rule that sends clients to a provider that cannot read them; or "".

    A redirect leaves the body as it is, so the provider has to speak the client's format.
    """
    provider = rule.dest_provider
    if rule.action != "redirect" or provider is None:
        return ""
    own = FORMAT_OF_TYPE.get(provider.type)
    foreign = [
        label for name, label in WIRE_FORMATS.items() if name not in (own, *provider.native_formats)
    ]
    if not foreign:
        return ""
    return (
        f"{provider.name} does not speak {', '.join(foreign)}. “redirect” sends the body as it is:"
        " choose “transform” if clients of these formats match this rule."
    )
