"""Stages: small programs of the standard library alone that run inside the namespaces.

They start in 20 ms, as `python -I -S -c BOOT ROOT FD …`: nothing of the user's environment or
site-packages is imported.

uplink     owns user, network and mount namespace; ends every process that is left
cell       joins them, hides folders, gives up every right, and becomes the command
channel    messages between launcher and stages, with descriptors
kernel     system calls that Python has no function for
netlink    links, addresses and routes without the `ip` tool
tunnel     the WireGuard interface: kernel, wireguard-go, or a TUN device for our own client
census     processes of the jail
seccomp    system calls that the command is refused
listeners  TCP ports that have listeners
"""

from __future__ import annotations

BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from jail.stages import {stage};"
    " {stage}.main(sys.argv[2:])"
)
"""Program of a stage; ROOT, the folder that holds the package `jail`, comes last on the path."""
