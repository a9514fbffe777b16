"""Answers to everything that proxies ask of the database. The objects that know it come in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from interceptor.access.grant import GrantBook
from interceptor.notes.note_book import TaskEvents
from interceptor.notes.notification import Notification
from interceptor.pipeline.perplexity_account import RemembersThreads, UploadsElsewhere
from interceptor.recorder.answering import Answers, Handler
from interceptor.recorder.remote_grants import grant_values
from interceptor.recorder.remote_notes import task_events_values
from interceptor.transform.carried_reasoning import KeepsReasoning
from providers.auth.refresh_lock import LockFailed, LoginState
from providers.perplexity.threads import ThreadIds


class Lender(Protocol):
    """Logins of one connection, see `providers.credentials.lent_logins`."""

    async def hold(self, loan: str, key: str) -> LoginState: ...
    async def save(self, loan: str, state: LoginState) -> bool: ...
    async def release(self, loan: str) -> None: ...
    async def close(self) -> None: ...


class KeepsNotes(Protocol):
    """Events for sessions, see `interceptor.kept_notes`."""

    async def add(self, note: Notification) -> None: ...
    async def take(self, session_id: str, flow_id: str) -> list[TaskEvents]: ...
    async def settle(self, flow_id: str, delivered: bool) -> None: ...


def database_answers(
    say: Callable[..., object],
    logins: Lender,
    grants: GrantBook,
    threads: RemembersThreads | None = None,
    notes: KeepsNotes | None = None,
    reasoning: KeepsReasoning | None = None,
    uploads: UploadsElsewhere | None = None,
) -> Answers:
    """Return what answers one proxy's questions; closing it ends the proxy's loans.

    Args:
        say: sends a line to the proxy.
        logins: new for each connection.
        grants: may serve all connections.
        threads: may serve all connections; None: questions about threads are refused.
        uploads: may serve all connections; None: questions about uploads are refused.
        notes: events for sessions, of all connections; None: none is kept.
        reasoning: as `threads`, for the reasoning of conversations.
    """
    handlers = {**_login_handlers(logins), **_grant_handlers(grants)}
    if threads is not None:
        handlers |= _thread_handlers(threads)
    if uploads is not None:
        handlers |= _upload_handlers(uploads)
    if notes is not None:
        handlers |= _note_handlers(notes)
    if reasoning is not None:
        handlers |= _reasoning_handlers(reasoning)
    return Answers(handlers, say, give_back=logins.close)


def _login_handlers(logins: Lender) -> dict[str, Handler]:
    async def hold(loan: str, key: str) -> dict[str, Any]:
        try:
            return {"state": (await logins.hold(loan, key)).as_values()}
        except LockFailed as exc:
            # Half a sentence, which only the renewal can complete.
            return {"failed": str(exc)}

    async def save(loan: str, state: dict[str, Any]) -> dict[str, Any]:
        return {"saved": await logins.save(loan, LoginState.of_values(state))}

    async def release(loan: str) -> dict[str, Any]:
        await logins.release(loan)
        return {}

    return {"login.hold": hold, "login.save": save, "login.release": release}


def _thread_handlers(threads: RemembersThreads) -> dict[str, Handler]:
    async def recall(key: str) -> dict[str, Any]:
        ids = await threads.recall(key)
        return {"ids": asdict(ids) if ids else None}

    async def remember(key: str, ids: dict[str, str], ttl_s: float) -> dict[str, Any]:
        await threads.remember(key, ThreadIds(**ids), ttl_s)
        return {}

    return {"thread.recall": recall, "thread.remember": remember}


def _reasoning_handlers(reasoning: KeepsReasoning) -> dict[str, Handler]:
    async def recall(digests: list[str]) -> dict[str, Any]:
        return {"texts": await reasoning.recall(digests)}

    async def keep(texts: dict[str, str]) -> dict[str, Any]:
        await reasoning.keep(texts)
        return {}

    return {"reasoning.recall": recall, "reasoning.keep": keep}


def _upload_handlers(uploads: UploadsElsewhere) -> dict[str, Handler]:
    async def start(job: dict[str, Any]) -> dict[str, Any]:
        return {"task": await uploads.start(job)}

    async def state(task: str) -> dict[str, Any]:
        return await uploads.state(task)

    return {"upload.start": start, "upload.state": state}


def _grant_handlers(grants: GrantBook) -> dict[str, Handler]:
    async def redeem(token: str, flow_id: str) -> dict[str, Any]:
        return grant_values(await grants.redeem(token, flow_id))

    return {"grant.redeem": redeem}


def _note_handlers(notes: KeepsNotes) -> dict[str, Handler]:
    async def add(**values: str) -> dict[str, Any]:
        await notes.add(Notification(**values))
        return {}

    async def take(session_id: str, flow_id: str) -> dict[str, Any]:
        found = await notes.take(session_id, flow_id)
        return {"tasks": [task_events_values(each) for each in found]}

    async def settle(flow_id: str, delivered: bool) -> dict[str, Any]:
        await notes.settle(flow_id, delivered)
        return {}

    return {"note.add": add, "note.take": take, "note.settle": settle}
