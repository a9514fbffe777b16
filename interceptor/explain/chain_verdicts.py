"""Candidates of a dry run's chain of fallbacks, and what would become of each."""

from __future__ import annotations

from dataclasses import dataclass

from interceptor.transform.candidate_chain import CandidateChain


@dataclass(frozen=True, slots=True)
class CandidateVerdict:
    """A candidate of a chain: "provider/model", and what would become of it."""

    name: str
    verdict: str
    chosen: bool = False


def chain_verdicts(chain: CandidateChain | None) -> list[CandidateVerdict]:
    """Return what would become of each candidate; none without fallbacks."""
    if chain is None:
        return []
    reasons = dict(chain.skipped)
    verdicts = []
    for number in range(len(chain.fallbacks) + 1):
        name = chain.name(number)
        if number == chain.current:
            verdicts.append(CandidateVerdict(name, "is asked", chosen=True))
        elif number < chain.current:
            verdicts.append(CandidateVerdict(name, f"skipped: {reasons.get(name, '')}"))
        else:
            verdicts.append(CandidateVerdict(name, "is asked when the one before it fails"))
    return verdicts
