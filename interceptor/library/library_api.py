"""REST resources of the library of a Perplexity account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from flows.rest.record_view import RecordView
from interceptor.library.library_service import limits_of, with_library
from providers.audit.log import audited, caller_of
from providers.base.errors import ConfigError
from providers.models import Provider
from providers.perplexity.library import ACCESS, FORMATS, Library
from providers.perplexity.messages import thread_as_messages
from providers.perplexity.site_calls import SiteFailed
from providers.web.rest import Conflict

MAX_PAGE = 100


class SiteError(APIException):
    """The site's own refusal, with its status."""

    def __init__(self, failure: SiteFailed) -> None:
        super().__init__(str(failure))
        self.status_code = failure.status_code


class LibraryView(RecordView):
    """Base of the resources: rights, and errors as REST writes them."""

    acts = {
        "GET": "read-library",
        "HEAD": "read-library",
        "POST": "change-library",
        "PATCH": "change-library",
        "DELETE": "change-library",
    }

    def act[T](self, name: str, act: Callable[[Library], Awaitable[T]]) -> T:
        """Do something with the library of a provider."""
        return self.guarded(lambda: with_library(name, act))

    def guarded[T](self, work: Callable[[], T]) -> T:
        """Return what some work returns, with its errors as REST's."""
        try:
            return work()
        except Provider.DoesNotExist:
            raise NotFound("There is no enabled Perplexity account of this name.") from None
        except SiteFailed as exc:
            raise SiteError(exc) from None
        except ConfigError as exc:
            raise Conflict(str(exc)) from None


class LimitsView(LibraryView):
    """Limits of an account."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, name: str) -> Response:
        """Return the account's limits, at most a minute old."""
        return Response(self.guarded(lambda: limits_of(name)))


class ThreadListView(LibraryView):
    """Threads of an account."""

    @extend_schema(operation_id="perplexity_threads_list", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, name: str) -> Response:
        """Return a page of threads, newest first."""
        offset, limit = _number(request, "offset", 0), _number(request, "limit", 20)
        search = request.query_params.get("search", "")
        return Response(
            self.act(
                name,
                lambda library: library.threads(
                    offset=offset, limit=min(limit, MAX_PAGE), search=search
                ),
            )
        )


class ThreadView(LibraryView):
    """One thread."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, name: str, slug: str) -> Response:
        """Return the thread as chat messages."""
        entries = self.act(name, lambda library: library.entries(slug))
        return Response(thread_as_messages(entries, slug, citation_mode="markdown"))

    @extend_schema(
        request=inline_serializer(
            "ThreadChange",
            {
                "title": serializers.CharField(required=False, max_length=300),
                "access": serializers.ChoiceField(list(ACCESS), required=False),
            },
        ),
        responses={204: None},
    )
    def patch(self, request: Request, name: str, slug: str) -> Response:
        """Rename a thread, or make it public or private."""
        data: Any = request.data if isinstance(request.data, dict) else {}
        title, access = (data.get(key) for key in ("title", "access"))
        if not (isinstance(title, str) and title) and access not in ACCESS:
            raise ParseError("Send a “title”, or an “access” of private or public.")
        with _audited(request, name, slug, "changed"):
            if isinstance(title, str) and title:
                self.act(name, lambda library: library.rename(slug, title))
            if access in ACCESS:
                self.act(name, lambda library: library.share(slug, access))
        return Response(status=204)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, slug: str) -> Response:
        """Delete a thread at Perplexity."""
        with _audited(request, name, slug, "deleted"):
            self.act(name, lambda library: library.delete(slug))
        return Response(status=204)


class ThreadExportView(LibraryView):
    """A thread as a document."""

    @extend_schema(
        request=inline_serializer(
            "ThreadExport", {"format": serializers.ChoiceField(list(FORMATS))}
        ),
        responses={200: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request, name: str, slug: str) -> Response:
        """Return the thread's last entry as a document in base64."""
        data: Any = request.data if isinstance(request.data, dict) else {}
        form = data.get("format")
        if form not in FORMATS:
            raise ParseError(f"“format” must be one of {', '.join(FORMATS)}.")
        return Response(self.act(name, lambda library: library.export(slug, form)))


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 6:
        raise ParseError(f"“{name}” must be a whole number.")
    return int(text)


def _audited(request: Request, name: str, slug: str, what: str) -> Any:
    target = f"thread {slug[:100]} of {name}"
    return audited("perplexity-thread", target, by=caller_of(request._request), detail=what)
