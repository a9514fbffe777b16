"""Fields of a request that its host refuses, whatever the model.

Servers with OpenAI's format take different parts of it, and some refuse the rest with 400 or 422.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from providers.wire.core.ir import JsonObject, Losses
from providers.wire.facts.model_facts import ModelFacts

# Without it these servers report usage all the same, so nothing is lost.
_NO_LOSS: Final = frozenset(["stream_options"])


def refused_fields(body: JsonObject, facts: ModelFacts) -> Iterator[str]:
    """Yield the fields of a body that the host refuses: "logit_bias", "messages[].name"."""
    if facts.only_fields:
        yield from sorted(body.keys() - set(facts.only_fields))
    for path in facts.refused_fields:
        if any(True for _ in _holders(body, path)):
            yield path


def leave_out_refused(body: JsonObject, facts: ModelFacts, host: str, losses: Losses) -> None:
    """Remove what the host refuses from an encoded body; each field is a loss."""
    if not facts.only_fields and not facts.refused_fields:
        return
    if facts.seed_field != "seed" and "seed" in body:
        body[facts.seed_field] = body.pop("seed")
    for path in list(refused_fields(body, facts)):
        name = path.rpartition(".")[2]
        for holder in list(_holders(body, path)):
            del holder[name]
        if path not in _NO_LOSS:
            losses.add(path, f"{host} takes no `{path}`; it was left out.")


def _holders(body: JsonObject, path: str) -> Iterator[JsonObject]:
    """Yield the objects that have the field at the end of a path.

    {"messages": [{"name": "a"}, {}]}, "messages[].name" → {"name": "a"}
    """
    step, _, rest = path.partition(".")
    if not rest:
        if step in body:
            yield body
        return
    below: Any = body.get(step.removesuffix("[]"))
    items = below if isinstance(below, list) else [below]
    for item in items:
        if isinstance(item, dict):
            yield from _holders(item, rest)
