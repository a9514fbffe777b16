"""Options of this application's commands. No Django: a command's help imports only this."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from shapes.management.parsers import shapes as shapes


def addprovider(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy addprovider`."""
    parser.description = (
        "Add a provider from a preset: its address, format, header and what it accepts are known."
        " Without a name, list the presets."
    )
    parser.add_argument("preset", nargs="?", default="", help="name of a preset")
    parser.add_argument("--name", default="", help="name of the provider; the preset's is default")
    parser.add_argument(
        "--set",
        dest="blanks",
        action="append",
        default=[],
        metavar="BLANK=VALUE",
        help="fill in a part of the address, such as resource=NAME",
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def clienttoken(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy clienttoken`."""
    parser.description = "Manage the tokens that clients present in the header x-ccproxy-token."
    actions = parser.add_subparsers(dest="action", metavar="add|list|remove", required=True)
    add = actions.add_parser("add", help="make a token and print it, this once")
    add.add_argument("name")
    add.add_argument(
        "--provider",
        action="append",
        default=[],
        help="may use this provider alone; repeatable",
    )
    actions.add_parser("list", help="list the tokens' names")
    remove = actions.add_parser(
        "remove", help="delete a token; its clients are refused within a second"
    )
    remove.add_argument("name")


def demo(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy demo`."""
    parser.description = (
        "Start a scripted provider on loopback, register it as provider “demo” and send it a few"
        " requests through the running proxy."
    )
    parser.add_argument(
        "--keep", action="store_true", help="Keep the scripted provider running until Ctrl-C."
    )
    parser.add_argument(
        "--count", type=int, help="How many requests to send; default: each of them once."
    )
    parser.add_argument(
        "--down",
        action="store_true",
        help="Show fallbacks instead: the provider goes down, a second one responds.",
    )
    parser.add_argument(
        "--perplexity",
        action="store_true",
        help="Ask a scripted Perplexity account instead, from clients of all formats.",
    )


def explain(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy explain`."""
    parser.description = (
        "Tell what the proxy would do with a recorded flow's request, or with one from a file;"
        " nothing is sent."
    )
    parser.add_argument("flow", metavar="FLOW", nargs="?", help="the flow's id, or how it begins")
    parser.add_argument(
        "--request",
        metavar="FILE",
        help="a file with an HTTP request, - for standard input: POST /v1/messages ...",
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def exportconfig(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy exportconfig`."""
    parser.description = (
        "Write the settings, providers, rules and hooks as a ccproxy.yaml, without secrets."
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="default: standard output")


def importconfig(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy importconfig`."""
    parser.description = "Read the providers, rules and hooks of a ccproxy.yaml into the database."
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="default: ccproxy.yaml in the config directory"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would change, change nothing"
    )


def interceptorinit(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy init`."""
    parser.description = (
        "Write a commented ccproxy.yaml and create the database with default providers and hooks."
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite ccproxy.yaml; the database is kept"
    )


def interceptorlogs(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy logs`."""
    parser.description = "Show the log of the interceptor."
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    parser.add_argument("-n", "--lines", type=_count, metavar="N", help="only the last N lines")


def interceptorstatus(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy status`."""
    parser.description = (
        "Show the interceptor's status. With check flags: no output, the exit code is the sum of"
        " what is down."
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--proxy", action="store_true", help="exit 1 when the proxy is down")
    parser.add_argument("--inspect", action="store_true", help="exit 2 when the console is down")
    parser.add_argument("--mcp", action="store_true", help="exit 4 when the MCP server is down")


def resend(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy resend`."""
    parser.description = (
        "Send a recorded flow's request again through the running proxy, and print the response as"
        " it comes."
    )
    parser.add_argument("flow", metavar="FLOW", help="the flow's id, or how it begins")
    parser.add_argument(
        "--as-forwarded",
        action="store_true",
        help="what left the proxy, to the same provider, past hooks and rules",
    )
    parser.add_argument(
        "--edit", action="store_true", help="edit the request in $VISUAL or $EDITOR first"
    )
    parser.add_argument("--yes", action="store_true", help="send the edited request without asking")


def setkey(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy setkey`."""
    parser.description = "Read a provider's API key from standard input and store it encrypted."
    parser.add_argument("provider")
    parser.add_argument("--header", help="header that carries the key; default: as it is set now")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ArgumentTypeError("give a number of lines, 0 or more")
    return value
