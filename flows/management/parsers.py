"""Options of `ccproxy flows`. No Django: the command's help imports only this."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from flows.export.kinds import KINDS


def flows(parser: ArgumentParser) -> None:
    """Declare the actions and their options."""
    parser.description = "Look at the recorded flows."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = _action(actions, "list", "list flows, the newest last")
    listing.add_argument(
        "--json", action="store_true", help="an array of flows, with mitmweb's field names"
    )
    listing.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="the newest 10 (or -n N), then each flow as it ends; with --json one a line",
    )
    _action(actions, "dump", "write flows as HAR, e.g. ccproxy flows dump > flows.har")
    _comparing(actions)
    clear = _action(actions, "clear", "delete flows; pinned ones stay")
    clear.add_argument(
        "--all", action="store_true", help="every flow, whatever the configured jq filters say"
    )
    clear.add_argument("--pinned", action="store_true", help="pinned flows too")
    clear.add_argument("--yes", action="store_true", help="do not ask on a terminal")
    pins = {"pin": "keep flows from retention and clearing", "unpin": "undo pin"}
    for name, what in pins.items():
        pinning = actions.add_parser(name, help=what)
        pinning.add_argument(
            "flows", nargs="+", metavar="FLOW", help="ids of flows, or how they begin"
        )
    _copying(actions)
    _exporting(actions)
    importing = actions.add_parser(
        "import", help="take in HAR files of any tool, mitmproxy captures, and our own JSONL"
    )
    importing.add_argument("files", nargs="+", metavar="FILE", type=Path)
    _action(actions, "repl", "a Python shell with the flows in it")


def sessions(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy sessions`."""
    parser.description = (
        "List the sessions: what the user asked first, client, requests, tokens, share from the"
        " cache, cost, duration."
    )
    parser.add_argument(
        "-n", "--number", type=_positive, default=40, metavar="N", help="the newest N; default: 40"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def usage(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy usage`."""
    parser.description = "Show tokens, cache and costs of the last days (UTC)."
    parser.add_argument(
        "--days", type=_positive, default=30, metavar="N", help="days to sum up; default: 30"
    )
    parser.add_argument(
        "--by",
        choices=("model", "day", "session"),
        default="model",
        help="what each row sums up; default: model",
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def _comparing(actions: Any) -> None:
    diff = _action(actions, "diff", "compare each forwarded request with the one before it")
    diff.add_argument("--json", action="store_true", help="an array of comparisons")
    compare = _action(
        actions, "compare", "compare what the client sent with what left, and both answers"
    )
    compare.add_argument(
        "--json", action="store_true", help="an array of flows with their comparisons"
    )
    compare.add_argument("--headers", action="store_true", help="compare headers too")


def _copying(actions: Any) -> None:
    copy = actions.add_parser(
        "as", help="write a flow's request as curl, Python, an SDK's call or Markdown"
    )
    copy.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    copy.add_argument("flows", nargs=1, metavar="FLOW", help="the flow's id, or its first letters")
    copy.add_argument(
        "--forwarded", action="store_true", help="as it left the proxy, not as the client sent it"
    )


def _exporting(actions: Any) -> None:
    export = actions.add_parser(
        "export", help="write a session as one file to share: HTML, Markdown or JSONL"
    )
    export.add_argument(
        "session", metavar="SESSION", help="the session's id, or its first letters; or a flow's id"
    )
    export.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="x.html opens offline, x.md is the conversation, x.jsonl is for flows import",
    )


def _action(actions: Any, name: str, what: str) -> ArgumentParser:
    """Add a subcommand with the options that choose its flows."""
    parser: ArgumentParser = actions.add_parser(name, help=what)
    parser.add_argument(
        "flows",
        nargs="*",
        metavar="FLOW",
        help="ids of flows, or their first letters; default: all",
    )
    parser.add_argument(
        "-n", "--number", type=_positive, metavar="N", help="only the newest N flows"
    )
    parser.add_argument(
        "--search",
        metavar="WORDS",
        help=(
            "flows with all of these words in a message, a tool's call or result, a header, an id;"
            " a phrase stands in double quotes: --search '\"rate limit\"'"
        ),
    )
    parser.add_argument(
        "--filter",
        metavar="NAME",
        help=(
            "a filter that was saved in the console, or a query such as 'status=5xx&provider=local'"
        ),
    )
    parser.add_argument(
        "--jq",
        action="append",
        default=[],
        metavar="FILTER",
        help=(
            "keep what this jq filter makes of the array of flows, e.g."
            " 'map(select(.response.status_code >= 400))'; several are applied one after the other"
        ),
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value
