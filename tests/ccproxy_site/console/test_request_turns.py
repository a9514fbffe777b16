"""Turns of the console's requests, and clients that leave before, during and after theirs."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse

from ccproxy_site.console.serving.request_turns import RequestTurns


class Client:
    """The two ends of a request for Django, whose client stays until `leave`."""

    def __init__(self, name: str = "") -> None:
        self.scope = {"type": "http", "method": "GET", "path": f"/{name}", "headers": []}
        self.sent: list[str] = []
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message["type"])

    def of(self, application: Any) -> asyncio.Task[None]:
        return asyncio.create_task(application(self.scope, self.receive, self.send))


class Pages(ASGIHandler):
    """Django with one page, which waits for `go_on`."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.go_on = asyncio.Event()
        self.second = asyncio.Event()
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        del is_async

    async def get_response_async(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request.path)
        if len(self.seen) == 2:
            self.second.set()
        await self.go_on.wait()
        return HttpResponse("page")


async def rounds(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_who_leaves_while_waiting_costs_nothing(caplog) -> None:
    async def main() -> list[str]:
        pages = Pages()
        application = RequestTurns(pages, at_once=1)
        first, *leaving, last = [Client(str(number)) for number in range(50)]
        tasks = [client.of(application) for client in (first, *leaving, last)]
        await rounds()
        for client in leaving:
            client.leave()
        await rounds()
        assert all(task.done() for task in tasks[1:-1])
        assert not tasks[-1].done()
        pages.go_on.set()
        await asyncio.gather(*tasks)
        assert not any(client.sent for client in leaving)
        assert first.sent == last.sent == ["http.response.start", "http.response.body"]
        return pages.seen

    assert asyncio.run(main()) == ["/0", "/49"]
    assert not caplog.records


def test_who_left_before_its_turn_was_looked_at() -> None:
    async def main() -> list[str]:
        pages = Pages()
        client = Client()
        client.leave()
        await client.of(RequestTurns(pages))
        assert not client.sent
        return pages.seen

    assert asyncio.run(main()) == []


def test_turns_come_in_order_and_come_back() -> None:
    async def main() -> list[str]:
        pages = Pages()
        application = RequestTurns(pages, at_once=2)
        clients = [Client(str(number)) for number in range(5)]
        tasks = [client.of(application) for client in clients]
        await rounds()
        assert pages.seen == ["/0", "/1"]
        # One that has begun keeps its turn when its client leaves, and gives it back at the end.
        clients[0].leave()
        await rounds()
        assert pages.seen == ["/0", "/1"]
        pages.go_on.set()
        await asyncio.gather(*tasks)
        await Client("again").of(application)
        return pages.seen

    assert asyncio.run(main()) == ["/0", "/1", "/2", "/3", "/4", "/again"]


def test_a_long_request_lends_its_turn() -> None:
    async def main() -> None:
        pages = Pages()
        application = RequestTurns(pages, at_once=1, lend_after_s=0.01)
        tasks = [Client(str(number)).of(application) for number in range(2)]
        await pages.second.wait()
        pages.go_on.set()
        await asyncio.gather(*tasks)
        # Lent and ended: there is one turn still, not two.
        pages.go_on.clear()
        application_turns = [Client(str(number)).of(application) for number in range(2, 4)]
        await rounds()
        assert pages.seen == ["/0", "/1", "/2"]
        pages.go_on.set()
        await asyncio.gather(*application_turns)

    asyncio.run(main())


def test_a_cancelled_request_gives_its_turn_back() -> None:
    async def main() -> list[str]:
        pages = Pages()
        application = RequestTurns(pages, at_once=1)
        tasks = [Client(str(number)).of(application) for number in range(3)]
        await rounds()
        tasks[0].cancel()
        tasks[1].cancel()
        pages.go_on.set()
        await tasks[2]
        return pages.seen

    assert asyncio.run(main()) == ["/0", "/2"]


def test_who_leaves_a_running_page_is_heard_late() -> None:
    """Django cancels a view whose client left, and that hangs; so it hears of it late."""
    heard: list[str] = []
    client = Client()

    async def view(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        listening = asyncio.create_task(receive())
        client.leave()
        await rounds()
        heard.append("working" if not listening.done() else "cancelled")
        await send({"type": "http.response.start"})
        heard.append((await listening)["type"])

    async def main() -> None:
        await client.of(RequestTurns(view))

    asyncio.run(main())
    assert heard == ["working", "http.disconnect"]
    assert client.sent == ["http.response.start"]


def test_a_body_that_is_cut_ends_the_request_at_once() -> None:
    heard: list[str] = []

    async def view(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    async def serve() -> None:
        sent: list[dict[str, Any]] = [
            {"type": "http.request", "more_body": True},
            {"type": "http.disconnect"},
        ]
        messages = iter(sent)

        async def receive() -> dict[str, Any]:
            return next(messages)

        await RequestTurns(view)({"type": "http"}, receive, receive)

    asyncio.run(serve())
    assert heard == ["http.request", "http.disconnect"]
