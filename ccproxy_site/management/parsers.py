"""Options of this application's commands. No Django: a command's help imports only this."""

from __future__ import annotations

from argparse import ArgumentParser

from interceptor.management.parsers import demo as demo


def runinterceptor(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy start`."""
    parser.description = "Run the proxy (port 4000) and the console (port 8083) in the foreground."
    parser.add_argument("--no-console", action="store_true", help="run the proxy alone")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="proxy processes that share the port (default 1); as many as cores for heavy traffic",
    )
    lines = parser.add_mutually_exclusive_group()
    lines.add_argument(
        "-q", "--quiet", action="store_true", help="write no line for each flow on the terminal"
    )
    lines.add_argument(
        "--flow-lines",
        action="store_true",
        help="write a line for each flow on standard error, though it is no terminal",
    )
    parser.add_argument(
        "--allow-code-config",
        action="store_true",
        help="let the console and the API set commands and hook paths, which run code",
    )


def loginlink(parser: ArgumentParser) -> None:
    """Declare that `ccproxy login` has no options."""
    parser.description = "Print a one-time link into the console; it works once, within 15 minutes."


def mcpstdio(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy mcp`."""
    parser.description = (
        "Serve the MCP tools on standard input and output, for clients that start a command. It"
        " reads the record itself: no proxy has to run."
    )
    parser.add_argument(
        "--write", action="store_true", help="also let it clear, resend and store shapes"
    )


def openconsole(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy open`."""
    parser.description = (
        "Open the console in the browser by a one-time link, or print the link where no browser"
        " can be opened."
    )
    parser.add_argument("--print", action="store_true", help="only print the link")


def apitoken(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy apitoken`."""
    parser.description = "Manage the tokens of the REST API. The database keeps digests alone."
    actions = parser.add_subparsers(dest="action", metavar="new|list|remove", required=True)
    new = actions.add_parser("new", help="make a token and print it, this once")
    listing = actions.add_parser("list", help="list who has a token")
    listing.add_argument("--json", action="store_true", help="machine-readable output")
    remove = actions.add_parser("remove", help="delete a user's token")
    for action in (new, remove):
        action.add_argument(
            "user", nargs="?", default="", help="default: the user that login links sign in"
        )


def notices(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy notices`."""
    parser.description = "Notices of failures and other events; see docs/notices.md."
    actions = parser.add_subparsers(dest="action", metavar="list|test", required=True)
    listing = actions.add_parser("list", help="list the newest notices and their deliveries")
    test = actions.add_parser(
        "test", help="send a sample by each channel; exit code 1 if one does not deliver it"
    )
    for action in (listing, test):
        action.add_argument("--json", action="store_true", help="machine-readable output")


def doctor(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy doctor`."""
    parser.description = (
        "Check this installation: ports, certificate authority, database, clock, tools of the"
        " jail, credentials, versions. Exit code 1 if something has to be mended."
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def completion(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy completion`."""
    parser.description = (
        "Print the completion for a shell: source <(ccproxy completion bash), source <(ccproxy"
        " completion zsh), ccproxy completion fish | source."
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
