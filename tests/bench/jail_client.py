"""`python -I jail_client.py PORT|443 MEGABYTES REQUESTS`: what the jail's benchmark runs, inside a
jail or outside.

Prints JSON: seconds for a download and an upload of so many MB, and the median of small requests in
milliseconds, all over one connection that is kept. On port 443 it speaks TLS to the provider's
name, else plain HTTP to loopback.
"""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import sys
import time

HOST = "api.anthropic.com"
MB = 1_000_000


def main(port: int, megabytes: int, requests: int) -> None:
    """Measure one after the other; the first request opens the connection and does not count."""
    connection = connect(port)
    headers = {"host": HOST}
    ask(connection, "GET", "/", headers)
    small = [ask(connection, "GET", "/", headers) for _ in range(requests)]
    down_s = ask(connection, "GET", f"/bytes/{megabytes * MB}", headers)
    up_s = ask(connection, "PUT", "/", headers, bytes(megabytes * MB))
    print(json.dumps({"p50_ms": statistics.median(small) * 1000, "down_s": down_s, "up_s": up_s}))


def connect(port: int) -> http.client.HTTPConnection:
    """To the provider's name over TLS, or to a proxy on loopback."""
    if port == 443:
        return http.client.HTTPSConnection(HOST, timeout=120, context=ssl.create_default_context())
    return http.client.HTTPConnection("127.0.0.1", port, timeout=120)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes = b"",
) -> float:
    """Seconds until the answer is complete; it must be a 200."""
    began = time.perf_counter()
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    while answer.read(1 << 18):
        pass
    if answer.status != 200:
        raise SystemExit(f"{method} {path} was answered with {answer.status}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
