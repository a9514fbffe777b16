"""An own WireGuard initiator: the jail's tunnel where neither the kernel nor `wireguard-go` can be
had.

It moves IPv4 packets between a TUN device of the jail's network namespace and the WireGuard server
of the lease, which listens on the host's loopback. The protocol is that of the WireGuard paper
(Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", sections 5 and 6); the cryptography
is the `cryptography` package's.

How the launcher runs it:

1. `process.InitiatorProcess.start()` at once: `python -I helper.py` in a session of its own, so
that Ctrl-C and Ctrl-Z
   never reach it and nobody shares its interpreter lock; its imports overlap with the set-up of the
   namespace.
2. Inside the namespace: a TUN device opened with `IFF_TUN | IFF_NO_PI`, MTU 1420, and its
descriptor sent to the
   launcher with SCM_RIGHTS. The device lives as long as a descriptor of it is open, so the sender
   closes its own.
3. `hand_over(tun, peer, keylog=…)` sends descriptor and keys through a socket pair, so that no key
is ever in an
   argument list. The handshake starts at once and needs no address or route on the device.
4. `wait_ready(timeout_s)` returns when the first handshake is complete, or raises ConfigError.
5. `stop()`, or the end of the launcher: the helper sees the end of the socket pair and ends; so
does the device.

Importing this package, or `process`, imports the standard library only.

noise       the handshake: messages 1 and 2, transport keys
cookie      the two MACs of a handshake message, and cookie replies
session     transport messages under one pair of keys
replay      which counters were seen
timers      when to send a keep-alive, a handshake, or forget a key
initiator   the state machine; no descriptor, no clock of its own
loop        descriptors and the clock
keylog      the ephemeral keys, for Wireshark
process     the launcher's side; `helper` is the other
"""

from __future__ import annotations
