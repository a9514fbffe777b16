"""Options of `ccproxy shapes`. No Django: the command's help imports only this."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any


def shapes(parser: ArgumentParser) -> None:
    """Declare the actions and their options."""
    parser.description = (
        "Keep captured requests of reference clients as versions, and decide which one requests"
        " take."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _saving(actions)
    _looking(actions)
    _changing(actions)
    _files(actions)
    preview = actions.add_parser(
        "preview", help="show what would leave for a recorded flow; nothing is sent"
    )
    preview.add_argument("flow", metavar="FLOW", help="the flow's id, or how it begins")
    _type(preview, optional=True)
    _version(preview)
    _json(preview)


def _saving(actions: Any) -> None:
    save = actions.add_parser(
        "save",
        help="make a version of a recorded flow: the newest valid one of a captured client",
    )
    _type(save)
    save.add_argument("flow", nargs="?", metavar="FLOW", help="the flow's id, or how it begins")
    save.add_argument(
        "--jq",
        action="append",
        default=[],
        metavar="FILTER",
        help="take the newest valid flow that this jq filter keeps; repeatable",
    )
    save.add_argument(
        "--mflow", action="store_true", help="write TYPE.mflow into the shapes directory too"
    )
    save.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="PLACE",
        help="keep the texts at this place of the body, such as a.b; repeatable",
    )
    save.add_argument(
        "--inactive", action="store_true", help="store it, and leave the active version active"
    )
    save.add_argument("--notes", default="", help="a remark that is kept with the version")
    save.add_argument("--yes", action="store_true", help="store what is shown without asking")
    _json(save)


def _looking(actions: Any) -> None:
    listing = actions.add_parser("list", help="list versions, counts and new client releases")
    _type(listing, optional=True)
    _json(listing)
    show = actions.add_parser("show", help="show a version: address, headers, body, fingerprint")
    _type(show)
    _version(show)
    _json(show)
    diff = actions.add_parser("diff", help="compare two versions of a provider type")
    _type(diff)
    diff.add_argument("before", type=int, metavar="VERSION")
    diff.add_argument("after", type=int, metavar="VERSION")
    _json(diff)
    audit = actions.add_parser(
        "audit", help="check that no stored shape or file has a response or a credential"
    )
    audit.add_argument(
        "--directory", type=Path, metavar="PATH", help="only the .mflow files of this directory"
    )
    _json(audit)


def _changing(actions: Any) -> None:
    acknowledge = actions.add_parser(
        "acknowledge", help="confirm that the provider's terms apply; without it nothing is shaped"
    )
    _type(acknowledge)
    acknowledge.add_argument("--yes", action="store_true", help="confirm without being asked")
    acknowledge.add_argument("--withdraw", action="store_true", help="take it back")
    activate = actions.add_parser("activate", help="let requests take a version, also an old one")
    _type(activate)
    activate.add_argument("version", type=int, metavar="VERSION")
    deactivate = actions.add_parser("deactivate", help="let requests leave unshaped")
    _type(deactivate)
    clear = actions.add_parser("clear", help="delete a version, or all of a provider type")
    _type(clear)
    _version(clear)
    clear.add_argument("--yes", action="store_true", help="delete without asking")


def _files(actions: Any) -> None:
    importing = actions.add_parser(
        "import", help="read TYPE.mflow files and patch series; default: the shapes directory"
    )
    importing.add_argument("paths", nargs="*", metavar="PATH", type=Path)
    importing.add_argument("--type", dest="provider_type", metavar="TYPE", help="of a file's shape")
    importing.add_argument("--yes", action="store_true", help="store what is shown without asking")
    export = actions.add_parser("export", help="write TYPE.mflow and the patches of a version")
    _type(export)
    _version(export)
    export.add_argument(
        "--directory", type=Path, metavar="PATH", help="default: the shapes directory"
    )


def _type(parser: ArgumentParser, *, optional: bool = False) -> None:
    if optional:
        parser.add_argument("--type", dest="provider_type", metavar="TYPE", help="provider type")
    else:
        parser.add_argument("provider_type", metavar="TYPE", help="provider type: anthropic, …")


def _version(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--version", type=int, metavar="N", help="default: the active version, else the newest"
    )


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable output")
