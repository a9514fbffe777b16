"""Demo of fallbacks: a provider goes down, another one of another format responds. No Django."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from interceptor.demo.requests import REQUESTS, DemoRequest, Outcome, send
from interceptor.demo.server import DemoProvider, Outage
from providers.base.http_client import httpx

COOLDOWN_S: Final = 4
"""What the first provider asks for while it is down."""
_BUFFERED: Final = REQUESTS[0]
_STREAMED: Final = replace(_BUFFERED, body={**_BUFFERED.body, "stream": True})


@dataclass(frozen=True, slots=True)
class Scene:
    """One request, and what is down meanwhile. `asked` are the providers that get it, in order."""

    title: str
    asked: tuple[str, ...]
    is_answered: bool = True
    main_outage: Outage | None = None
    backup_outage: Outage | None = None
    waits_s: float = 0.0
    """A pause before it."""
    request: DemoRequest = _BUFFERED


class Played(NamedTuple):
    """A scene that is over; `problem` is "" when it went as it should."""

    scene: Scene
    outcome: Outcome
    problem: str


_BUSY: Final = Outage(529, COOLDOWN_S)
SCENES: Final = (
    Scene("both are up", ("main",)),
    Scene(
        "main says 529: its fallback streams, in another format",
        ("main", "backup"),
        main_outage=_BUSY,
        request=_STREAMED,
    ),
    Scene("main cools down: the fallback is asked at once", ("backup",), main_outage=_BUSY),
    Scene("main is back after its cooldown", ("main",), waits_s=COOLDOWN_S + 0.2),
    Scene(
        "both are down: the last error, with every attempt",
        ("main", "backup"),
        is_answered=False,
        main_outage=_BUSY,
        backup_outage=Outage(503, COOLDOWN_S),
        request=replace(_BUFFERED, status=503),
    ),
)


def play(client: httpx.Client, scene: Scene, main: DemoProvider, backup: DemoProvider) -> Played:
    """Send a scene's request while its providers are down."""
    main.outage, backup.outage = scene.main_outage, scene.backup_outage
    providers = {"main": main, "backup": backup}
    before = {name: provider.request_count for name, provider in providers.items()}
    outcome = send(client, scene.request)
    asked = [name for name in providers if providers[name].request_count > before[name]]
    problem = outcome.error
    if not problem and tuple(asked) != scene.asked:
        problem = f"the request went to {', '.join(asked) or 'no provider'}"
    if not problem and not scene.is_answered and not outcome.attempts:
        problem = "the header with the attempts is missing"
    return Played(scene, outcome, problem)


def lines(played: Played) -> Iterator[str]:
    """Yield the lines for people about a scene."""
    scene, outcome = played.scene, played.outcome
    mark = "✗" if played.problem else "✓"
    parts = [str(outcome.status or "–")]
    if scene.is_answered:
        parts.append(f"from {scene.asked[-1]}")
    if outcome.events:
        parts.append(f"{outcome.events} events")
    yield f"{mark} {scene.title:<58} {', '.join(parts)}"
    if outcome.attempts:
        yield f"    {outcome.attempts}"
    if played.problem:
        yield f"    {played.problem}"
