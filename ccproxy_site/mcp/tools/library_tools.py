"""Tools for the library of a Perplexity account: its threads and its limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from ccproxy_site.mcp.bounded_json import bounded, bounded_list
from ccproxy_site.mcp.mcp_caller import current_caller
from interceptor.library.library_service import limits_of, with_library
from providers.audit.log import audited
from providers.base.errors import CcproxyError
from providers.models import Provider
from providers.perplexity.library import Library
from providers.perplexity.messages import thread_as_messages
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE

MAX_PAGE: Final = 100
Account = Annotated[
    str, Field(description="Name of the Perplexity provider; empty where there is only one.")
]
Slug = Annotated[str, Field(min_length=1, description="The thread's slug, from the list.")]


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Some threads, newest first, as Perplexity describes them."""

    threads: list[Any]
    note: str


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as chat messages."""

    messages: list[Any]
    thread_info: dict[str, Any]
    note: str


@dataclass(frozen=True, slots=True)
class Document:
    """A thread's last entry as a document, as Perplexity sends it: base64 and a file name."""

    document: dict[str, Any]
    note: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the account, at most a minute old."""

    limits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ThreadChanged:
    """A change that Perplexity accepted."""

    slug: str
    change: str


def perplexity_limits(provider: Account = "") -> Limits:
    """Return how much the Perplexity account may still ask."""
    name = _account(provider)
    return Limits(bounded(limits_of(name)).value)


def list_perplexity_threads(
    provider: Account = "",
    search: Annotated[str, Field(description="Words in the thread.")] = "",
    offset: Annotated[int, Field(ge=0)] = 0,
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 20,
) -> ThreadPage:
    """List threads of the Perplexity account, newest first."""
    found = _act(
        provider, lambda library: library.threads(offset=offset, limit=limit, search=search)
    )
    threads = found if isinstance(found, list) else [found]
    return ThreadPage(*bounded_list(threads, len(threads)))


def get_perplexity_thread(slug: Slug, provider: Account = "") -> Thread:
    """Return a thread of the Perplexity account as chat messages."""
    entries = _act(provider, lambda library: library.entries(slug))
    found = thread_as_messages(entries, slug, citation_mode="markdown")
    shown, note = bounded_list(found["messages"], len(found["messages"]))
    return Thread(shown, found["thread_info"], note)


def rename_perplexity_thread(
    slug: Slug,
    title: Annotated[str, Field(min_length=1, max_length=300)],
    provider: Account = "",
) -> ThreadChanged:
    """Give a thread of the Perplexity account another title."""
    name = _account(provider)
    with _audited(name, slug, "changed"):
        _act(name, lambda library: library.rename(slug, title))
    return ThreadChanged(slug, "renamed")


def share_perplexity_thread(
    slug: Slug,
    access: Annotated[
        Literal["private", "public"], Field(description="public: people with the link may read.")
    ],
    provider: Account = "",
) -> ThreadChanged:
    """Make a thread of the Perplexity account public or private."""
    name = _account(provider)
    with _audited(name, slug, "changed"):
        _act(name, lambda library: library.share(slug, access))
    return ThreadChanged(slug, access)


def delete_perplexity_thread(slug: Slug, provider: Account = "") -> ThreadChanged:
    """Delete a thread at Perplexity, for good."""
    name = _account(provider)
    with _audited(name, slug, "deleted"):
        _act(name, lambda library: library.delete(slug))
    return ThreadChanged(slug, "deleted")


def export_perplexity_thread(
    slug: Slug,
    form: Annotated[Literal["md", "pdf", "docx"], Field(description="Kind of document.")] = "md",
    provider: Account = "",
) -> Document:
    """Let Perplexity make a document of a thread's last entry."""
    found = _act(provider, lambda library: library.export(slug, form))
    shown, note = bounded(found if isinstance(found, dict) else {"document": found})
    return Document(shown, note)


def _act[T](provider: str, act: Callable[[Library], Awaitable[T]]) -> T:
    return with_library(_account(provider), act)


def _account(name: str) -> str:
    """Return the name of an enabled account: the given one, or the only one.

    Raises:
        CcproxyError: there is none of this name, or several and none is named.
    """
    enabled = Provider.objects.filter(type=PERPLEXITY_TYPE, enabled=True)
    known = [*enabled.order_by("name").values_list("name", flat=True)]
    if name in known or (not name and len(known) == 1):
        return name or known[0]
    if not known:
        raise CcproxyError("There is no enabled Perplexity account.")
    raise CcproxyError(f"Name one of the Perplexity accounts: {', '.join(known)}.")


def _audited(name: str, slug: str, what: str) -> AbstractContextManager[Any]:
    target = f"thread {slug[:100]} of {name}"
    return audited("perplexity-thread", target, by=current_caller().for_audit(), detail=what)
