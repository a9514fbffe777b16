"""Leases: runs of commands whose traffic comes through a WireGuard server of their own. Pure."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from interceptor.wireguard.answers import Answers
from interceptor.wireguard.command_line import shown_command
from interceptor.wireguard.hosts import AllowedHosts, allowed_hosts
from providers.base.errors import ConfigError

MAX_LABEL_CHARS = 64
FORWARD_USER = "run"
"""The name beside a run's password in its proxy URL."""


@dataclass(frozen=True, slots=True)
class ForwardTerms:
    """Terms of a run that comes by the forward proxy.

    `password` stands in its proxy URL. `hosts` are those whose TLS is read beside the providers';
    `reads_all` means every host's.
    """

    password: str = field(repr=False)
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    reads_all: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as its flows know it."""

    id: str
    label: str
    command: str
    """As a shell takes it, without credentials."""
    egress: AllowedHosts | None = None
    """The only hosts it may reach; None: any."""
    pid: int = 0
    forward: ForwardTerms | None = None
    """None: it comes by a WireGuard server."""
    answers: Answers = field(default_factory=Answers, compare=False)
    """Its look-ups so far."""

    def refusal_of_name(self, host: str) -> str:
        """Return why the run may not reach a host by this name; "" when it may."""
        return "" if self.egress is None or self.egress.covers(host) else self._refusal(host)

    def refusal_of_address(self, address: str) -> str:
        """Return why the run may not reach an address; "" when it may.

        An address that was looked up is allowed: only allowed names are answered.
        """
        if self.egress is None or self.egress.covers(address) or self.answers.names(address):
            return ""
        return self._refusal(address)

    def refusal_of_unknown_name(self) -> str:
        """Return why the run may not send TLS that names no readable host; "" when it may."""
        if self.egress is None:
            return ""
        return (
            f"the host of this TLS connection could not be read from its ClientHello, and --egress"
            f" allows this run ({self.label}) listed hosts only"
        )

    def _refusal(self, host: str) -> str:
        shown = host[:253]
        return (
            f"{shown} is not among the hosts that --egress allows this run ({self.label}); add"
            f" --egress {shown}"
        )


class RunBook:
    """The runs under way, by the path that names their server in mitmproxy's mode."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    def add(self, key: str, run: Run) -> None:
        """Add a run."""
        self._runs[key] = run

    def remove(self, key: str) -> None:
        """Remove a run that has ended, or do nothing."""
        self._runs.pop(key, None)

    def get(self, key: str) -> Run | None:
        """Return the run of a server; None when it ended or never was."""
        return self._runs.get(key)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(self._runs.values()))


def parse_request(line: bytes) -> Run:
    """Parse a launcher's line.

    Raises:
        ConfigError: one sentence that names the fix.
    """
    try:
        asked = json.loads(line)
        label, command, egress = asked["label"], asked["command"], asked.get("egress")
        if not isinstance(label, str) or not _is_texts(command):
            raise TypeError
        if egress is not None and not _is_texts(egress):
            raise TypeError
        pid = int(asked.get("pid") or 0)
        forward = asked.get("forward")
        if forward is not None and not _is_texts(forward["hosts"]):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(
            "the proxy does not understand this launcher; start both from the same version"
        ) from None
    return Run(
        id=secrets.token_hex(6),
        label=_printable(label)[:MAX_LABEL_CHARS] or "jail",
        command=_printable(shown_command(command)),
        egress=None if egress is None else allowed_hosts(egress),
        pid=pid,
        forward=None if forward is None else _terms(forward),
    )


def _terms(forward: dict[str, Any]) -> ForwardTerms:
    return ForwardTerms(
        password=secrets.token_urlsafe(24),
        hosts=allowed_hosts(forward["hosts"]),
        reads_all=bool(forward.get("all")),
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
