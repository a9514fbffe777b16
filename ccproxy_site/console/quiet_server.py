"""Daphne's server without timers while no client is connected.

Daphne looks at its connections every second, also where it has none, and Twisted sets a clock for
an access log that is not written here.
"""

from __future__ import annotations

from typing import Any

from daphne.server import Server
from twisted.internet import reactor

from ccproxy_site.console.strict_channel import strict_protocol


class QuietServer(Server):
    """Server whose two checks run while there are connections."""

    def run(self) -> None:
        """Listen; both checks are due once by then."""
        self._is_reaping = self._is_timing = True
        super().run()
        self.http_factory.protocol = strict_protocol
        # Twisted has no option for it. None where the address could not be bound.
        if clock := self.http_factory._logDateTimeCall:
            clock.cancel()

    def protocol_connected(self, protocol: Any) -> None:
        """Keep a connection, and look at it from now on."""
        super().protocol_connected(protocol)
        clock: Any = reactor
        if not self._is_reaping:
            self._is_reaping = True
            clock.callLater(1, self.application_checker)
        if not self._is_timing:
            self._is_timing = True
            clock.callLater(2, self.timeout_checker)

    def application_checker(self) -> None:
        """Forget what ended, and do so again a second later if anything is connected."""
        self._is_reaping = bool(self.connections)
        if self._is_reaping:
            super().application_checker()

    def timeout_checker(self) -> None:
        """End what took too long, and look again two seconds later if anything is connected."""
        self._is_timing = bool(self.connections)
        if self._is_timing:
            super().timeout_checker()
