"""Reasoning that one proxy got is there for another one, and after a start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interceptor.models import CarriedReasoning
from interceptor.reasoning_rows import LIFETIME, DatabaseReasoning, keep, recall
from interceptor.recorder.asking import RecorderQuestions
from interceptor.recorder.database_answers import database_answers
from interceptor.recorder.remote_reasoning import RemoteReasoning
from interceptor.resend.grant_store import DatabaseGrants
from interceptor.transform.carried_reasoning import ReasoningMemory, digest_of
from providers.credentials.lent_logins import LentLogins
from providers.wire.core.ir import Thinking
from providers.wire.rules.replay import ReplayStore
from tests.interceptor.recorder.conversation import ProxyEnd
from tests.providers.wire.asking import A, C, G, call, user

pytestmark = pytest.mark.django_db(transaction=True)

THOUGHT = Thinking("sum", "SIG==", A)
HISTORY = {
    "messages": [
        user("go"),
        {"role": "assistant", "content": None, "tool_calls": [call("call_1"), call("call_2")]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
    ]
}


@pytest.fixture
async def proxy() -> AsyncIterator[ProxyEnd]:
    made = ProxyEnd(
        lambda say: database_answers(
            say, LentLogins(), DatabaseGrants(), reasoning=DatabaseReasoning()
        )
    )
    await made.connect()
    yield made
    await made.close()


async def test_another_process_has_it(proxy: ProxyEnd) -> None:
    first, second = ReplayStore(), ReplayStore()
    kept = ReasoningMemory(RemoteReasoning(proxy.questions), first)
    first.put("thinking:call_1", [THOUGHT], 9)
    first.put("id:call_2", "Google's long signature", 9)
    await kept.settle()
    # The text and its key are nowhere in clear.
    row = await CarriedReasoning.objects.aget(digest=digest_of("thinking:call_1"))
    assert "SIG" not in str(row.text)
    memory = ReasoningMemory(RemoteReasoning(proxy.questions), second)
    await memory.restore(HISTORY, C, A)
    assert second.get("thinking:call_1") == [THOUGHT]
    assert second.get("id:call_2") is None
    await memory.restore(HISTORY, C, G)
    assert second.get("id:call_2") == "Google's long signature"


class Counting:
    """A memory that knows nothing, and counts the questions."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def recall(self, digests: list[str]) -> dict[str, str]:
        self.asked.append(digests)
        return {}

    async def keep(self, texts: dict[str, str]) -> None:
        raise OSError("away")


async def test_what_is_known_or_was_asked_is_not_asked_again() -> None:
    memory, store = Counting(), ReplayStore()
    link = ReasoningMemory(memory, store)
    await link.restore(HISTORY, C, A)
    await link.restore(HISTORY, C, A)
    assert memory.asked == [[digest_of("thinking:call_1")]]
    store.put("id:call_1", "known", 5)
    store.put("id:call_2", "known", 5)
    await link.restore(HISTORY, C, G)
    assert len(memory.asked) == 1
    await link.restore({"messages": [user("go")]}, C, A)
    await link.restore(None, C, A)
    assert len(memory.asked) == 1


async def test_a_request_goes_on_without_the_recorder() -> None:
    questions = RecorderQuestions(patience_s=0)
    store = ReplayStore()
    await ReasoningMemory(RemoteReasoning(questions), store).restore(HISTORY, C, A)
    assert store.get("thinking:call_1") is None
    # Nor does a failed write harm the process that has the entry.
    link = ReasoningMemory(Counting(), store)
    store.put("thinking:call_1", [THOUGHT], 9)
    await link.settle()
    assert store.get("thinking:call_1") == [THOUGHT]


def kept_before(digest: str, age: timedelta) -> None:
    CarriedReasoning.objects.filter(digest=digest).update(kept_at=datetime.now(UTC) - age)


def test_rows_have_an_age_and_a_bound() -> None:
    keep({"a": "1", "b": "2"})
    kept_before("a", LIFETIME)
    assert recall(["a", "b", "c"]) == {"b": "2"}
    keep({"b": "3"})
    assert recall(["b"]) == {"b": "3"}
    assert CarriedReasoning.objects.count() == 1
    for number, name in enumerate("cde"):
        keep({name: name})
        kept_before(name, timedelta(minutes=3 - number))
    keep({"f": "f"}, max_rows=2)
    left: Any = set(CarriedReasoning.objects.values_list("digest", flat=True))
    assert left == {"b", "f"}
