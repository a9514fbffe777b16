"""Which rule a request meets: the first whose conditions all match."""

from __future__ import annotations

from collections.abc import Iterable

from interceptor.config.snapshot.schema import RuleConf
from providers.base.value import value


@value
class Facts:
    """What rules look at. `hosts` are the names the client may have meant, without ports."""

    hosts: tuple[str, ...]
    path: str
    model: str


def host_names(*found: str | None) -> tuple[str, ...]:
    """Host header values as bare names, in order, each once."""
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
    """Every condition the rule has, and whether it holds."""
    found = {}
    if rule.match_host is not None:
        found["host"] = any(rule.match_host.search(host) for host in facts.hosts)
    if rule.match_path is not None:
        found["path"] = bool(rule.match_path.search(facts.path))
    if rule.match_model is not None:
        found["model"] = bool(rule.match_model.search(facts.model))
    return found


def first_match(rules: Iterable[RuleConf], facts: Facts) -> RuleConf | None:
    """The first rule all of whose conditions hold."""
    return next((rule for rule in rules if all(conditions(rule, facts).values())), None)
