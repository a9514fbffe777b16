"""`ccproxy shapes preview`."""

from __future__ import annotations

import json
from argparse import Namespace

from django.core.management.base import BaseCommand

from flows.bodies.complete_flow import load_flow
from flows.display.safe_text import printable
from flows.queries.flow_set import referred_ids
from interceptor.explain.shape_preview import preview_json, preview_shape
from interceptor.management.commands.explain import explanation_lines
from providers.base.errors import CcproxyError
from shapes.versions.finding import version_of


def run(command: BaseCommand, options: Namespace) -> None:
    """Print what would leave for a recorded flow. Nothing is sent."""
    flow = load_flow(referred_ids([options.flow])[0])
    if flow is None:
        raise CcproxyError("This flow is gone.")
    provider_type = options.provider_type or flow.flow.provider_type or "anthropic"
    shape = version_of(provider_type, options.version)
    preview = preview_shape(flow, shape)
    if options.json:
        command.stdout.write(json.dumps(preview_json(preview, shape), indent=2))
        return
    command.stdout.write(printable(f"With {shape}. {preview.problem}".strip()))
    for part, origin in preview.origins.items():
        command.stdout.write(printable(f"  {part}: {origin}"))
    for line in explanation_lines(preview.found):
        command.stdout.write(printable(line))
