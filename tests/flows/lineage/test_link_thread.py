"""The recorder's thread that links flows: behind the writer, and again after a failure."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from flows.lineage import link_backlog, link_thread
from flows.lineage.link_backlog import count_backlog
from flows.lineage.link_thread import LinkThread
from flows.lineage.linker import Linker, pending
from flows.models import Flow, FlowLink, FlowText
from flows.search.indexer import waiting
from tests.flows.lineage.synthetic import untouched
from tests.flows.lineage.test_linker import record
from tests.flows.records import eventually


@pytest.mark.django_db(transaction=True)
def test_flows_are_linked_once_the_writer_rests_and_the_database_works() -> None:
    record(pair[0] for pair in untouched("s", 3).sent)
    total = pending().count()
    busy = True
    tries = 0
    link_pending = Linker.link_pending

    def flaky(linker: Linker, limit: int) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OperationalError("database is locked")
        return link_pending(linker, limit)

    with (
        patch.object(link_thread, "_COMMIT_S", 0.01),
        patch.object(link_thread, "_RETRY_S", 0.01),
        patch.object(Linker, "link_pending", flaky),
    ):
        thread = LinkThread(lambda: busy)
        thread.start()
        try:
            # It has counted what waits, so it looks again and again whether the writer rests.
            eventually(lambda: thread.backlog == (total, total))
            thread._stopped.wait(0.1)
            assert (tries, pending().count()) == (0, total)
            busy = False
            thread._has_news.set()
            eventually(lambda: FlowLink.objects.count() == total)
            # What a flow adds is known once it is linked.
            eventually(lambda: thread.backlog == (0, 0))
        finally:
            thread.close(5)
    assert not waiting().exists()
    assert not pending().exists()
    assert FlowText.objects.count() == total
    assert not thread._thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_flows_are_linked_beside_a_writer_that_never_rests() -> None:
    record(pair[0] for pair in untouched("s", 3).sent)
    total = pending().count()
    with patch.object(link_thread, "_COMMIT_S", 0.01), patch.object(link_thread, "_BUSY_S", 0.05):
        thread = LinkThread(lambda: True)
        thread.start()
        try:
            eventually(lambda: FlowLink.objects.count() == total)
        finally:
            thread.close(5)
    assert not pending().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("limit", "value"), [("_INDEX_AFTER_S", 0.0), ("_MAX_WAITING", 0)])
def test_texts_are_indexed_once_the_traffic_rests_or_too_many_wait(limit: str, value: int) -> None:
    record(pair[0] for pair in untouched("s", 3).sent)
    total = pending().count()
    thread = LinkThread(lambda: False)
    with (
        patch.object(link_thread, "_COMMIT_S", 0.01),
        patch.object(link_thread, "_INDEX_AFTER_S", 3600.0),
        patch.object(link_thread, "_COUNT_EVERY_S", 0.0),
    ):
        thread.notice()
        thread.start()
        try:
            eventually(lambda: thread._waits_to_index)
            assert (FlowLink.objects.count(), waiting().count()) == (total, total)
            with patch.object(link_thread, limit, value):
                thread._has_news.set()
                eventually(lambda: not waiting().exists())
        finally:
            thread.close(5)


@pytest.mark.django_db
def test_what_waits_is_counted_up_to_a_bound_and_running_flows_are_left_out() -> None:
    record(pair[0] for pair in untouched("s", 3).sent)
    total = pending().count()
    running = Flow.objects.order_by("pk").values_list("pk", flat=True)[:1]
    Flow.objects.filter(pk__in=list(running)).update(state=Flow.State.LIVE)
    linked = Flow.objects.exclude(state=Flow.State.LIVE).values_list("pk", flat=True)[:1]
    Flow.objects.filter(pk__in=list(linked)).update(indexed=True)
    assert count_backlog() == (total - 2, total - 1)
    with patch.object(link_backlog, "MAX_COUNTED", 1):
        assert count_backlog() == (1, 1)


@pytest.mark.parametrize(("is_noticed", "looks"), [(False, 1), (True, link_thread._LOOKS)])
def test_only_a_flow_that_is_about_to_be_written_is_looked_for_again(
    is_noticed: bool, looks: int
) -> None:
    thread = LinkThread(lambda: False)
    if is_noticed:
        thread.notice()
    with (
        patch.object(link_thread, "_COMMIT_S", 0.0),
        patch.object(thread, "_do_all", return_value=False) as do_all,
    ):
        thread._look()
    assert do_all.call_count == looks


@pytest.mark.django_db(transaction=True)
def test_looks_after_some_traffic_ask_one_question_each_until_a_flow_waits() -> None:
    record(pair[0] for pair in untouched("s", 3).sent)
    thread = LinkThread(lambda: False)
    assert thread._do_all()
    assert not thread._do_all()
    thread.notice()
    thread._waits_to_index = True
    with (
        patch.object(link_thread, "_COMMIT_S", 0.0),
        CaptureQueriesContext(connection) as asked,
    ):
        thread._look()
    assert len(asked) == link_thread._LOOKS
    assert not thread._waits_to_index
    record(pair[0] for pair in untouched("t", 2).sent)
    thread._fresh.left()
    with (
        patch.object(link_thread, "_COMMIT_S", 0.0),
        patch.object(link_thread, "_INDEX_AFTER_S", 3600.0),
    ):
        thread._look()
    assert not pending().exists()
    assert thread._waits_to_index
    thread._noticed_at = float("-inf")
    thread._look()
    assert not waiting().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("flows", "counts"), [(0, 1), (3, 2)])
def test_what_waits_is_counted_again_only_after_work(flows: int, counts: int) -> None:
    if flows:
        record(pair[0] for pair in untouched("s", flows).sent)
    thread = LinkThread(lambda: False)
    with patch.object(link_thread, "count_backlog", wraps=count_backlog) as count:
        assert thread._do_all() == bool(flows)
    assert (count.call_count, thread.backlog) == (counts, (0, 0))
