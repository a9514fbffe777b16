"""Programs that a jail is built from, their paths, and the packages that install them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Not on the PATH of users everywhere."""
NEEDED = ("slirp4netns", "iptables-restore")
"""Without these, the Python client is the only way."""
OPTIONAL = ("ip6tables-restore", "wireguard-go", "wg")
PACKAGES: dict[str, str] = {
    "slirp4netns": "slirp4netns",
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
    "wireguard-go": "wireguard-go",
    "wg": "wireguard-tools",
}
"""Tool to package, in most distributions."""
OTHER_PACKAGES: dict[tuple[str, str], str] = {
    ("fedora", "iptables-restore"): "iptables-nft",
    ("fedora", "ip6tables-restore"): "iptables-nft",
    ("arch", "iptables-restore"): "iptables-nft",
    ("arch", "ip6tables-restore"): "iptables-nft",
}
INSTALL: dict[str, str] = {
    "debian": "sudo apt install",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
    "suse": "sudo zypper install",
    "alpine": "sudo apk add",
    "nixos": "nix-shell -p",
}
_ALIASES = {
    "ubuntu": "debian",
    "rhel": "fedora",
    "centos": "fedora",
    "opensuse": "suse",
    "sles": "suse",
}


def find_tools(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the installed tools: name to path, links resolved."""
    path = f"{environ.get('PATH', os.defpath)}:{SBIN}"
    found = {name: shutil.which(name, path=path) for name in (*NEEDED, *OPTIONAL)}
    return {name: os.path.realpath(where) for name, where in found.items() if where}


def distribution(os_release: Path = Path("/etc/os-release")) -> str | None:
    """Return the family of this machine's distribution, a key of INSTALL, or None."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return None
    facts = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    for word in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split()):
        family = _ALIASES.get(word, word)
        if family in INSTALL:
            return family
    return None


def install_hint(names: list[str], family: str | None) -> str:
    """Return advice to install tools, as a command if the distribution is known."""
    if family is None:
        return f"install {', '.join(names)}"
    wanted = dict.fromkeys(OTHER_PACKAGES.get((family, name), PACKAGES[name]) for name in names)
    return f"{INSTALL[family]} {' '.join(wanted)}"
