"""Matching of rules: the first rule whose conditions all hold."""

from __future__ import annotations

from collections.abc import Iterable

from interceptor.config.snapshot.schema import RuleConf
from providers.base.value import value


@value
class Facts:
    """The facts that rules look at. `hosts` are names that the client may have meant, without
    ports.
    """

    hosts: tuple[str, ...]
    path: str
    model: str


def host_names(*found: str | None) -> tuple[str, ...]:
    """Return Host header values as bare names, in order, each once.

    Example: ("API.test:443, b", "[::1]:1") → ("api.test", "b", "::1").
    """
    names: dict[str, None] = {}
    for text in found:
        for part in (text or "").split(","):
            name = part.strip().lower()
            if name.startswith("["):
                name = name[1:].partition("]")[0]
            elif name.count(":") == 1:
                name = name.partition(":")[0]
            if name:
                names[name] = None
    return tuple(names)


def conditions(rule: RuleConf, facts: Facts) -> dict[str, bool]:
    """Return every condition of the rule, and whether it holds."""
    found = {}
    if rule.match_host is not None:
        found["host"] = any(rule.match_host.search(host) for host in facts.hosts)
    if rule.match_path is not None:
        found["path"] = bool(rule.match_path.search(facts.path))
    if rule.match_model is not None:
        found["model"] = bool(rule.match_model.search(facts.model))
    return found


def first_match(rules: Iterable[RuleConf], facts: Facts) -> RuleConf | None:
    """Return the first rule all of whose conditions hold."""
    return next((rule for rule in rules if all(conditions(rule, facts).values())), None)
