"""`ccproxy flows as`."""

from __future__ import annotations

from argparse import Namespace

from django.core.management.base import BaseCommand

from flows.bodies.complete_flow import load_flows
from flows.export.codegen import copy_as
from flows.queries.flow_set import referred_ids


def run(command: BaseCommand, options: Namespace) -> None:
    """Write a flow's request as curl, Python, an SDK's call or Markdown."""
    flow = next(load_flows(referred_ids(options.flows)))
    side = "forwarded" if options.forwarded else "client"
    command.stdout.write(copy_as(options.kind, flow, side), ending="")
