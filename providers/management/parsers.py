"""Options of this application's commands. No Django: a command's help imports only this."""

from __future__ import annotations

from argparse import ArgumentParser


def loginprovider(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy loginprovider`."""
    parser.description = (
        "Log in to a provider with the browser and keep the login in the provider's credential"
        " file."
    )
    parser.add_argument("provider")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="SECONDS", help="how long to wait"
    )


def models(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy models`."""
    parser.description = (
        "Show what is known of models: the complete table, or the facts about one model and where"
        " they are from. Requests are brought to these facts when they are translated."
    )
    parser.add_argument("model", nargs="?", default="", help="name of a model, as it is sent")
    parser.add_argument("--host", default="", help="the provider's host; facts may differ by it")
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def rotatekey(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy rotatekey`."""
    parser.description = (
        "Encrypt the stored credentials with a new key. Safe while the proxy runs; an interrupted"
        " run is continued."
    )
    parser.add_argument(
        "--keep-old", action="store_true", help="leave the old key in the file, for other machines"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def providers(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy providers`."""
    parser.description = (
        "List the providers: address, source of the credential, its state, and the command that"
        " mends it. No secret is shown."
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def rules(parser: ArgumentParser) -> None:
    """Declare the options of `ccproxy rules`."""
    parser.description = "List the rules in the order in which they are tried."
    parser.add_argument("--json", action="store_true", help="machine-readable output")
