"""`ccproxy flows pin` and `ccproxy flows unpin`."""

from __future__ import annotations

from argparse import Namespace

from django.core.management.base import BaseCommand

from flows.display.units import plural
from flows.models import Flow
from flows.queries.flow_set import referred_ids
from flows.services import pin


def run(command: BaseCommand, options: Namespace) -> None:
    """Keep flows from retention and clearing, or no longer."""
    flows = Flow.objects.filter(pk__in=referred_ids(options.flows))
    is_pin = options.action == "pin"
    changed = pin(flows, pinned=is_pin)
    done = "Pinned" if is_pin else "Unpinned"
    command.stdout.write(f"{done} {plural(changed, 'flow')}.")
