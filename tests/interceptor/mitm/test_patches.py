"""Trip-wires for mitmproxy's and h11's insides, and the table of patches that relies on them.

When one of these fails after an upgrade, read the module that the test names again; see
docs/decisions/005-mitmproxy-patches.md.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from operator import attrgetter
from typing import Any

import h11
import httpx
import pytest
from h11._readers import ChunkedReader, ContentLengthReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import addonmanager, connection, flow, hooks
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.coretypes.multidict import _MultiDict
from mitmproxy.http import Headers, MessageData
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer, mode_servers, server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http1, _http2
from mitmproxy.proxy.mode_servers import ReverseInstance, WireGuardServerInstance

from interceptor.addons.capture.dns import RunDns
from interceptor.addons.tls import ProviderTls
from interceptor.config.snapshot.store import ConfigStore
from interceptor.master import mitmproxy_addons
from interceptor.mitm import patches, replay_stream
from interceptor.mitm.patches import ADDON_SUBCLASSES, PATCHES, Patch
from interceptor.mitm.replacement import Replacement
from interceptor.operate.stock import Why, stock_from
from providers.base.errors import ConfigError
from tests.environment import ROOT
from tests.fakes.upstream import Upstream, sse
from tests.interceptor.proxied import provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

SPEED: frozenset[Why] = frozenset({"speed"})
source_of = inspect.getsource


@pytest.fixture(autouse=True)
def unpatched() -> Iterator[None]:
    """mitmproxy as it is; the patches of other tests come back afterwards."""
    before = list(patches._installed)
    patches.uninstall()
    yield
    patches.uninstall()
    for patch in before:
        patch.install()
    patches._installed[:] = before


def at(path: str) -> Any:
    """What a dotted path leads to, as its owner stores it."""
    names = path.split(".")
    for size in range(len(names) - 1, 0, -1):
        try:
            module = import_module(".".join(names[:size]))
        except ModuleNotFoundError:
            continue
        owner = attrgetter(".".join(names[size:-1]))(module) if names[size:-1] else module
        return vars(owner).get(names[-1], "inherited")
    raise AssertionError(path)


def replaced() -> dict[str, Any]:
    """Every attribute that the table names, as it is now."""
    paths = [path for patch in PATCHES for path in patch.replaces if not path.startswith("log:")]
    found = {path: at(path) for path in paths}
    found["filters"] = list(logging.getLogger("mitmproxy.proxy.mode_servers").filters)
    return found


# The versions


def test_the_versions() -> None:
    assert version("mitmproxy").startswith("12.2."), "follow decision 005 before you raise this"
    assert version("h11") >= "0.16"


SOURCES = {
    "mitmproxy.addonmanager.AddonManager.handle_lifecycle": "38c97e792d1db5b7",
    "mitmproxy.addonmanager.AddonManager.trigger_event": "b763c59bc4992e33",
    "mitmproxy.addonmanager.AddonManager.invoke_addon": "13180532440359de",
    "mitmproxy.proxy.server.ConnectionHandler.server_event": "a2b42657ebe8bf6d",
    "mitmproxy.proxy.server.ConnectionHandler.hook_task": "9ac7970160526268",
    "mitmproxy.proxy.mode_servers.ProxyConnectionHandler.handle_hook": "9f8b52fd798203c9",
    "mitmproxy.proxy.server.ConnectionHandler.handle_connection": "95c3f93e9824e527",
    "mitmproxy.proxy.server.ConnectionHandler.drain_writers": "6b57434604561e3e",
    "mitmproxy.proxy.layer.Layer.handle_event": "fd88b0fb09ceddbb",
    "mitmproxy.proxy.layer.NextLayer.handle_event": "4e9724eb64588ac2",
    "mitmproxy.http.MessageData.__post_init__": "f65088e210cd9cc1",
    "mitmproxy.proxy.context.Context.fork": "cad9374a0689f10a",
    "mitmproxy.proxy.layers.http._http1.make_error_response": "03ce75ab62e8e78b",
    "mitmproxy.proxy.layers.http._http2.Http2Connection._handle_event": "a7f4a7a71d31074b",
    "mitmproxy.proxy.layers.http._http1.make_body_reader": "9b076acda459637b",
    "mitmproxy.proxy.layers.http._http1.Http1Server.send": "cc218a1337c0f5cf",
    "mitmproxy.proxy.layers.http._http1.Http1Server.read_headers": "3fe0945216bcf7bc",
    "mitmproxy.proxy.layers.http._http1.Http1Client.read_headers": "415454c5fa8b5981",
    "mitmproxy.proxy.layers.http._http1.Http1Connection.read_body": "aece271029af36e4",
    "mitmproxy.proxy.layers.http._http1.Http1Connection.wait": "c99d0494a840a2b6",
    "mitmproxy.proxy.layers.http.HttpStream.state_wait_for_request_headers": "3706d5d5ce01dcd4",
    "mitmproxy.proxy.layers.http.HttpStream.state_consume_request_body": "45459c1bbd8bdb1a",
    "mitmproxy.proxy.layers.http.HttpStream.state_wait_for_response_headers": "10e32e91b2948164",
    "mitmproxy.proxy.layers.http.HttpStream.state_stream_response_body": "3fb6320300d3ddd5",
    "mitmproxy.proxy.layers.http.HttpStream.handle_protocol_error": "59fc3b2eeeabf63a",
    "mitmproxy.proxy.layers.http.HttpStream.check_killed": "368cad352d1e82b6",
    "mitmproxy.proxy.layers.http.HttpStream.flow_done": "ad9969744785c572",
    "mitmproxy.proxy.layers.http.HttpStream.make_server_connection": "ddc7bc72f4d2fbc7",
    "mitmproxy.proxy.layers.http.HttpStream.passthrough": "a6df32aba1ae251a",
    "mitmproxy.proxy.layers.http.HttpLayer.event_to_child": "1095f6e1581d1780",
    "mitmproxy.proxy.layers.websocket.WebsocketLayer.relay_messages": "2d451252c7287da0",
    "mitmproxy.proxy.mode_servers.AsyncioServerInstance.listen": "7670a9038b44170d",
    "mitmproxy.proxy.mode_servers.WireGuardServerInstance.make_top_layer": "d9e2d4ff243d5e71",
    "mitmproxy.addons.next_layer.NextLayer._get_client_hello": "6365f5a13cc5642a",
    "h11._readers.ChunkedReader.__call__": "2618d847a89a1505",
    "h11._readers.ContentLengthReader.__call__": "83205782bcb1dcf6",
}
"""Digests of what ours replace or retell: a fix in one of them may be needed in ours too."""


@pytest.mark.parametrize("path", SOURCES)
def test_what_ours_retell_has_not_changed(path: str) -> None:
    source = source_of(found_at(path))
    assert sha256(source.encode()).hexdigest()[:16] == SOURCES[path], (
        f"read the new {path}, see whether ours needs the change, then renew its digest"
    )


def found_at(path: str) -> Any:
    """What a dotted path leads to, inherited or not."""
    names = path.split(".")
    for size in range(len(names) - 1, 0, -1):
        try:
            return attrgetter(".".join(names[size:]))(import_module(".".join(names[:size])))
        except ModuleNotFoundError:
            continue
    raise AssertionError(path)


# The table


def test_everything_comes_back_as_the_very_object() -> None:
    before = replaced()
    patches.install()
    during = replaced()
    assert all(during[path] is not before[path] for path in before)
    patches.uninstall()
    after = replaced()
    assert all(after[path] is before[path] or after[path] == before[path] for path in before)
    assert {path for path in before if before[path] == "inherited"} == {
        "mitmproxy.http.Headers.get",
        "mitmproxy.http.Headers.__getitem__",
        "mitmproxy.http.Headers.__contains__",
        "mitmproxy.proxy.mode_servers.ReverseInstance.listen",
    }


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.name for patch in PATCHES])
def test_each_patch_installs_and_uninstalls_by_itself(patch: Patch) -> None:
    before = replaced()
    for _ in range(2):
        patch.install()
    assert replaced() != before
    for _ in range(2):
        patch.uninstall()
    after = replaced()
    assert all(after[path] is before[path] or after[path] == before[path] for path in before)


def test_installing_twice_or_differently_is_like_installing_once() -> None:
    patches.install()
    everything = replaced()
    patches.install()
    assert replaced() == everything
    patches.install(stock=SPEED)
    patches.install()
    assert replaced() == everything


def test_without_the_speed_patches_their_names_are_mitmproxys_own() -> None:
    before = replaced()
    patches.install(stock=SPEED)
    kept = {path for patch in PATCHES if patch.why != "speed" for path in patch.replaces}
    after = replaced()
    untouched = [path for path in before if path not in kept and path != "filters"]
    assert len(untouched) == 13
    assert all(after[path] is before[path] or after[path] == before[path] for path in untouched)
    assert all(after[path] is not before[path] for path in kept if path in before)


def test_a_patch_below_another_one_cannot_be_undone_first() -> None:
    below = Replacement({"mitmproxy.proxy.layers.http.HttpStream": type("A", (), {})})
    above = Replacement({"mitmproxy.proxy.layers.http.HttpStream": type("B", (), {})})
    original = vars(http)["HttpStream"]
    below.install()
    above.install()
    with pytest.raises(RuntimeError, match="undo the later replacement first"):
        below.uninstall()
    above.uninstall()
    below.uninstall()
    assert vars(http)["HttpStream"] is original


def test_a_path_that_mitmproxy_has_moved_replaces_nothing() -> None:
    original = vars(http)["HttpStream"]
    moved = Replacement({"mitmproxy.proxy.layers.http.HttpStream": 1, "mitmproxy.http.Gone": 2})
    with pytest.raises(AttributeError):
        moved.install()
    assert vars(http)["HttpStream"] is original and not moved.is_installed


def test_the_table_in_the_documentation_is_this_table() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (speed|safety|feature) \| ([^|]+) \|", page, re.MULTILINE)
    documented = {name.strip(): (why, re.findall(r"`([^`]+)`", text)) for name, why, text in rows}
    ours = {patch.name: (patch.why, [*map(short, patch.replaces)]) for patch in PATCHES}
    ours |= {
        each.ours.rpartition(".")[2]: (each.why, [short(each.replaces)])
        for each in ADDON_SUBCLASSES
    }
    assert documented == ours
    assert list(documented) == list(ours), "in the order of the table"


def short(path: str) -> str:
    return path.removeprefix("mitmproxy.")


def test_every_patch_is_in_the_decision_record() -> None:
    record = (ROOT / "docs/decisions/005-mitmproxy-patches.md").read_text()
    assert [patch.name for patch in PATCHES if f"**{patch.name}**" not in record] == []
    assert [
        each.ours for each in ADDON_SUBCLASSES if each.ours.rpartition(".")[2] not in record
    ] == []


def test_addons_that_take_the_place_of_mitmproxys() -> None:
    chain_dns: Any = RunDns.__new__(RunDns)
    addons = [type(each) for each in mitmproxy_addons(ConfigStore(snapshot()), chain_dns)]
    for each in ADDON_SUBCLASSES:
        ours, theirs = at(each.ours), at(each.replaces)
        assert issubclass(ours, theirs) and ours in addons and theirs not in addons
    assert {ProviderTls, RunDns} == {at(each.ours) for each in ADDON_SUBCLASSES}


# The switch


@pytest.mark.parametrize(("value", "kinds"), [(None, set()), ("", set()), (" speed ", {"speed"})])
def test_the_variable(value: str | None, kinds: set[str]) -> None:
    assert stock_from({} if value is None else {"CCPROXY_STOCK": value}) == kinds


@pytest.mark.parametrize("value", ["safety", "all", "speed,safety", "1", "Speed"])
def test_another_value_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="the only value is speed"):
        stock_from({"CCPROXY_STOCK": value})


def test_the_log_says_that_they_are_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        patches.install(stock=SPEED)
    assert "mitmproxy runs without ccproxy's speed patches" in caplog.text
    caplog.clear()
    patches.install()
    assert caplog.text == ""


@pytest.mark.parametrize("left_out", [SPEED, frozenset()], ids=["speed", "none"])
def test_requests_and_streams_pass_either_way(left_out: frozenset[Why]) -> None:
    with Upstream() as upstream:
        events = [b"data: %d\n\n" % number for number in range(30)]
        upstream.scripts["/v1/messages/stream"] = sse(*events)
        headers = {"x-api-key": "sk-ccproxy-up"}
        with (
            running_proxy(snapshot(provider("up", upstream.port)), stock=left_out) as proxy,
            httpx.Client(base_url=proxy.url, headers=headers, timeout=PATIENCE_S) as client,
        ):
            addons = vars(addonmanager)["AddonManager"]
            assert (addons.__module__ == "mitmproxy.addonmanager") == bool(left_out)
            for _ in range(2):
                answer = client.post("/v1/messages", json={"model": "m"})
                assert answer.status_code == 200, answer.text
                assert proxy.sink.of(answer).state == "done"
                stream = client.post("/v1/messages/stream", json={"model": "m", "stream": True})
                assert stream.content == b"".join(events)
                assert proxy.sink.of(stream).event_count == len(events)


# interceptor/mitm/addon_dispatch.py


def test_the_addon_manager_is_looked_up_by_name() -> None:
    assert "addonmanager.AddonManager(self)" in source_of(Master.__init__)
    for name in ("register", "remove", "clear", "handle_lifecycle", "trigger_event"):
        assert callable(getattr(addonmanager.AddonManager, name))


def test_the_dispatch_does_what_mitmproxys_does() -> None:
    assert "fields(self)" in source_of(hooks.Hook.args)
    assert "hooks.UpdateHook([message])" in source_of(addonmanager.AddonManager.handle_lifecycle)
    assert "AddonHalt" in source_of(addonmanager.AddonManager.trigger_event)


# interceptor/mitm/connection_handler.py


def test_the_connection_handler_is_looked_up_by_name() -> None:
    assert "ProxyConnectionHandler(" in source_of(mode_servers.ServerInstance.handle_stream)
    handled = source_of(server.ConnectionHandler.server_event)
    for kind in ("OpenConnection", "RequestWakeup", "ConnectionCommand", "SendData", "Log"):
        assert f"commands.{kind}" in handled, kind
    assert handled.count("isinstance(command") == 8, "another kind of command"
    for name in ("open_connection", "close_connection", "wakeup", "log", "handle_hook"):
        assert callable(getattr(mode_servers.ProxyConnectionHandler, name))
    made = source_of(server.ConnectionHandler.__init__)
    for name in ("transports", "timeout_watchdog", "wakeup_timer", "layer", "client"):
        assert f"self.{name}" in made, name


def test_hooks_are_awaited_as_ours_are() -> None:
    source = source_of(mode_servers.ProxyConnectionHandler.handle_hook)
    assert (
        source.index("disarm()") < source.index("handle_lifecycle") < source.index("wait_for_res")
    )


def test_asyncio_keeps_the_limit_of_a_stream_where_we_set_it() -> None:
    assert vars(asyncio.StreamReader(limit=7, loop=asyncio.new_event_loop()))["_limit"] == 7


# interceptor/mitm/events/direct_reads.py


def test_a_stream_takes_data_by_the_method_that_we_replace() -> None:
    received = source_of(asyncio.StreamReaderProtocol.data_received)
    assert "reader.feed_data(data)" in received
    waits = source_of(asyncio.StreamReader._wait_for_data)  # type: ignore[attr-defined]
    assert "self._waiter = self._loop.create_future()" in waits
    reads = source_of(asyncio.StreamReader.read)
    assert "if not self._buffer and not self._eof:" in reads, "a task waits for an empty buffer"


# interceptor/mitm/events/layer_dispatch.py


def test_a_layer_that_waits_is_known_by_two_attributes() -> None:
    assert set(layer.Paused._fields) == {"command", "generator"}
    assert "self._paused" in source_of(layer.Layer.handle_event)
    assert "self._handle" in source_of(layer.NextLayer.handle_event)


# interceptor/mitm/quick_messages.py


def test_headers_are_looked_up_where_we_replace_it() -> None:
    assert "get" not in vars(Headers) and Headers.get is Mapping.get
    assert Headers.__getitem__ is _MultiDict.__getitem__
    assert Headers.__contains__ is Mapping.__contains__
    assert "self.fields" in source_of(_MultiDict.get_all)
    assert isinstance(Headers([(b"a", b"b")]).fields, tuple)


def test_messages_and_contexts_are_made_as_ours_are() -> None:
    checks = source_of(MessageData.__post_init__)
    assert "check_option_type" in checks and checks.count("\n") == 4, "it does more now"
    fork = source_of(Context.fork)
    assert fork.count("ret.") == 2 and "layers.copy()" in fork
    assert source_of(Context.__init__).count("self.") == 4


def test_ids_come_from_the_module_uuid() -> None:
    assert "uuid.uuid4()" in source_of(flow.Flow.__init__)
    assert "uuid.uuid4()" in source_of(connection)
    for module in (flow, connection):
        assert set(re.findall(r"\buuid\.(\w+)", source_of(module))) <= {"uuid4", "UUID"}


# interceptor/mitm/error_page.py


def test_error_pages_are_looked_up_by_name() -> None:
    assert "make_error_response(status, event.message)" in source_of(_http1.Http1Server.send)
    assert "Http2Server(self.context" in source_of(http.HttpLayer._handle_event)


# interceptor/mitm/http1/, http_stream.py


def test_the_layers_are_looked_up_by_name() -> None:
    assert "Http1Server(self.context" in source_of(http.HttpLayer._handle_event)
    assert "Http1Client(self.context" in source_of(http.HttpClient._handle_event)
    assert "HttpStream(ctx, stream_id)" in source_of(http.HttpLayer.make_stream)


def test_what_is_overridden_is_called_where_it_was() -> None:
    headers = source_of(http.HttpStream.state_wait_for_request_headers)
    hook = headers.index("HttpRequestHeadersHook(self.flow)")
    killed = headers.index("self.check_killed(True)")
    assert killed > hook > headers.index("self.check_body_size(True)")
    assert headers.index("100-continue") > killed
    body = source_of(http.HttpStream.state_consume_response_body)
    assert "self.check_body_size(False)" in body and "response_body_buf" in body
    for name in ("read_headers", "read_body", "send", "mark_done"):
        assert callable(getattr(_http1.Http1Server, name))
        assert callable(getattr(_http1.Http1Client, name))
    for name in ("wait", "done", "state", "request", "response", "stream_id"):
        assert hasattr(_http1.Http1Server, name), name
    for name in ("request_done", "response_done"):
        assert getattr(_http1.Http1Server, name) is False
    for name in ("state_stream_response_body", "state_errored", "handle_protocol_error"):
        assert callable(getattr(http.HttpStream, name)), name


def test_a_body_is_read_into_the_buffer_before_its_state() -> None:
    source = source_of(_http1.Http1Connection._handle_event)
    assert source.index("self.buf += event.data") < source.index("self.state(event)")
    reader = ContentLengthReader(5)
    assert vars(reader) == {"_length": 5, "_remaining": 5}


def test_a_layer_tells_whether_it_waits() -> None:
    assert "self._paused = None" in source_of(layer.Layer.__init__)
    streamed = source_of(http.HttpStream.state_stream_response_body)
    assert "self.flow.response.stream(event.data)" in streamed
    assert "store_streamed_bodies" in streamed


def test_the_chunk_reader_keeps_its_state_where_we_look() -> None:
    reader, buffer = ChunkedReader(), ReceiveBuffer()
    assert (reader._bytes_in_chunk, reader._bytes_to_discard) == (0, b"")
    assert reader._reading_trailer is False
    buffer += b"5\r\nhel"
    part = reader(buffer)
    assert isinstance(part, h11.Data) and (part.data, reader._bytes_in_chunk) == (b"hel", 2)
    buffer += b"lo"
    reader(buffer)
    assert reader._bytes_to_discard == b"\r\n"
    assert isinstance(buffer._data, bytearray)


def test_body_readers_are_made_by_name() -> None:
    for kind in (_http1.Http1Server, _http1.Http1Client):
        assert "make_body_reader(" in source_of(kind.read_headers)
    assert isinstance(_http1.make_body_reader(None), ChunkedReader)


# interceptor/mitm/replay_stream.py


def test_what_the_replay_calls_and_replaces_is_there() -> None:
    names = ("state_wait_for_response_headers", "make_server_connection", "check_killed")
    for name in names:
        assert name in vars(http.HttpStream), name
    state = source_of(http.HttpStream.state_wait_for_response_headers)
    assert "self.server_state = self.state_consume_response_body" in state
    mapping = source_of(_http2.Http2Client._handle_event)
    assert "our_stream_id.get(event.stream_id" in mapping


def test_a_connection_is_free_again_when_its_response_has_been_read() -> None:
    """The end of the message comes first. What marks the connection as free runs before the event
    that the hook is done.
    """
    source = source_of(_http1.Http1Connection.read_body)
    assert source.index("ReceiveEndOfMessage") < source.index("self.mark_done")


def test_a_timer_ends_in_the_layer_that_asked_for_it() -> None:
    assert "commands.RequestWakeup" in source_of(http.HttpLayer.event_to_child)
    assert issubclass(events.Wakeup, events.CommandCompleted)
    assert commands.RequestWakeup.blocking is False
    # An instance's own `_handle_event` is what the layer calls.
    assert "self._handle_event(event)" in source_of(layer.Layer.handle_event)


def test_the_events_are_known() -> None:
    assert hooks.all_hooks["held"] is replay_stream.HeldHook


# interceptor/mitm/listener.py, interceptor/wireguard


def test_listeners_are_opened_by_a_method_that_we_replace() -> None:
    assert "self._servers = await self.listen(host, port)" in source_of(ReverseInstance._start)
    assert inspect.iscoroutinefunction(ReverseInstance.listen)


def test_the_first_layer_of_a_captured_connection() -> None:
    assert "self.make_top_layer(" in source_of(mode_servers.ServerInstance.handle_stream)
    assert "make_top_layer" in vars(WireGuardServerInstance)
    source = source_of(NextLayer)
    assert "self._get_client_hello(context, data_client)" in source
    assert isinstance(vars(NextLayer)["_get_client_hello"], staticmethod)
    assert "self._ignore_connection(context, data_client, data_server)" in source


def test_mitmproxy_lets_nobody_move_an_open_connection() -> None:
    """That is why two addons write the address of one into its attributes."""
    assert "address" in source_of(connection.Server.__setattr__)
    made = connection.Server(address=("a.example", 1))
    vars(made)["address"] = ("b.example", 2)
    assert made.address == ("b.example", 2)
