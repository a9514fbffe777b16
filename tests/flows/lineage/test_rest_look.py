"""One statement at rest finds what the looks of a working thread would find, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from flows.lineage import fresh_flows, rest_look
from flows.lineage.link_thread import LinkThread
from flows.lineage.linker import pending
from flows.lineage.rest_look import RestLook
from flows.models import Flow, FlowText
from flows.search.indexer import waiting
from flows.search.segment_rows import without_segment
from tests.flows.lineage.synthetic import untouched
from tests.flows.lineage.test_linker import record

SEGMENT_FLOWS = 2


@pytest.fixture(autouse=True)
def small_segments() -> Iterator[None]:
    with patch.object(rest_look, "SEGMENT_FLOWS", SEGMENT_FLOWS):
        rest_look._question.cache_clear()
        yield
    rest_look._question.cache_clear()


@pytest.mark.django_db
@pytest.mark.parametrize("texts", range(SEGMENT_FLOWS + 2))
@pytest.mark.parametrize("state", list(Flow.State))
def test_work_is_found_where_there_is_some(state: str, texts: int) -> None:
    record(pair[0] for pair in untouched("s", SEGMENT_FLOWS + 1).sent)
    ids = list(Flow.objects.values_list("pk", flat=True))
    Flow.objects.update(indexed=True, searched=True)
    FlowText.objects.bulk_create(FlowText(flow_id=each, base="", parts=b"") for each in ids[:texts])
    for indexed, searched in itertools.product((True, False, None), (True, None)):
        Flow.objects.filter(pk=ids[0]).update(state=state, indexed=indexed, searched=searched)
        waits = pending().exists() or waiting().exists()
        is_enough = without_segment().count() >= SEGMENT_FLOWS
        assert RestLook(lambda: None).finds_work() == (waits or is_enough)


@pytest.mark.django_db(transaction=True)
def test_a_look_at_rest_is_one_statement() -> None:
    thread = LinkThread(lambda: False, open_connection=lambda: None)
    assert not thread._do_all()
    with CaptureQueriesContext(connection) as asked:
        thread._look()
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_flows_of_another_process_are_found_at_rest() -> None:
    thread = LinkThread(lambda: False)
    with patch.object(fresh_flows, "_LOOK_AFTER_S", 0.0):
        assert not thread._do_all()
        record(pair[0] for pair in untouched("s", 1).sent)
        thread._look()
    assert not pending().exists()
    assert thread.backlog == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_is_not_at_rest() -> None:
    def refuse() -> None:
        raise OperationalError("the database file is gone")

    thread = LinkThread(lambda: False, open_connection=refuse)
    assert not thread._do_all()
    with patch.object(thread, "_do_all", return_value=True) as do_all:
        thread._look()
    assert do_all.called
