"""Tell what the proxy would do with a request (`ccproxy explain`).

Sends nothing and reads no credential.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand

from flows.bodies.complete_flow import load_flow
from flows.compare.unified import compare_texts
from flows.display.safe_text import printable
from flows.queries.flow_set import referred_ids
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import DryRequest, Explanation, RuleVerdict
from interceptor.explain.sources import RequestError, as_json, body_lines, of_flow, of_text
from interceptor.management import parsers
from providers.base.errors import CcproxyError

_MARKS: Final = {True: "✓", False: "✗"}


class Command(BaseCommand):
    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.explain(parser)

    def handle(self, *_: Any, flow: str | None, request: str | None, **options: Any) -> None:
        found = explain_as_configured(_request(flow, request))
        if options["json"]:
            self.stdout.write(json.dumps(as_json(found), indent=2))
            return
        for line in explanation_lines(found):
            self.stdout.write(printable(line))


def _request(flow: str | None, file: str | None) -> DryRequest:
    if (flow is None) == (file is None):
        raise CcproxyError("Name a flow, or a file with --request.")
    if file is not None:
        try:
            return of_text(
                sys.stdin.read() if file == "-" else Path(file).read_text(errors="replace")
            )
        except OSError as exc:
            raise RequestError(f"{file} cannot be read: {exc.strerror}") from None
    whole = load_flow(referred_ids([flow or ""])[0])
    if whole is None:
        raise RequestError("This flow is gone.")
    return of_flow(whole)


def _rule_line(verdict: RuleVerdict) -> str:
    if not verdict.reached:
        return f"  - {verdict.rule.label}: not reached"
    checks = []
    for condition in verdict.conditions:
        mark = _MARKS[condition.holds]
        checks.append(f"{mark} {condition.name} {condition.wanted} (has {condition.seen})")
    told = "; ".join(checks) or "matches everything"
    return f"  {_MARKS[verdict.matches]} {verdict.rule.label}: {told}"


def explanation_lines(found: Explanation) -> list[str]:
    """Yield the explanation for people."""
    request = found.request
    title = f"{request.method} {request.url}  {found.client_format} {found.requested_model}"
    lines = [title.rstrip(), ""]
    lines.append("Rules")
    for verdict in found.rules:
        lines.append(_rule_line(verdict))
    if not found.rules:
        lines.append("  none")
    if found.chain:
        lines += ["", "Chain"]
    for candidate in found.chain:
        lines.append(f"  {'→' if candidate.chosen else '-'} {candidate.name}: {candidate.verdict}")
    lines += ["", "Hooks"]
    for step in found.steps:
        changed = ", ".join(step.changed) or "changes nothing"
        lines.append(f"  {step.hook} ({step.stage}): {step.reason or step.outcome}; {changed}")
    if found.model_note:
        lines += ["", f"Note: {found.model_note}"]
    if found.answer and not found.problem:
        return [*lines, "", f"The proxy answers it itself, with {found.status_code}."]
    if found.problem:
        return [*lines, "", f"The client would get {found.status_code}: {found.problem}"]
    if found.credential:
        lines += ["", f"Credential: {found.credential}"]
    lines += [
        "",
        f"Would go to {found.url}",
        *(f"  loses {path}: {why}" for path, why in found.losses),
    ]
    client, forwarded = (
        body_lines(found, forwarded=False),
        body_lines(found, forwarded=True),
    )
    change = compare_texts("request", ("client", "forwarded"), client, forwarded)
    return [*lines, "", *(change.lines or ["Headers and body would leave unchanged."])]
