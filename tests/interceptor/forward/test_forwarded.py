"""What goes through the forward proxy: byte for byte, recorded with its run, or unread."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPResponse

import httpx
import pytest
from websockets.sync.client import connect

from tests.fakes.http2_client import ask_h2
from tests.fakes.upstream import Script
from tests.interceptor.forward.world import CA_FILE, CANARY, World
from tests.patience import PATIENCE_S
from tests.sockets import read_exactly, read_to_end

BODY = json.dumps({"model": "m", "max_tokens": 1, "messages": []}).encode()


def request(host: str, key: str = "users-own-key", target: str = "/v1/messages") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nOdd-CASE: 1\r\n"
    return f"{head}Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n".encode() + BODY


def ask(world: World, host: str, data: bytes) -> bytes:
    with world.tls(host) as connection:
        connection.sendall(data)
        return read_to_end(connection)


def test_a_providers_host_is_read_and_its_request_stays_as_it_is(world: World) -> None:
    sent = request("good.test")
    assert ask(world, "good.test", sent).startswith(b"HTTP/1.1 200")
    assert world.good.last.head + world.good.last.body == sent
    [record] = world.records(method="POST")
    assert (record.source, record.action, record.host) == ("forward", "passthrough", "good.test")
    assert (record.run_label, record.run_command) == ("test-run", "agent -p")
    assert record.ja4


def test_a_sentinel_is_replaced_at_its_own_host_alone(world: World) -> None:
    ask(world, "good.test", request("good.test", "sk-ccproxy-good"))
    assert world.good.last.header("x-api-key") == CANARY
    assert world.records(method="POST")[0].provider == "good"


def test_a_sentinel_to_another_name_in_the_tunnel_stays(world: World) -> None:
    with world.tls("other.test", name="good.test") as connection:
        connection.sendall(request("good.test", "sk-ccproxy-good"))
        assert connection.recv(100)
    everything = [*world.other.requests, *world.good.requests]
    assert everything, "it was forwarded"
    assert CANARY not in "".join(seen.head.decode() for seen in everything)


def test_another_host_is_tunnelled_unread_and_listed(world: World) -> None:
    with world.tls("other.test", ca=world.authority_file) as connection:
        connection.sendall(request("other.test"))
        assert read_exactly(connection, 12) == b"HTTP/1.1 200"
    [record] = world.records(host="other.test")
    assert (record.method, record.action, record.source) == ("TCP", "passthrough", "forward")
    assert (record.run_label, record.path) == ("test-run", "other.test:443")
    assert not any(side.body for side in record.sides)


def test_all_hosts_are_read_where_the_run_asks_for_it(world: World) -> None:
    url = world.lease("curious", reads_all=True)
    with httpx.Client(proxy=url, verify=str(CA_FILE), trust_env=False) as client:
        assert client.get("https://other.test/health").status_code == 200
    assert world.records(method="GET")[0].run_label == "curious"


def test_plain_http_is_recorded_and_the_credentials_stay_here(world: World) -> None:
    with httpx.Client(proxy=world.url, trust_env=False) as client:
        assert client.get("http://plain.test/health?b=c").status_code == 200
    seen = world.plain.last
    assert seen.target == "/health?b=c" and seen.header("host") == "plain.test"
    assert seen.header("proxy-authorization") is None
    [record] = world.records(method="GET")
    assert record.client_url == "http://plain.test/health?b=c"
    assert world.password not in repr(record.sides)


def test_one_connection_carries_several_plain_requests(world: World) -> None:
    ask_plain = f"GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n{world.authorization()}"
    with world.connection() as connection:
        for _ in range(2):
            connection.sendall(f"{ask_plain}\r\n".encode())
            # Head and body may come in two pieces, so one recv is not a whole answer.
            answer = HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200 and answer.read()
    assert len(world.plain.requests) == 2


def test_a_stream_arrives_piece_by_piece(world: World) -> None:
    world.good.scripts["/v1/messages"] = Script(
        headers=(("content-type", "text/event-stream"),),
        pieces=(b"data: 1\n\n", b"data: 2\n\n"),
        pause_s=0.05,
    )
    got = ask(world, "good.test", request("good.test"))
    assert b"data: 1\n\n" in got and b"data: 2\n\n" in got
    assert world.records(method="POST")[0].state == "done"


def test_http2_on_both_sides(world: World) -> None:
    fields = [(":method", "POST"), (":path", "/v1/messages"), (":scheme", "https")]
    with world.tls("two.test", alpn=("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        answer = ask_h2(connection, [*fields, (":authority", "two.test")], BODY)
    assert answer.status == 200
    [record] = world.records(host="two.test", method="POST")
    assert record.sides[0].http_version == record.sides[-1].http_version == "HTTP/2.0"


def test_a_websocket_goes_through(world: World) -> None:
    world.good.scripts["/echo"] = Script(echo=True)
    context = ssl.create_default_context(cafile=CA_FILE)
    with connect("wss://good.test/echo", sock=world.tunnel("good.test"), ssl=context) as socket:
        socket.send("hello")
        assert socket.recv(timeout=PATIENCE_S) == "hello"
    [record] = world.records(host="good.test")
    assert (record.status_code, record.run_label) == (101, "test-run")


def test_a_server_that_is_not_there(world: World) -> None:
    status, _ = world.say(
        f"CONNECT nothing.invalid:443 HTTP/1.1\r\n{world.authorization()}\r\n".encode()
    )
    assert status == 502
    [record] = world.records(host="nothing.invalid")
    assert record.action == "refused" and "not found" in record.error


def test_the_listener_ends_with_its_run(world: World) -> None:
    url = world.lease("short")
    port = httpx.URL(url).port
    with world.tunnel("other.test", url=url) as tunnel:
        world.leases.pop().close()
        tunnel.settimeout(PATIENCE_S)
        assert tunnel.recv(100) == b""
    with pytest.raises(OSError):
        world.connection(port).close()
