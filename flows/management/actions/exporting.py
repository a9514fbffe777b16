"""`ccproxy flows export`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Final

from django.core.management.base import BaseCommand

from flows.display.units import plural, size
from flows.export.session_kinds import kind_of, session_pieces
from flows.models import Flow
from flows.queries.sessions import Session, session, session_of
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError

_SHOWN_IDS: Final = 3


def run(command: BaseCommand, options: Namespace) -> None:
    """Write a session into a file that only its owner may read."""
    kind = kind_of(options.output)
    found = _named(options.session)
    requests = plural(found.totals["requests"], "flow")
    with audited("export", requests, by=shell_caller(), detail=options.output.suffix):
        written_bytes = _write(options.output, kind, found)
    command.stdout.write(f"Wrote {requests} to {options.output} ({size(written_bytes)}).")


def _write(path: Path, kind: str, found: Session) -> int:
    written_bytes = 0
    try:
        # The bodies are those of the record, which only its owner may read.
        path.touch(mode=0o600)
        with path.open("wb") as file:
            for piece in session_pieces(kind, found):
                written_bytes += file.write(piece)
    except OSError as exc:
        raise CcproxyError(f"{path} cannot be written: {exc.strerror}") from None
    return written_bytes


def _named(text: str) -> Session:
    """Return the session, or the flow as a session of one request, that a text begins the id of.

    Raises:
        CcproxyError: none has it, or several have.
    """
    found = session(text)
    if found is not None:
        return found
    ids = Flow.objects.filter(session_id__startswith=text).values_list("session_id", flat=True)
    matching = sorted(set(ids.distinct()[: _SHOWN_IDS + 1])) if text else []
    if len(matching) > 1:
        shown = ", ".join(matching[:_SHOWN_IDS])
        raise CcproxyError(f"Several sessions begin with {text}: {shown}; give more letters.")
    if matching:
        found = session(matching[0])
    else:
        flows = Flow.objects.filter(pk__startswith=text)[:1] if text else Flow.objects.none()
        ids_of_flows = [flow.pk for flow in flows]
        found = session_of(Flow.objects.filter(pk__in=ids_of_flows), text)
    if found is None:
        raise CcproxyError(f"No session or flow begins with {text}: see `ccproxy flows list`.")
    return found
