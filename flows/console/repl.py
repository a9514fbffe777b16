"""`ccproxy flows repl`: a Python shell with the flows in it.

IPython where it is installed, else Python's own.
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
from flows.display.units import plural
from flows.export.har import har_text
from flows.models import Flow
from flows.queries.flow_set import chosen_ids, newest, referred_ids, summaries
from flows.queries.jq import run_jq
from flows.services import clear_ids
from providers.audit.log import audited, shell_caller
from providers.base.errors import CcproxyError

Reference = int | str | Mapping[str, Any]
"""A place in `flows`, the beginning of an id, or a flow."""

HISTORY: Final = Path("~/.ccproxy-flows-repl-history")
_LINES_SHOWN: Final = 200
_BANNER: Final = """\
ccproxy flows: {count} in `flows`, oldest first; their ids in `ids`.
  show(f)  flow(f)  request(f)  response(f)  compare(f)  diff(a, b)  jq(filter)
  save_request(f, path)  save_response(f, path)  dump(path)  clear(f, ...)  refresh()
A flow f is a place in `flows` (0, -1), the beginning of its id, or the flow itself."""


class FlowShell:
    """The names a shell offers. What prints spells out control characters."""

    def __init__(self, ids: Sequence[str], output: Any) -> None:
        self._output = output
        self.ids: list[str] = []
        self.flows: list[dict[str, Any]] = []
        self._take(ids)

    def names(self) -> dict[str, Any]:
        """What the shell's user sees."""
        helpers: list[Callable[..., Any]] = [
            self.show, self.flow, self.request, self.response, self.compare, self.diff, self.jq,
            self.save_request,
            self.save_response, self.dump, self.clear, self.refresh,
        ]  # fmt: skip
        return {
            "flows": self.flows,
            "ids": self.ids,
            **{helper.__name__: helper for helper in helpers},
        }

    def banner(self) -> str:
        """What is said first."""
        return _BANNER.format(count=len(self.flows))

    def flow(self, ref: Reference = -1) -> dict[str, Any]:
        """A flow as JSON has it."""
        wanted = self._id(ref)
        return next(summaries(Flow.objects.filter(pk=wanted)))

    def request(self, ref: Reference = -1, side: str = "forwarded") -> Any:
        """A request's body, parsed when it is JSON; `side` may be "client"."""
        return _parsed(self._whole(ref), side, "client")

    def response(self, ref: Reference = -1, side: str = "delivered") -> Any:
        """An answer's body, parsed when it is JSON; `side` may be "upstream"."""
        return _parsed(self._whole(ref), side, "upstream")

    def show(self, ref: Reference = -1) -> None:
        """Print a flow: its head, the forwarded request and the answer."""
        whole = self._whole(ref)
        row = whole.flow
        self._print(
            [
                f"{row.pk}  {row.method} {row.forwarded_url or row.client_url} "
                f" {row.status_code or '–'}"
            ]
        )
        self._print(body_lines(whole, "forwarded", "client")[:_LINES_SHOWN])
        self._print(["", *body_lines(whole, "delivered", "upstream")[:_LINES_SHOWN]])

    def compare(self, ref: Reference = -1) -> None:
        """Print what the proxy changed."""
        for found in compare_sides(self._whole(ref), headers=True):
            self._print(
                found.lines or [f"{found.what}: {found.before} and {found.after} are identical"]
            )

    def diff(self, before: Reference = -2, after: Reference = -1) -> None:
        """Print how two forwarded requests differ."""
        for found in compare_neighbours(iter([self._whole(before), self._whole(after)])):
            self._print(found.lines or ["identical"])

    def jq(self, *filters: str) -> list[Any]:
        """What jq makes of the flows."""
        return run_jq(filters, self.flows)

    def save_request(self, ref: Reference, path: str) -> int:
        """Write the forwarded body into a file; returns its size in bytes."""
        whole = self._whole(ref)
        return Path(path).expanduser().write_bytes(whole.plain(whole.side("forwarded", "client")))

    def save_response(self, ref: Reference, path: str) -> int:
        """Write the answer's body into a file; returns its size in bytes."""
        whole = self._whole(ref)
        return Path(path).expanduser().write_bytes(whole.plain(whole.side("delivered", "upstream")))

    def dump(self, path: str, *refs: Reference) -> int:
        """Write flows (all of `flows` without any) as HAR into a file; returns how many."""
        ids = [self._id(ref) for ref in refs] or list(self.ids)
        what = plural(len(ids), "flow")
        with (
            Path(path).expanduser().open("wb") as file,
            audited("export", what, by=shell_caller(), detail="HAR"),
        ):
            file.writelines(har_text(Flow.objects.in_bulk(ids).values(), load_flows(ids)))
        return len(ids)

    def clear(self, *refs: Reference) -> int:
        """Delete these flows unless they are pinned; returns how many went."""
        if not refs:
            raise CcproxyError("Say which: clear(-1), clear(*ids).")
        ids = [self._id(ref) for ref in refs]
        with audited("clear", plural(len(ids), "flow"), by=shell_caller()):
            deleted = clear_ids(ids)
        self._take([flow_id for flow_id in self.ids if Flow.objects.filter(pk=flow_id).exists()])
        return deleted

    def refresh(self) -> int:
        """Read the record again; returns how many flows there are."""
        self._take(chosen_ids(newest(None), []))
        return len(self.flows)

    def _take(self, ids: Sequence[str]) -> None:
        found = {str(flow["id"]): flow for flow in summaries(newest(None))}
        # In place: the shell's user holds these very lists.
        self.ids[:] = [flow_id for flow_id in ids if flow_id in found]
        self.flows[:] = [found[flow_id] for flow_id in self.ids]

    def _id(self, ref: Reference) -> str:
        if isinstance(ref, int):
            try:
                return self.ids[ref]
            except IndexError:
                raise CcproxyError(f"There is no flow {ref}; there are {len(self.ids)}.") from None
        return referred_ids([ref if isinstance(ref, str) else str(ref.get("id"))])[0]

    def _whole(self, ref: Reference) -> CompleteFlow:
        found = load_flow(self._id(ref))
        if found is None:
            raise CcproxyError("This flow is gone; refresh() reads the record again.")
        return found

    def _print(self, lines: Sequence[str]) -> None:
        self._output.write("\n".join(map(printable, lines)) + "\n")


def _parsed(whole: CompleteFlow, *sides: str) -> Any:
    plain = whole.plain(whole.side(*sides))
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return plain.decode("utf-8", "replace")


def run_repl(ids: Sequence[str], output: Any) -> None:
    """Start the shell; ends with it."""
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
        path.touch(mode=0o600)
        atexit.register(readline.write_history_file, path)
