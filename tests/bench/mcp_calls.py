"""`python -m tests.bench.mcp_calls PORT COUNT`: calls an MCP tool, COUNT at once, until stdin ends.

Raw HTTP, so that it costs a fraction of what it asks for. Prints "ready" after the first response,
and the number of responses at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

_CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "list_flows", "arguments": {"limit": 20}},
}


async def call(port: int, token: str) -> None:
    """Call the tool once."""
    body = json.dumps(_CALL).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    found = await reader.read()
    writer.close()
    if not found.startswith(b"HTTP/1.1 200") or b'"result"' not in found:
        raise AssertionError(f"a call got {found[:300]!r}")


async def main(port: int, count: int, token: str) -> int:
    """Call until stdin ends; return the number of responses."""
    await call(port, token)
    print("ready", flush=True)
    ended = asyncio.Event()
    responses = 0

    async def again() -> None:
        nonlocal responses
        while not ended.is_set():
            await call(port, token)
            responses += 1

    async def wait_for_the_end() -> None:
        await asyncio.to_thread(sys.stdin.read)
        ended.set()

    await asyncio.gather(wait_for_the_end(), *(again() for _ in range(count)))
    return responses


if __name__ == "__main__":
    print(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), os.environ["MCP_TOKEN"])))
