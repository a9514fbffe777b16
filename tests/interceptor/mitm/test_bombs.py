"""A gigabyte behind a few kilobytes, in every encoding and both directions: passed on, flagged,
never unfolded.
"""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import brotli
import httpx
import pytest
import zstandard

from flows.bytes.decode import CAPPED_BYTES, MAX_DECODED_BYTES, decode, decoded_limit
from interceptor.pipeline.body import OFF_LOOP_BYTES, Body
from tests.e2e import raw
from tests.e2e.conftest import REAL_KEY, provider_yaml
from tests.e2e.process import Interceptor, running
from tests.fakes.upstream import Script, Upstream
from tests.patience import PATIENCE_S

GIGABYTE = 1024**3
STEP = 1024 * 1024
STEPS = GIGABYTE // STEP
MAX_GROWTH_KB = 64 * 1024


@cache
def gzip_bomb() -> bytes:
    """Zeros: one megabyte of deflate, again and again."""
    deflater = zlib.compressobj(9, wbits=-15)
    first = deflater.compress(bytes(STEP)) + deflater.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(STEPS):
        crc = zlib.crc32(bytes(STEP), crc)
    end = b"\x03\x00" + struct.pack("<II", crc, GIGABYTE & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + first * STEPS + end


@cache
def zstd_bomb() -> bytes:
    """One frame, so that no reader sees a boundary."""
    deflater = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(deflater.compress(bytes(STEP)) for _ in range(STEPS)) + deflater.flush()


@cache
def brotli_bomb() -> bytes:
    deflater = brotli.Compressor(quality=1)
    return b"".join(deflater.process(bytes(STEP)) for _ in range(STEPS)) + bytes(deflater.finish())


BOMBS: dict[str, Callable[[], bytes]] = {"gzip": gzip_bomb, "zstd": zstd_bomb, "br": brotli_bomb}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(key=REAL_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def interceptor(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "key").write_text(REAL_KEY)
    config = "providers:\n" + provider_yaml("up", upstream, f"{{file: {folder}/key}}")
    with running(Interceptor(folder, config, "--no-console")) as process:
        answer = httpx.post(
            f"{process.url}/v1/messages",
            json={"model": "m"},
            headers={"x-api-key": "sk-ccproxy-up"},
        )
        process.flow(answer.headers["x-ccproxy-flow"])
        yield process


def memory_kb(pid: int, name: str) -> int:
    """A line of /proc/PID/status: VmRSS now, VmHWM at the most since the last reset."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name + ":")))


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Neighbour:
    """Another client, which asks on and on while a bomb passes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.statuses: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with httpx.Client(headers={"x-api-key": "sk-ccproxy-up"}) as client:
            while not self._stop.is_set():
                self.statuses.append(
                    client.post(f"{self._url}/v1/messages", json={"model": "m"}).status_code
                )
                time.sleep(0.005)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)


@pytest.mark.e2e
@pytest.mark.parametrize("encoding", BOMBS)
def test_a_request(encoding: str, interceptor: Interceptor, upstream: Upstream) -> None:
    bomb = BOMBS[encoding]()
    upstream.scripts["/v1/chat/completions"] = Script()
    upstream.requests.clear()
    before_kb = memory_kb(interceptor.proxy_pid, "VmRSS")
    reset_peak(interceptor.proxy_pid)
    headers = {"x-api-key": "sk-ccproxy-up", "content-encoding": encoding}
    with Neighbour(interceptor.url) as neighbour:
        bombs: list[httpx.Response] = []
        while len(bombs) < 3 or len(neighbour.statuses) < 4:
            bombs.append(
                httpx.post(
                    f"{interceptor.url}/v1/chat/completions",
                    content=bomb,
                    headers=headers,
                    timeout=PATIENCE_S,
                )
            )
        flows = [interceptor.flow(answer.headers["x-ccproxy-flow"]) for answer in bombs]
    growth_kb = memory_kb(interceptor.proxy_pid, "VmHWM") - before_kb
    assert {answer.status_code for answer in bombs} == {200}
    arrived = [seen for seen in upstream.requests if seen.path == "/v1/chat/completions"]
    assert all(
        seen.body == bomb and seen.header("content-encoding") == encoding for seen in arrived
    )
    assert growth_kb < MAX_GROWTH_KB
    assert set(neighbour.statuses) == {200}
    assert interceptor.sides(flows[0]["id"])["client"]["body_truncated"]
    [step, *_] = [trace for trace in interceptor.traces(flows[0]["id"]) if trace.hook == "body"]
    assert "unfolds" in step.reason


@pytest.mark.e2e
@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer(
    encoding: str, status: int, interceptor: Interceptor, upstream: Upstream
) -> None:
    bomb = BOMBS[encoding]()
    headers = (("content-type", "application/json"), ("content-encoding", encoding))
    upstream.scripts["/v1/responses"] = Script(status=status, headers=headers, pieces=(bomb,))
    before_kb = memory_kb(interceptor.proxy_pid, "VmRSS")
    reset_peak(interceptor.proxy_pid)
    head = [("Host", "localhost"), ("x-api-key", "sk-ccproxy-up"), ("Content-Length", "2")]
    with Neighbour(interceptor.url) as neighbour:
        answer = raw.exchange(interceptor.port, raw.request("POST", "/v1/responses", head, b"{}"))
        while len(neighbour.statuses) < 4:
            answer = raw.exchange(
                interceptor.port, raw.request("POST", "/v1/responses", head, b"{}")
            )
        flow = interceptor.flow(answer.flow_id)
    growth_kb = memory_kb(interceptor.proxy_pid, "VmHWM") - before_kb
    assert (answer.status, answer.complete, answer.body == bomb) == (status, True, True)
    assert growth_kb < MAX_GROWTH_KB
    assert set(neighbour.statuses) == {200}
    assert interceptor.sides(flow["id"])["delivered"]["body_truncated"]


@pytest.mark.parametrize("encoding", BOMBS)
def test_what_is_given_of_a_bomb(encoding: str) -> None:
    decoded = decode(BOMBS[encoding](), encoding)
    assert decoded.capped and not decoded.complete
    assert 0 < len(decoded.data) <= CAPPED_BYTES


def test_nested_encodings_are_capped_too() -> None:
    nested = zlib.compress(zstd_bomb())
    assert decode(nested, "zstd, deflate").capped


def test_real_bodies_unfold() -> None:
    plain = b"".join(
        b'{"turn": %d, "text": "%x"}\n' % (n, n * n * 2654435761) for n in range(400_000)
    )
    for encoding, data in (
        ("gzip", zlib.compress(plain)),
        ("zstd", zstandard.compress(plain)),
        ("br", None),
    ):
        packed = data if data is not None else bytes(brotli.compress(plain, quality=1))
        name = "deflate" if encoding == "gzip" else encoding
        assert decode(packed, name).data == plain


def test_limits_grow_with_the_body() -> None:
    limits = [
        decoded_limit(size) for size in (10, 10_000, 160_000, 1_000_000, 2_000_000, 100_000_000)
    ]
    assert limits == sorted(limits)
    assert (limits[0], limits[-1]) == (1024 * 1024, MAX_DECODED_BYTES)


async def test_a_large_body_is_decoded_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    original = Body.decoded

    def decoded(body: Body) -> bytes | None:
        threads.append(threading.current_thread().name)
        return original(body)

    monkeypatch.setattr(Body, "decoded", decoded)
    text = bytes(range(256)) * 400
    body = Body(zlib.compress(text, 0), "deflate")
    assert len(body.data) > OFF_LOOP_BYTES and await body.decode_off_loop()
    assert threads[0].startswith("body-decoder") and body.decoded() == text
    threads.clear()
    assert await Body(zlib.compress(b"small"), "deflate").decode_off_loop()
    assert threads == [threading.main_thread().name]
