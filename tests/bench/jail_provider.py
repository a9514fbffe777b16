"""`python -m tests.bench.jail_provider CHAIN`: a provider over TLS that answers as many bytes as it
is asked for.

GET /bytes/N answers N bytes, everything else two; what is sent is read and dropped. Prints its
port.
"""

from __future__ import annotations

import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BLOCK = bytes(1 << 16)


class Provider(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = len(_BLOCK)  # a small answer leaves in one packet

    def do_GET(self) -> None:
        unread = int(self.headers.get("content-length", 0))
        while unread:
            unread -= len(self.rfile.read(min(unread, len(_BLOCK))))
        size = int(self.path.removeprefix("/bytes/")) if self.path.startswith("/bytes/") else 2
        self.send_response(200)
        self.send_header("content-length", str(size))
        self.end_headers()
        for start in range(0, size, len(_BLOCK)):
            self.wfile.write(_BLOCK[: size - start])

    do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


def main(chain: str) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.set_alpn_protocols(["http/1.1"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.daemon_threads = True
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
