"""Versions: capture of a flow, activation, rollback, counts, candidates."""

from __future__ import annotations

import json
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from providers.models import AuditEntry, ConfigRevision
from shapes.models import Shape, ShapingProfile
from shapes.versions.activation import (
    TERMS,
    ShapeConflict,
    acknowledge,
    activate_version,
    deactivate,
    delete_all,
    earlier_version,
    save_version,
    withdraw,
)
from shapes.versions.candidates import candidate_flows, candidates, types_for
from shapes.versions.capturing import CaptureRefused, newest_valid, review
from shapes.versions.outcomes import Outcomes, outcomes_by_version
from tests.rows import make_flow
from tests.shapes.captured import BOSS, CANARY, captured_flow, client_body, stored_shape

pytestmark = pytest.mark.django_db


def test_a_flow_becomes_a_version_without_anything_of_its_user() -> None:
    shape = stored_shape()
    assert (shape.version, shape.active) == (1, False)
    assert (shape.client_family, shape.client_version) == ("claude-cli", "2.1.331")
    assert (shape.path, shape.query, shape.origin) == (
        "/v1/messages",
        "beta=true",
        "https://api.anthropic.com",
    )
    assert json.loads(shape.body) == {"system": client_body()["system"][:2]}
    stored = json.dumps(list(Shape.objects.values()), default=str)
    for secret in (CANARY, "ada@", "/ada", "redacted", "1234", "api.anthropic.com'"):
        assert secret not in stored
    assert shape.fingerprint is not None
    assert shape.fingerprint["cipher_suites"] == ["1301", "1302", "1303"]
    assert shape.fingerprint["supported_groups"] == ["001d", "0017", "0018"]


def test_the_same_content_is_recognised() -> None:
    shape = stored_shape()
    assert review(captured_flow(), "anthropic").same_as == shape
    assert review(captured_flow("2.1.332"), "anthropic").same_as is None


def test_a_digest_names_exactly_the_reviewed_content() -> None:
    first = review(captured_flow(), "anthropic")
    assert review(captured_flow(), "anthropic").digest == first.digest
    profile = ShapingProfile.of("anthropic")
    profile.merge_strategies = {"system": "prepend_shape:1"}
    profile.save()
    assert review(captured_flow(), "anthropic").digest != first.digest


def test_a_review_shows_raw_and_stored() -> None:
    change = review(captured_flow(), "anthropic").change()
    assert {line.name for line in change.headers if line.kind == "removed"} == {
        "Host",
        "authorization",
        "content-length",
    }
    assert "messages" in {item.change.path for item in change.body}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status_code": 401}, "refused it with 401"),
        ({"status_code": None}, "no response"),
        ({"client_url": "https://api.anthropic.com/v1/models"}, "not one of this provider type"),
        ({"body": {}}, None),
    ],
)
def test_what_cannot_become_a_shape_is_refused(fields: dict[str, object], reason: str) -> None:
    flow = captured_flow(**fields)  # type: ignore[arg-type]
    if reason is None:
        review(flow, "anthropic")
        return
    with pytest.raises(CaptureRefused, match=reason):
        review(flow, "anthropic")


def test_a_profile_without_content_fields_makes_no_shape() -> None:
    with pytest.raises(CaptureRefused, match="names no content fields"):
        review(captured_flow(), "zai")


def test_an_unknown_type_is_refused_with_a_suggestion() -> None:
    with pytest.raises(CaptureRefused, match="anthropic"):
        review(captured_flow(), "antropic")


def test_the_newest_valid_call_is_taken() -> None:
    old = captured_flow("1.0.0", age_s=50)
    best = captured_flow("2.0.0", age_s=40)
    captured_flow("3.0.0", age_s=30, status_code=400)
    captured_flow("4.0.0", age_s=20, source="reverse", run_label="")
    assert newest_valid("anthropic").flow.pk == best.flow.pk
    assert newest_valid("anthropic", [best.flow.pk, old.flow.pk]).flow.pk == old.flow.pk
    with pytest.raises(CaptureRefused, match="not one of this provider type"):
        newest_valid("gemini")


def test_without_a_captured_call_the_way_to_one_is_said() -> None:
    with pytest.raises(CaptureRefused, match="ccproxy jail -- COMMAND"):
        newest_valid("anthropic")


# Versions


def test_one_version_is_active_and_a_rollback_takes_the_one_before() -> None:
    first = stored_shape("1.0.0", activate=True)
    before = ConfigRevision.current()
    second = stored_shape("2.0.0", activate=True)
    assert list(Shape.objects.filter(active=True)) == [second]
    assert earlier_version(second) == first
    activate_version(first, by=BOSS)
    assert list(Shape.objects.filter(active=True)) == [first]
    assert ConfigRevision.current() > before or connection.in_atomic_block


def test_two_processes_at_once_take_two_numbers() -> None:
    """The number that was free a moment ago is taken; the next try finds another one."""
    found = review(captured_flow("2.0.0"), "anthropic")
    stored_shape("1.0.0")
    real = Shape.save
    tries: list[int] = []

    def taken_once(shape: Shape, **options: object) -> None:
        tries.append(shape.version)
        if len(tries) == 1:
            raise IntegrityError("UNIQUE constraint failed")
        real(shape, **options)  # type: ignore[arg-type]

    with patch.object(Shape, "save", taken_once):
        save_version(found.shape, by=BOSS)
    assert (len(tries), Shape.objects.count()) == (2, 2)
    with (
        patch.object(Shape, "save", side_effect=IntegrityError("taken")),
        pytest.raises(ShapeConflict, match="Try again"),
    ):
        save_version(found.shape, by=BOSS)


def test_deactivating_and_deleting_leave_rows_in_the_audit_log() -> None:
    stored_shape(activate=True)
    assert deactivate("anthropic", by=BOSS) == 1
    assert deactivate("anthropic", by=BOSS) == 0
    assert delete_all("anthropic", by=BOSS) == 1
    actions = AuditEntry.objects.order_by("id").values_list("action", "target", "outcome")
    assert list(actions) == [
        ("shape-save", "shape anthropic v1", "done"),
        ("shape-activate", "shape anthropic v1", "done"),
        ("shape-deactivate", "shapes of anthropic", "done"),
        ("shape-deactivate", "shapes of anthropic", "done"),
        ("shape-delete", "shapes of anthropic", "done"),
    ]


def test_an_acknowledgement_has_a_name_a_time_and_its_sentence() -> None:
    acknowledge("anthropic", by=BOSS)
    profile = ShapingProfile.of("anthropic")
    assert (profile.acknowledged_by, profile.is_acknowledged) == ("boss", True)
    assert AuditEntry.objects.get(action="shape-acknowledge").detail == TERMS
    withdraw("anthropic", by=BOSS)
    assert not ShapingProfile.of("anthropic").is_acknowledged


# Counts


def test_responses_are_counted_by_the_version_that_was_active() -> None:
    now = timezone.now()
    first, second = stored_shape("1.0.0"), stored_shape("2.0.0")
    never = stored_shape("3.0.0")
    Shape.objects.filter(pk=first.pk).update(activated_at=now - timedelta(hours=2))
    Shape.objects.filter(pk=second.pk).update(activated_at=now - timedelta(hours=1), active=True)
    for age_s, version, status in (
        (7000, 1, 200),
        (6000, 1, 200),
        (5000, 1, 401),
        (100, 2, 200),
        (90, 2, 400),
        (80, 2, 400),
        (70, 2, 429),
        (60, 2, 502),
    ):
        make_flow(age_s=age_s, status_code=status, shape=f"anthropic v{version}")
    # Before the activation, without a shape, of another type.
    make_flow(age_s=9000, status_code=200, shape="anthropic v1")
    make_flow(age_s=50, status_code=400)
    make_flow(age_s=50, status_code=400, shape="zai v1")
    found = outcomes_by_version(list(Shape.objects.all()))
    assert found == {first.pk: Outcomes(2, 1, 0), second.pk: Outcomes(1, 3, 1)}
    assert not found[first.pk].looks_refused
    assert found[second.pk].looks_refused
    assert never.pk not in found


# Candidates


def test_candidates_are_grouped_by_release() -> None:
    stored_shape("2.1.331", activate=True, age_s=90)
    newest = captured_flow("2.1.332", age_s=10)
    captured_flow("2.1.332", age_s=20)
    captured_flow("2.1.333", age_s=5, status_code=500)
    captured_flow("2.1.334", age_s=5, client_format="")
    found = candidates()
    assert [(one.name, one.calls, one.is_news) for one in found] == [
        ("claude-cli 2.1.332", 2, True),
        ("claude-cli 2.1.331", 1, False),
    ]
    assert (found[0].provider_type, found[0].flow_id) == ("anthropic", newest.flow.pk)


def test_an_older_call_is_no_news() -> None:
    stored_shape("2.1.331", activate=True, age_s=10)
    captured_flow("2.1.330", age_s=90)
    assert [one.is_news for one in candidates()] == [False, False]


def test_a_path_names_the_types_it_may_be_of() -> None:
    assert types_for("/v1/messages?beta=true") == ["anthropic"]
    assert types_for("/v1internal:generateContent") == ["gemini"]
    assert types_for("/v1/other") == []


def test_candidates_are_found_by_the_index_of_captured_flows() -> None:
    sql, parameters = candidate_flows().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            pytest.skip("SQLite's plan")
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        plan = " ".join(str(row) for row in cursor.fetchall())
    assert "flow_run" in plan
