"""Options of this application's commands. No Django: a command's help imports only this."""

from __future__ import annotations

from argparse import ArgumentParser


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
