"""Python shell of `ccproxy flows repl`, with the flows in it.

It is IPython where that is installed, else Python's own.
"""

from __future__ import annotations

import atexit
import code
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from flows.bodies.complete_flow import CompleteFlow, load_flow, load_flows
from flows.compare.unified import body_lines, compare_neighbours, compare_sides
from flows.display.safe_text import printable
from flows.display.units import UNKNOWN, plural
from flows.export.har import har_text
from flows.models import Flow
from flows.queries.flow_set import chosen_ids, newest, referred_ids, summaries
from flows.queries.jq import run_jq
from flows.services import clear_ids
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError

Reference = int | str | Mapping[str, Any]
"""An index of `flows`, the start of an id, or a flow."""

HISTORY: Final = Path("~/.ccproxy-flows-repl-history")
_LINES_SHOWN: Final = 200
_BANNER: Final = """\
ccproxy flows: {count} in `flows`, oldest first; their ids in `ids`.
  show(f)  flow(f)  request(f)  response(f)  compare(f)  diff(a, b)  jq(filter)
  save_request(f, path)  save_response(f, path)  dump(path)  clear(f, ...)  refresh()
A flow f is an index of `flows` (0, -1), the start of its id, or the flow itself."""


class FlowShell:
    """The names that the shell offers. Everything printed has its control characters escaped."""

    def __init__(self, ids: Sequence[str], output: Any) -> None:
        self._output = output
        self.ids: list[str] = []
        self.flows: list[dict[str, Any]] = []
        self._take(ids)

    def names(self) -> dict[str, Any]:
        """Return the shell's variables and functions by name."""
        functions: list[Callable[..., Any]] = [
            self.show, self.flow, self.request, self.response, self.compare, self.diff, self.jq,
            self.save_request, self.save_response, self.dump, self.clear, self.refresh,
        ]  # fmt: skip
        names: dict[str, Any] = {"flows": self.flows, "ids": self.ids}
        for function in functions:
            names[function.__name__] = function
        return names

    def banner(self) -> str:
        """Return the text that the shell shows first."""
        return _BANNER.format(count=len(self.flows))

    def flow(self, ref: Reference = -1) -> dict[str, Any]:
        """Return a flow as JSON."""
        flows = Flow.objects.filter(pk=self._id(ref))
        return next(summaries(flows))

    def request(self, ref: Reference = -1, side: str = "forwarded") -> Any:
        """Return a request's body, parsed if it is JSON; `side` may be "client"."""
        return _parsed(self._complete(ref), side, "client")

    def response(self, ref: Reference = -1, side: str = "delivered") -> Any:
        """Return a response's body, parsed if it is JSON; `side` may be "upstream"."""
        return _parsed(self._complete(ref), side, "upstream")

    def show(self, ref: Reference = -1) -> None:
        """Print a flow: its first line, the forwarded request and the response."""
        flow = self._complete(ref)
        row = flow.flow
        url = row.forwarded_url or row.client_url
        status = row.status_code or UNKNOWN
        self._print([f"{row.pk}  {row.method} {url}  {status}"])
        request = body_lines(flow, "forwarded", "client")
        self._print(request[:_LINES_SHOWN])
        response = body_lines(flow, "delivered", "upstream")
        self._print(["", *response[:_LINES_SHOWN]])

    def compare(self, ref: Reference = -1) -> None:
        """Print the changes of the proxy."""
        for found in compare_sides(self._complete(ref), headers=True):
            identical = f"{found.what}: {found.before} and {found.after} are identical"
            self._print(found.lines or [identical])

    def diff(self, before: Reference = -2, after: Reference = -1) -> None:
        """Print the differences of two forwarded requests."""
        pair = [self._complete(before), self._complete(after)]
        for found in compare_neighbours(iter(pair)):
            self._print(found.lines or ["identical"])

    def jq(self, *filters: str) -> list[Any]:
        """Apply jq filters to the flows."""
        return run_jq(filters, self.flows)

    def save_request(self, ref: Reference, path: str) -> int:
        """Write the forwarded body into a file; return its size in bytes."""
        flow = self._complete(ref)
        body = flow.plain(flow.side("forwarded", "client"))
        return Path(path).expanduser().write_bytes(body)

    def save_response(self, ref: Reference, path: str) -> int:
        """Write the response's body into a file; return its size in bytes."""
        flow = self._complete(ref)
        body = flow.plain(flow.side("delivered", "upstream"))
        return Path(path).expanduser().write_bytes(body)

    def dump(self, path: str, *refs: Reference) -> int:
        """Write flows, by default all of `flows`, as HAR into a file; return their number."""
        ids = [self._id(ref) for ref in refs] or list(self.ids)
        target = Path(path).expanduser()
        audit = audited("export", plural(len(ids), "flow"), by=shell_caller(), detail="HAR")
        with target.open("wb") as file, audit:
            rows = Flow.objects.in_bulk(ids).values()
            file.writelines(har_text(rows, load_flows(ids)))
        return len(ids)

    def clear(self, *refs: Reference) -> int:
        """Delete these flows unless they are pinned; return the number of deleted ones."""
        if not refs:
            raise CcproxyError("Say which: clear(-1), clear(*ids).")
        ids = [self._id(ref) for ref in refs]
        with audited("clear", plural(len(ids), "flow"), by=shell_caller()):
            deleted = clear_ids(ids)
        # _take leaves out the ids whose flows are gone.
        self._take(list(self.ids))
        return deleted

    def refresh(self) -> int:
        """Read the record again; return the number of flows."""
        self._take(chosen_ids(newest(None), []))
        return len(self.flows)

    def _take(self, ids: Sequence[str]) -> None:
        by_id: dict[str, dict[str, Any]] = {}
        for flow in summaries(newest(None)):
            by_id[flow["id"]] = flow
        # The lists stay the same objects: the shell's variables refer to them.
        self.ids[:] = [flow_id for flow_id in ids if flow_id in by_id]
        self.flows[:] = [by_id[flow_id] for flow_id in self.ids]

    def _id(self, ref: Reference) -> str:
        if isinstance(ref, int):
            try:
                return self.ids[ref]
            except IndexError:
                raise CcproxyError(f"There is no flow {ref}; there are {len(self.ids)}.") from None
        text = ref if isinstance(ref, str) else str(ref.get("id"))
        return referred_ids([text])[0]

    def _complete(self, ref: Reference) -> CompleteFlow:
        flow = load_flow(self._id(ref))
        if flow is None:
            raise CcproxyError("This flow is gone; refresh() reads the record again.")
        return flow

    def _print(self, lines: Sequence[str]) -> None:
        text = "\n".join(printable(line) for line in lines)
        self._output.write(f"{text}\n")


def _parsed(flow: CompleteFlow, *sides: str) -> Any:
    plain = flow.plain(flow.side(*sides))
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return plain.decode("utf-8", "replace")


def run_repl(ids: Sequence[str], output: Any) -> None:
    """Start the shell; return when the user leaves it."""
    shell = FlowShell(ids, output)
    try:
        ipython = import_module("IPython")
    except ImportError:
        _keep_history()
        code.interact(banner=shell.banner(), local=shell.names(), exitmsg="")
        return
    output.write(shell.banner() + "\n")
    ipython.start_ipython(argv=[], user_ns=shell.names())


def _keep_history() -> None:
    if not sys.stdin.isatty():
        return
    with suppress(ImportError, OSError):
        import readline
        import rlcompleter  # noqa: F401  completes names once it is loaded

        readline.parse_and_bind("tab: complete")
        path = HISTORY.expanduser()
        if path.exists():
            readline.read_history_file(path)
        # Before readline writes it, which would let other users read it.
        path.touch(mode=0o600)
        atexit.register(readline.write_history_file, path)
