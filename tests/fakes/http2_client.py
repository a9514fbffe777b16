"""A client of HTTP/2 that sends exactly the headers it is given, on a connection of the test's."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset

Fields = list[tuple[str, str]]


@dataclass
class H2Answer:
    """What came back on the one stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def ask_h2(connection: socket.socket, headers: Fields, body: bytes) -> H2Answer:
    """Send one request, pseudo headers included, and read its response."""
    config = H2Configuration(
        client_side=True,
        header_encoding="utf-8",
        # A client may leave out :authority or send a Host beside it.
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    h2 = H2Connection(config)
    h2.initiate_connection()
    stream = h2.get_next_available_stream_id()
    h2.send_headers(stream, headers, end_stream=not body)
    if body:
        h2.send_data(stream, body, end_stream=True)
    answer = H2Answer()
    connection.sendall(h2.data_to_send())
    while data := connection.recv(65536):
        for event in h2.receive_data(data):
            if isinstance(event, ResponseReceived):
                answer.headers = {str(name): str(value) for name, value in event.headers}
                answer.status = int(answer.headers.pop(":status"))
            elif isinstance(event, DataReceived):
                answer.body += event.data
                h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                return answer
            elif isinstance(event, StreamReset | ConnectionTerminated):
                raise AssertionError(f"no response: {event}")
        connection.sendall(h2.data_to_send())
    raise AssertionError("the connection ended without a response")
