"""The way of one proxy's records to the recorder: its ring, and the connections beside it."""

from __future__ import annotations

import itertools
import os
import socket
from dataclasses import dataclass

from ccproxy_site.supervise.child import Child
from flows.handover.ring import Ring

_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class Feed:
    """The ring of one life of a proxy, which outlives both ends."""

    child: Child
    pid: int
    ring: Ring
    number: int
    is_open: bool = True
    """Its proxy lives."""
    is_drained: bool = False
    """The recorder has read everything, and knows that no more will come."""

    @classmethod
    def of(cls, child: Child) -> Feed:
        """Make the ring for a proxy that has just been started."""
        return cls(child, child.pid, Ring.create(), next(_numbers))

    def connect(self, recorder: Child) -> None:
        """Hand both sides a fresh connection and bell; a dead proxy's ring goes alone."""
        client = {"kind": "proxy", "pid": self.pid, "number": self.number, "open": self.is_open}
        if not self.is_open:
            recorder.say([self.ring.fd], client=client)
            return
        ours, theirs = socket.socketpair()
        bell_out, bell_in = os.pipe()
        with ours, theirs:
            recorder.say([self.ring.fd, ours.fileno(), bell_out], client=client)
            self.child.say([theirs.fileno(), bell_in], recorder=True)
        os.close(bell_out)
        os.close(bell_in)
