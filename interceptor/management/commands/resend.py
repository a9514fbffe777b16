"""Send a recorded request again through the running proxy, and print the response as it comes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.compare.unified import compare_texts
from flows.display.safe_text import printable
from flows.failure import has_failed
from flows.live.answer_so_far import answer_since
from flows.models import Flow, Resend
from flows.queries.flow_set import referred_ids
from flows.reading.body_view import body_view
from flows.sides import answer_side, header
from interceptor.config.snapshot.load import load_snapshot
from interceptor.management import parsers
from interceptor.resend.draft import Draft, ResendError, draft_of, recorded_side
from interceptor.resend.outgoing import outgoing
from interceptor.resend.sender import await_flow, join_senders, send_again
from providers.audit.log import shell_caller

TAKEN_TIMEOUT_S: Final = 15.0
ASK_EVERY_S: Final = 0.2
AUDIT_TIMEOUT_S: Final = 10.0


class Command(BaseCommand):
    requires_system_checks = []
    needs_database = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.resend(parser)

    def handle(
        self, *_: Any, flow: str, as_forwarded: bool, edit: bool, yes: bool, **__: Any
    ) -> None:
        whole = load_flow(referred_ids([flow])[0])
        if whole is None:
            raise ResendError("This flow is gone.")
        draft = self._edited(whole, as_forwarded=as_forwarded, ask=not yes) if edit else None
        if edit and draft is None:
            self.stderr.write("Nothing is sent.")
            return
        request = outgoing(whole, load_snapshot(), as_forwarded=as_forwarded, draft=draft)
        for note in (*request.notes, *([request.problem] if request.problem else [])):
            self.stderr.write(printable(note))
        self._follow(send_again(request, shell_caller()))

    def _edited(self, flow: CompleteFlow, *, as_forwarded: bool, ask: bool) -> Draft | None:
        """Return the request out of an editor; None when it is unchanged, or not to be sent."""
        known = draft_of(flow, recorded_side(flow, as_forwarded=as_forwarded))
        before = as_text(known)
        after = _in_editor(before)
        found = compare_texts(
            "request", ("recorded", "edited"), before.split("\n"), after.split("\n")
        )
        if found.identical:
            return None
        for line in found.lines:
            self.stderr.write(line)
        if ask and (
            not sys.stdin.isatty() or input("Send it? [y/N] ").strip().lower() not in ("y", "yes")
        ):
            return None
        return of_text(after, known)

    def _follow(self, row: Resend) -> None:
        """Print the readable part of the response until the flow ends."""
        row = await_flow(row.ticket, TAKEN_TIMEOUT_S) or row
        if row.problem or not row.new_flow_id:
            raise ResendError(row.problem or "The proxy did not take it in time.")
        self.stderr.write(f"flow {row.new_flow_id}, {row.manner}")
        place = 0
        while True:
            flow = Flow.objects.get(pk=row.new_flow_id)
            if flow.is_stream:
                part = answer_since(flow, place)
                place = part.next
                self.stdout.write("".join(printable(text) for _, text in part.pieces), ending="")
                self.stdout.flush()
            if flow.state != Flow.State.LIVE:
                break
            time.sleep(ASK_EVERY_S)
        join_senders(AUDIT_TIMEOUT_S)
        self.stdout.write("" if flow.is_stream else printable(_whole_answer(flow.pk)))
        if has_failed(flow):
            raise ResendError(printable(f"{flow.status_code or ''} {flow.error}".strip()))


def _whole_answer(flow_id: str) -> str:
    """Return the text of a response that was not streamed; all of it where that is not clear."""
    flow = load_flow(flow_id)
    side = answer_side(flow.sides) if flow else None
    if flow is None or side is None:
        return ""
    view = body_view(side.side, flow.plain(side), header(side.headers, "content-type"))
    return "".join(text for _, text in view.answer()) or view.plain.decode("utf-8", "replace")


def as_text(draft: Draft) -> str:
    """Return the request as a request line, headers, an empty line and the body."""
    return f"{draft.method} {draft.target}\n{draft.headers}\n\n{draft.body}"


def of_text(text: str, known: Draft) -> Draft:
    """The inverse.

    Raises:
        ResendError: the first line is no request line.
    """
    head, _, body = text.partition("\n\n")
    first, _, headers = head.partition("\n")
    method, space, target = first.strip().partition(" ")
    if not space:
        raise ResendError("The first line has to be like: POST /v1/messages")
    if not known.body.endswith("\n"):
        body = body.removesuffix("\n")  # most editors end a file with one
    return replace(
        known,
        method=method,
        target=target.strip(),
        headers=headers,
        body=known.body if known.locked else body,
    )


def _in_editor(text: str) -> str:
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="ccproxy-") as folder:
        path = Path(folder) / "request.http"
        path.write_text(text)
        try:
            done = subprocess.run([*command, str(path)], check=False)  # noqa: S603  # the user's own editor
        except OSError as exc:
            raise ResendError(
                f"The editor {command[0]} cannot be started: {exc.strerror}. Set $EDITOR."
            ) from None
        if done.returncode:
            raise ResendError(f"The editor ended with {done.returncode}; nothing is sent.")
        return path.read_text(errors="replace")
