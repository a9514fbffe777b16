"""Reports of `jail --status` and `jail --doctor`: tools, running jails, problems."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from interceptor.config.files.directory import config_dir
from interceptor.config.files.load_settings import load_server_settings
from interceptor.wireguard.lease_client import RUN_DIR, SOCKET_NAME
from jail import state
from jail.network.namespace_limits import SYSCTLS, forbidding, sysctl
from jail.network.uplink import ROOT
from jail.tools import NEEDED, OPTIONAL, distribution, find_tools, install_hint
from providers.base.errors import ConfigError

PROBE = Path(__file__).with_name("probe.py")
PROBE_TIMEOUT_S = 60
_LAUNCH = "import sys; sys.path.append(sys.argv.pop(1)); from ccproxy_site.cli import main; main()"
_EXPECTED = {
    "dns_ok": "look-ups get no answer",
    "proxy_ok": "the proxy's port cannot be reached",
    "trust_ok": "the bundle of certificates cannot be read",
    "outside_closed": "the host can be reached past the tunnel",
    "ipv6_closed": "IPv6 leaves past the tunnel",
    "filter_ok": "the command's system calls are not filtered",
}


def main(action: str, *, as_json: bool) -> int:
    """Print the report. Return 1 if the doctor finds that jails do not work.

    Raises:
        ConfigError: this is not Linux, or the settings are refused.
    """
    if sys.platform != "linux":
        raise ConfigError("the jail needs Linux; elsewhere use: ccproxy run -- COMMAND, or WSL 2")
    report = status()
    if action == "doctor":
        report = diagnose(report)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if as_json else _as_text(report))
    return 1 if report.get("failures") else 0


def status() -> dict[str, Any]:
    """Collect the facts of this machine without starting anything."""
    tools, directory = find_tools(os.environ), config_dir()
    release = platform.release()
    return {
        "kernel": {
            "release": release,
            "is_wsl": any(word in release.lower() for word in ("microsoft", "wsl")),
            "has_wireguard": _kernel_has_wireguard(),
        },
        "sysctls": {name: sysctl(name) for name in SYSCTLS},
        "devices": {
            "dev_net_tun": {"present": Path("/dev/net/tun").exists(), "usable": _tun_is_usable()}
        },
        "tools": {
            name: {"present": name in tools, "path": tools.get(name)}
            for name in (*NEEDED, *OPTIONAL)
        },
        "distribution": distribution(),
        "wireguard": _kind(tools),
        "interceptor": {"listening": (directory / RUN_DIR / SOCKET_NAME).exists()},
        "topology": {
            "wg0": "10.0.0.1/32",
            "tap0": "10.0.2.100/24",
            "gateway": "10.0.2.2",
            "dns": "10.0.0.53",
        },
        "jails": list(state.running(directory)),
        "hints": _hints(tools),
    }


def diagnose(report: dict[str, Any]) -> dict[str, Any]:
    """Add the probe of a real jail, and the problems as sentences in `failures`."""
    problems = _problems()
    probe: dict[str, Any] = {}
    try:
        probe = _run_probe()
    except ConfigError as error:
        problems.append(str(error))
    problems += [what for name, what in _EXPECTED.items() if probe and not probe[name]]
    if probe and probe["default_route"] != "wg0":
        problems.append(
            f"the default route leads to {probe['default_route'] or 'nowhere'} instead of wg0"
        )
    if probe and probe["capabilities"] != "none":
        problems.append("the command has capabilities")
    return report | {"probe": probe, "failures": list(dict.fromkeys(problems))}


def _run_probe() -> dict[str, Any]:
    """Build a jail as a user would, and return its probe's facts."""
    settings = load_server_settings(config_dir(), os.environ)
    inside = [sys.executable, "-I", "-S", str(PROBE), str(settings.port)]
    command = [sys.executable, "-c", _LAUNCH, str(ROOT), "jail", "--label", "doctor", "--", *inside]
    started = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            command,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"the probe did not end within {PROBE_TIMEOUT_S} s") from None
    with contextlib.suppress(ValueError):
        found: dict[str, Any] = json.loads(done.stdout)
        return found | {"total_s": round(time.monotonic() - started, 3)}
    raise ConfigError(
        done.stderr.strip().removeprefix("ccproxy: ") or f"the probe ended with {done.returncode}"
    )


def _tun_is_usable() -> bool:
    return os.access("/dev/net/tun", os.R_OK | os.W_OK)


def _kind(tools: dict[str, str]) -> str:
    """Return the WireGuard client that a jail would use."""
    if any(name not in tools for name in NEEDED):
        return "python"
    if "wg" in tools and _kernel_has_wireguard():
        return "kernel"
    return "wireguard-go" if "wireguard-go" in tools else "python"


def _kernel_has_wireguard() -> bool:
    """Return whether the module is loaded, built in, or can be loaded on demand."""
    if Path("/sys/module/wireguard").is_dir():
        return True
    folder = Path("/lib/modules", platform.release())
    # A container has the kernel of its host and often no modules of it.
    with contextlib.suppress(OSError):
        lists = [(folder / name).read_text() for name in ("modules.dep", "modules.builtin")]
        return any("/wireguard.ko" in text for text in lists)
    return False


def _problems() -> list[str]:
    """Return the problems that keep every kind of jail from working."""
    found = forbidding()
    if not _tun_is_usable():
        found.append(
            "/dev/net/tun cannot be used by you; as root: modprobe tun; chmod 666 /dev/net/tun"
        )
    return found


def _hints(tools: dict[str, str]) -> list[str]:
    """Return what would make jails better; they work without it."""
    missing = [name for name in NEEDED if name not in tools]
    if "wg" not in tools and "wireguard-go" not in tools:
        missing.append("wg" if _kernel_has_wireguard() else "wireguard-go")
    if not missing:
        return []
    return [f"for a faster tunnel: {install_hint(missing, distribution())}"]


def _as_text(report: dict[str, Any]) -> str:
    """Format the report for people, one fact a line."""
    rows = _machine_rows(report)
    rows += [(name, value) for name, value in report["sysctls"].items() if value is not None]
    for jail in report["jails"]:
        command = " ".join(jail["command"])
        rows.append((f"Jail {jail['pid']}", f"{command} ({jail['backend']})"))
    for name, value in report.get("probe", {}).items():
        # Several lines, and only of use in JSON.
        if name != "resolv_conf":
            rows.append((name, _shown(value)))
    rows += [("Hint", hint) for hint in report["hints"]]
    rows += [("Failure", failure) for failure in report.get("failures", [])]
    if report.get("failures") == []:
        rows.append(("Result", "jails work"))
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)


def _machine_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    kernel, tun = report["kernel"], report["devices"]["dev_net_tun"]
    suffix = " (WSL)" if kernel["is_wsl"] else ""
    device = "missing"
    if tun["present"]:
        device = "usable" if tun["usable"] else "not usable"
    tools = [name if tool["present"] else f"no {name}" for name, tool in report["tools"].items()]
    is_listening = report["interceptor"]["listening"]
    return [
        ("Kernel", f"{kernel['release']}{suffix}"),
        ("WireGuard", report["wireguard"]),
        ("/dev/net/tun", device),
        ("Tools", ", ".join(tools)),
        ("Interceptor", "takes jails" if is_listening else "not running: ccproxy start"),
    ]


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
