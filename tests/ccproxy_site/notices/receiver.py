"""Receiver of webhooks on loopback, which keeps what it got."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import PATIENCE_S


class Receiver:
    """`replies` are the statuses to come, then 204; headers go with each."""

    def __init__(self) -> None:
        self.replies: list[int] = []
        self.headers: dict[str, str] = {}
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.is_silent = threading.Event()
        self.may_go_on = threading.Event()
        self.url = ""

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serve on a free port."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            shown = {name.lower(): value for name, value in self.headers.items()}
            kept.got.append((shown, body))
            if kept.is_silent.is_set():
                kept.may_go_on.wait(PATIENCE_S)
                return
            self.send_response(kept.replies.pop(0) if kept.replies else 204)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield kept
    finally:
        kept.may_go_on.set()
        server.shutdown()
        server.server_close()
