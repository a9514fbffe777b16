"""Report of `ccproxy status`: listeners, files, hooks and the running interceptors.

Reads, never writes.
"""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

from django.conf import settings as django_settings
from django.db import DatabaseError, connection
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.server import ServerSettings, url_host
from interceptor.config.transfer.database_state import database_name
from interceptor.instances.health import notices, running_interceptors
from interceptor.instances.running_cooldowns import running_cooldowns
from interceptor.models import HookSetting
from interceptor.operate.liveness import is_listening, mcp_shall_run, recording_problem
from interceptor.operate.python_build import python_build
from interceptor.pipeline.hook import Stage

DATABASE_PATIENCE_S = 3.0
_WIDE_COLUMNS = 200
"""Width when the output is no terminal, so that paths are not broken."""


def status_report(settings: ServerSettings, directory: Path) -> dict[str, Any]:
    """Return everything about this installation as plain data."""
    log = settings.log_path(directory)
    mcp = settings.mcp.http
    report: dict[str, Any] = {
        "proxy": is_listening(settings.host, settings.port),
        "url": settings.proxy_url,
        "config": _files(directory),
        "hooks": {str(stage): [] for stage in Stage},
        "log": str(log) if log else None,
        "inspector": {
            "running": is_listening(settings.console.host, settings.inspector.port),
            "entry_port": settings.port,
            "inspect_port": settings.inspector.port,
            "inspect_url": settings.console_url,
        },
        "mcp": {
            "enabled": mcp_shall_run(settings),
            "running": mcp_shall_run(settings) and is_listening(mcp.host, mcp.port),
            "port": mcp.port,
            "url": f"http://{url_host(mcp.host)}:{mcp.port}/mcp",
        },
        "database": database_name(),
        "python": python_build(),
        # From the proxy itself: the database may be what is away.
        "recording": recording_problem(settings.host, settings.port),
        "interceptors": [],
        "cooldowns": [],
        "notices": [],
    }
    if report["recording"]:
        report |= _from_a_database_that_may_be_frozen()
    elif _has_tables():
        report |= _from_database()
    return report


def _from_a_database_that_may_be_frozen() -> dict[str, Any]:
    """Return what the database says within a few seconds, nothing otherwise."""
    found: dict[str, Any] = {}

    def ask() -> None:
        if _has_tables():
            found.update(_from_database())

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


def _has_tables() -> bool:
    """Return False for a database that is missing, empty or unreachable.

    A question to a missing SQLite database would create an empty file.
    """
    if (
        connection.vendor == "sqlite"
        and not Path(str(django_settings.DATABASES["default"]["NAME"])).exists()
    ):
        return False
    try:
        return HookSetting._meta.db_table in connection.introspection.table_names()
    except DatabaseError:
        return False


def _from_database() -> dict[str, Any]:
    hooks: dict[str, list[str]] = {str(stage): [] for stage in Stage}
    for setting in HookSetting.objects.filter(enabled=True):
        hooks[setting.stage].append(setting.name)
    running = running_interceptors()
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
    }


def print_table(report: dict[str, Any], output: Any, *, is_terminal: bool) -> None:
    """Write the report for people."""
    console = Console(file=output, highlight=False, width=None if is_terminal else _WIDE_COLUMNS)
    table = Table.grid(padding=(0, 2))
    for label, value in _rows(report):
        table.add_row(Text(label, style="bold"), value)
    console.print(table)


def _rows(report: dict[str, Any]) -> list[tuple[str, Text]]:
    inspector, mcp = report["inspector"], report["mcp"]
    rows = [
        ("proxy", _listener(report["proxy"], report["url"])),
        ("console", _listener(inspector["running"], inspector["inspect_url"])),
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


def _listener(running: bool, url: str) -> Text:
    mark = ("up    ", "green") if running else ("down  ", "red")
    return Text.assemble(mark, url)
