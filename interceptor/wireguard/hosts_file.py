"""This machine's hosts file: captured commands find the same names as any other program here.

mitmproxy's resolver can read it too, but asks the name servers all the same, and waits for dead
ones.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

PATH = Path("/etc/hosts")
MAX_BYTES = 1024 * 1024


class HostsFile:
    """Look-ups in the file, which is read again when it changed."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._found: dict[str, list[IPv4Address]] = {}

    def lookup(self, name: str) -> list[IPv4Address] | None:
        """Return the IPv4 addresses of a name in lower case; None when it is not in the file."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp and status.st_size <= MAX_BYTES:
                self._found = parse_hosts(self._path.read_text("utf-8", "replace"))
                self._stamp = stamp
        except OSError:
            self._found, self._stamp = {}, None
        return self._found.get(name)


def parse_hosts(text: str) -> dict[str, list[IPv4Address]]:
    """Return the IPv4 addresses by name, in order (hosts(5)).

    "10.0.0.1 a b" → {"a": [10.0.0.1], "b": [10.0.0.1]}; a name with IPv6 addresses alone has none.
    """
    found: dict[str, list[IPv4Address]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            known = found.setdefault(name.lower().rstrip("."), [])
            try:
                known.append(IPv4Address(address))
            except ValueError:
                continue
    return found
