"""Report of `ccproxy status`: listeners, files, hooks and the running interceptors.

Reads, never writes. No Django: people ask often, and its import takes half of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from rich.table import Table
from rich.text import Text

from flows.display.units import plural
from flows.search.waiting_count import waiting_flows
from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.instances.heartbeat_rows import running_rows
from interceptor.instances.notices import notices
from interceptor.instances.running_cooldowns import running_cooldowns
from interceptor.operate.command_settings import CommandSettings
from interceptor.operate.liveness import is_listening, recording_problem
from interceptor.operate.python_build import python_build
from interceptor.pipeline.hook import Stage
from providers.listing.shell_table import table_console
from providers.reading.database_reader import Read, UnreadableDatabase, database_name
from providers.reading.plain_reader import reading

DATABASE_PATIENCE_S = 3.0
_HOOKS = """
SELECT stage, name FROM interceptor_hooksetting WHERE enabled ORDER BY stage, position, id
"""


def status_report(
    settings: CommandSettings, directory: Path, database: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything about this installation as plain data.

    Args:
        database: its entry of Django's `DATABASES`.
    """
    report: dict[str, Any] = {
        "proxy": is_listening(settings.host, settings.port),
        "url": settings.proxy_url,
        "config": _files(directory),
        "hooks": {str(stage): [] for stage in Stage},
        "log": settings.log_path or None,
        "inspector": {
            "running": is_listening(settings.console_host, settings.console_port),
            "entry_port": settings.port,
            "inspect_port": settings.console_port,
            "inspect_url": settings.console_url,
        },
        "mcp": {
            "enabled": settings.mcp_enabled,
            "running": settings.mcp_enabled and is_listening(settings.mcp_host, settings.mcp_port),
            "port": settings.mcp_port,
            "url": settings.mcp_url,
        },
        "database": database_name(database),
        "python": python_build(),
        # From the proxy itself: the database may be what is away.
        "recording": recording_problem(settings.host, settings.port),
        "interceptors": [],
        "cooldowns": [],
        "notices": [],
        "search": {"waiting": None},
    }
    if report["recording"]:
        report |= _from_a_database_that_may_be_frozen(database)
    else:
        report |= _from_database(database)
    return report


def _from_a_database_that_may_be_frozen(database: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the database says within a few seconds, nothing otherwise."""
    found: dict[str, Any] = {}

    def ask() -> None:
        found.update(_from_database(database))

    # A thread, because drivers wait for ever for a database that has stopped to answer.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(DATABASE_PATIENCE_S)
    return dict(found)


def _files(directory: Path) -> dict[str, str]:
    """Return the configuration files that exist, by name."""
    return {
        name: str(directory / name) for name in (CONFIG_FILE_NAME,) if (directory / name).exists()
    }


def _from_database(database: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the database says; nothing for one that is missing, empty or unreachable."""
    try:
        with reading(database) as read:
            return from_rows(read)
    except UnreadableDatabase:
        return {}


def from_rows(read: Read) -> dict[str, Any]:
    """Return the part of the report that stands in the database."""
    hooks: dict[str, list[str]] = {str(stage): [] for stage in Stage}
    for stage, name in read(_HOOKS):
        hooks[stage].append(name)
    running = running_rows(read)
    interceptors = [
        {
            "instance": i.instance,
            "started_at": i.started_at.isoformat(),
            "revision": i.revision,
            **i.endpoints,
        }
        for i in running
    ]
    found = [notice.text for notice in notices(running)] if running else []
    cooldowns = [
        {**each._asdict(), "sentence": each.sentence} for each in running_cooldowns(running)
    ]
    return {
        "hooks": hooks,
        "interceptors": interceptors,
        "cooldowns": cooldowns,
        "notices": found,
        # Last: a database of an older version cannot answer it.
        "search": {"waiting": waiting_flows(read)},
    }


def print_table(report: dict[str, Any], output: Any, *, is_terminal: bool) -> None:
    """Write the report for people."""
    console = table_console(output, is_terminal=is_terminal)
    table = Table.grid(padding=(0, 2))
    for label, value in _rows(report):
        table.add_row(Text(label, style="bold"), value)
    console.print(table)


def _rows(report: dict[str, Any]) -> list[tuple[str, Text]]:
    inspector, mcp = report["inspector"], report["mcp"]
    rows = [
        ("proxy", _listener(report["proxy"], report["url"])),
        ("console", _console(inspector)),
        (
            "mcp",
            _listener(mcp["running"], mcp["url"])
            if mcp["enabled"]
            else Text("disabled", style="dim"),
        ),
        (
            "config",
            Text(
                ", ".join(report["config"].values())
                or "built-in defaults; write a file with: ccproxy init"
            ),
        ),
        ("database", Text(report["database"])),
        ("recording", _recording(report["recording"])),
        ("search", _search(report["search"]["waiting"])),
        ("log", Text(report["log"] or "–")),
        ("python", Text(report["python"])),
    ]
    for stage in Stage:
        names = " → ".join(report["hooks"][stage])
        if names or stage != Stage.SEAL:
            rows.append((str(stage), Text(names or "–")))
    rows += [("running", _running(each)) for each in report["interceptors"]]
    rows += [("cooldown", Text(each["sentence"], style="yellow")) for each in report["cooldowns"]]
    rows += [("notice", Text(text, style="yellow")) for text in report["notices"]]
    return rows


def _running(interceptor: dict[str, Any]) -> Text:
    text = Text(f"{interceptor['instance']}, revision {interceptor['revision']}")
    # A heartbeat of an older version has no such key.
    if left_out := interceptor.get("stock"):
        text.append(f", {left_out} patches off (CCPROXY_STOCK)", style="yellow")
    return text


def _recording(problem: str) -> Text:
    return Text(f"no: {problem}", style="red") if problem else Text("no problem reported")


def _search(waiting: int | None) -> Text:
    if waiting is None:
        return Text("–")
    if waiting == 0:
        return Text("every flow is indexed")
    return Text(f"{plural(waiting, 'flow')} {'waits' if waiting == 1 else 'wait'} for the index")


def _console(inspector: dict[str, Any]) -> Text:
    text = _listener(inspector["running"], inspector["inspect_url"])
    if inspector["running"]:
        # A link that signs in is a row of the database, which this report never writes.
        text.append("  (sign in: ccproxy open)", style="dim")
    return text


def _listener(running: bool, url: str) -> Text:
    mark = ("up    ", "green") if running else ("down  ", "red")
    return Text.assemble(mark, url)
