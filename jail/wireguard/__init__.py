"""WireGuard initiator in Python, for machines without the kernel's module and `wireguard-go`.

It moves IPv4 packets between a TUN device of the jail's network namespace and the WireGuard server
of the lease, which listens on the host's loopback. The protocol is that of the WireGuard paper
(Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", sections 5 and 6,
https://www.wireguard.com/papers/wireguard.pdf); the cryptography is the `cryptography` package's.

The launcher runs it in five steps:

1. `process.InitiatorProcess.start()` starts `python -I helper.py` in a session of its own. Ctrl-C
   and Ctrl-Z never reach it, it has its own interpreter lock, and its imports overlap with the
   set-up of the namespace.
2. A TUN device is opened inside the namespace with `IFF_TUN | IFF_NO_PI`, MTU 1420. The launcher
   gets its descriptor with SCM_RIGHTS. The device lives as long as a descriptor of it is open, so
   the sender closes its own.
3. `connect(tun, peer, keylog=…)` sends descriptor and keys through a socket pair, so that no key
   is ever in an argument list. The handshake needs no address or route on the device.
4. `wait_ready(timeout_s)` returns when the first handshake is complete, or raises ConfigError.
5. `stop()`, or the end of the launcher, closes the socket pair. The helper ends, and so does the
   device.

Importing this package, or `process`, imports the standard library only.

noise       the handshake: messages 1 and 2, transport keys
cookie      the two MACs of a handshake message, and cookie replies
session     transport messages under one pair of keys
replay      window of accepted counters
timers      times for keep-alives, handshakes and the end of keys
initiator   the state machine; no descriptor, no clock of its own
loop        descriptors and the clock
keylog      the ephemeral keys, for Wireshark
process     the launcher's end; `helper` is the other
"""

from __future__ import annotations
