"""Questions and answers over a socket pair; recorders that end, come back, fail or do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from interceptor.recorder.answering import Answers, Handler
from interceptor.recorder.asking import (
    RecorderAway,
    RecorderLost,
    RecorderQuestions,
    RecorderRefused,
)
from tests.interceptor.recorder.conversation import ProxyEnd


class Asked:
    """Handlers that note what happens to them."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = 0
        self.given_back = 0

    async def echo(self, **values: Any) -> dict[str, Any]:
        return values

    async def wait(self) -> dict[str, Any]:
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {"waited": True}

    async def refuse(self) -> dict[str, Any]:
        raise RecorderRefused("That is not for you.")

    async def fail(self, token: str) -> dict[str, Any]:
        raise KeyError(token[:0])

    async def give_back(self) -> None:
        self.given_back += 1

    def answers(self, say: Any) -> Answers:
        handlers: dict[str, Handler] = {
            "echo": self.echo,
            "wait": self.wait,
            "refuse": self.refuse,
            "fail": self.fail,
        }
        return Answers(handlers, say, self.give_back)


@pytest.fixture
async def asked() -> Asked:
    return Asked()


@pytest.fixture
async def proxy(asked: Asked) -> AsyncIterator[ProxyEnd]:
    made = ProxyEnd(asked.answers)
    await made.connect()
    yield made
    await made.close()


async def test_it_works(proxy: ProxyEnd) -> None:
    values = {"text": "ü\n", "bytes": b"\x00\xff", "none": None, "list": [1, 2.5, {"a": True}]}
    assert await proxy.questions.ask("echo", **values) == values


async def test_a_slow_answer_keeps_no_other_waiting(proxy: ProxyEnd, asked: Asked) -> None:
    slow = asyncio.create_task(proxy.questions.ask("wait"))
    await asked.began.wait()
    found = await asyncio.gather(*(proxy.questions.ask("echo", n=n) for n in range(100)))
    assert found == [{"n": n} for n in range(100)]
    assert not slow.done()
    asked.go_on.set()
    assert await slow == {"waited": True}


async def test_a_refusal_crosses_as_a_sentence(proxy: ProxyEnd) -> None:
    with pytest.raises(RecorderRefused, match="That is not for you"):
        await proxy.questions.ask("refuse")
    with pytest.raises(RecorderRefused, match="no question “other”"):
        await proxy.questions.ask("other")


async def test_a_failed_handler_is_logged_without_values(
    proxy: ProxyEnd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(RecorderRefused, match=r"the recorder failed \(KeyError\)"):
        await proxy.questions.ask("fail", token="canary-4711")
    with pytest.raises(RecorderRefused, match="TypeError"):
        await proxy.questions.ask("fail", nonsense="canary-4711")
    assert caplog.text.count("the question fail of a proxy could not be answered") == 2
    assert "canary" not in caplog.text
    assert await proxy.questions.ask("echo") == {}


async def test_a_recorder_that_ends_answers_nothing(proxy: ProxyEnd, asked: Asked) -> None:
    question = asyncio.create_task(proxy.questions.ask("wait"))
    await asked.began.wait()
    assert proxy.questions.is_here
    await proxy.end_recorder()
    with pytest.raises(RecorderLost):
        await question
    assert not proxy.questions.is_here
    assert (asked.cancelled, asked.given_back) == (1, 1)


async def test_the_end_of_a_proxy_ends_its_handlers(proxy: ProxyEnd, asked: Asked) -> None:
    question = asyncio.create_task(proxy.questions.ask("wait"))
    await asked.began.wait()
    await proxy.leave()
    assert (asked.cancelled, asked.given_back) == (1, 1)
    with pytest.raises(RecorderLost):
        await question


async def test_a_question_waits_for_the_next_recorder(proxy: ProxyEnd) -> None:
    await proxy.end_recorder()
    question = asyncio.create_task(proxy.questions.ask("echo", n=1))
    await asyncio.sleep(0)
    assert not question.done()
    await proxy.connect()
    assert await question == {"n": 1}


async def test_without_a_recorder_a_question_fails_after_a_while() -> None:
    questions = RecorderQuestions(patience_s=0.01)
    with pytest.raises(RecorderAway) as caught:
        await questions.ask("echo")
    assert not isinstance(caught.value, RecorderLost)


async def test_a_late_reply_to_a_question_that_was_given_up(proxy: ProxyEnd, asked: Asked) -> None:
    question = asyncio.create_task(proxy.questions.ask("wait"))
    await asked.began.wait()
    question.cancel()
    await asyncio.wait({question})
    asked.go_on.set()
    # Replies come in order: that of the first question has been heard by then.
    assert await proxy.questions.ask("echo", n=1) == {"n": 1}
    assert proxy.questions._waiting == {}


async def test_a_second_connection_replaces_the_first(proxy: ProxyEnd, asked: Asked) -> None:
    question = asyncio.create_task(proxy.questions.ask("wait"))
    await asked.began.wait()
    first = proxy._recorder
    await proxy.connect()
    with pytest.raises(RecorderLost):
        await question
    assert await proxy.questions.ask("echo", n=1) == {"n": 1}
    assert first is not None
    await first[0].close()
    # The end of the first connection is not that of the second.
    await asyncio.wait(first[2])
    assert proxy.questions.is_here
