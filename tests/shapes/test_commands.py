"""`ccproxy shapes`: every action, in this process."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from providers.audit.log import shell_caller
from providers.base.errors import CcproxyError
from providers.models import AuditEntry
from shapes.models import Shape, ShapingProfile
from tests.shapes.captured import CANARY, captured_flow, stored_shape

pytestmark = pytest.mark.django_db


def shapes(*arguments: object) -> str:
    out = StringIO()
    call_command("shapes", *(str(argument) for argument in arguments), stdout=out, stderr=out)
    return out.getvalue()


def as_json(*arguments: object) -> Any:
    out = StringIO()
    call_command("shapes", *map(str, arguments), "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


@pytest.fixture
def directory(tmp_path: Path, settings: Settings) -> Path:
    """The shapes directory of the configuration."""
    shaping = settings.CCPROXY.shaping.model_copy(update={"shapes_dir": str(tmp_path / "shapes")})
    settings.CCPROXY = settings.CCPROXY.model_copy(update={"shaping": shaping})
    return tmp_path / "shapes"


def test_save_takes_the_newest_captured_call_and_activates_it() -> None:
    captured_flow("2.1.330", age_s=60)
    flow = captured_flow("2.1.331")
    printed = shapes("save", "anthropic", "--yes")
    assert "left out: e-mail address ada@… (12) at system.2" in printed
    assert '-  "messages": [' in printed
    assert "Stored anthropic v1, which is active." in printed
    assert "ccproxy shapes acknowledge anthropic" in printed
    shape = Shape.objects.get()
    assert (shape.source_flow_id, shape.active) == (flow.flow.pk, True)
    assert "Unchanged: anthropic v1" in shapes("save", "anthropic", "--yes")
    assert Shape.objects.count() == 1


def test_nothing_is_stored_without_a_confirmation() -> None:
    captured_flow()
    with pytest.raises(CcproxyError, match="Add --yes"):
        shapes("save", "anthropic")
    assert not Shape.objects.exists()


def test_save_of_a_named_flow_and_of_a_filtered_one() -> None:
    flow = captured_flow("1.0.0", age_s=60)
    other = captured_flow("2.0.0", age_s=30)
    saved = as_json("save", "anthropic", flow.flow.pk[:13], "--yes", "--inactive", "--notes", "n")
    assert (saved["status"], saved["version"], saved["active"]) == ("ok", 1, False)
    assert (saved["client_version"], saved["notes"]) == ("1.0.0", "n")
    jq = f'map(select(.id == "{other.flow.pk}"))'
    assert as_json("save", "anthropic", "--jq", jq, "--yes")["client_version"] == "2.0.0"
    assert as_json("save", "anthropic", flow.flow.pk, "--yes")["status"] == "unchanged"
    with pytest.raises(CcproxyError, match="gemini"):
        shapes("save", "gemini", flow.flow.pk, "--yes")


def test_places_can_be_kept() -> None:
    captured_flow(body={"messages": [], "odd": "word"})
    saved = as_json("save", "anthropic", "--keep", "odd", "--yes")
    assert saved["scrubbed"]["placeholders"] == []
    assert as_json("show", "anthropic")["body"] == {"odd": "word"}


def test_list_show_and_diff() -> None:
    assert "There are no shapes yet." in shapes("list")
    stored_shape("2.1.331", activate=True)
    stored_shape("2.1.332")
    listed = as_json("list", "--type", "anthropic")
    assert [shape["version"] for shape in listed["shapes"]] == [2, 1]
    assert listed["shapes"][1]["outcomes"] == {"accepted": 0, "refused": 0, "failed": 0}
    assert [one["is_news"] for one in listed["candidates"]] == [True, False]
    table = shapes("list")
    assert "claude-cli 2.1.331" in table
    assert "New release: claude-cli 2.1.332" in table
    shown = shapes("show", "anthropic")
    assert "POST /v1/messages?beta=true" in shown
    assert "JA4 t13d0306h2" in shown
    assert CANARY not in shown
    diff = shapes("diff", "anthropic", 1, 2)
    assert "-user-agent: claude-cli/2.1.331 (external, sdk-cli)" in diff
    assert as_json("diff", "anthropic", 1, 1)["identical"]
    with pytest.raises(CcproxyError, match="no v9 of anthropic; there are: v2, v1"):
        shapes("show", "anthropic", "--version", 9)
    with pytest.raises(CcproxyError, match="ccproxy shapes save gemini"):
        shapes("show", "gemini")


def test_activate_acknowledge_and_clear() -> None:
    stored_shape("1.0.0", activate=True)
    stored_shape("2.0.0", activate=True)
    assert "has to come first" in shapes("activate", "anthropic", 1)
    assert Shape.objects.get(active=True).version == 1
    with pytest.raises(CcproxyError, match="--yes"):
        shapes("acknowledge", "anthropic")
    assert "Confirmed by" in shapes("acknowledge", "anthropic", "--yes")
    assert ShapingProfile.of("anthropic").acknowledged_by == shell_caller().name
    assert "take v2 now" in shapes("activate", "anthropic", 2)
    assert "Withdrawn" in shapes("acknowledge", "anthropic", "--withdraw")
    assert "unshaped now" in shapes("deactivate", "anthropic")
    with pytest.raises(CcproxyError, match="--yes"):
        shapes("clear", "anthropic")
    assert "Deleted anthropic v1." in shapes("clear", "anthropic", "--version", 1, "--yes")
    assert "Deleted 1 version of anthropic." in shapes("clear", "anthropic", "--yes")
    assert "There is no shape of anthropic." in shapes("clear", "anthropic", "--yes")
    assert AuditEntry.objects.filter(action="shape-delete", outcome="done").count() == 2


def test_a_version_goes_out_as_a_file_and_comes_back(directory: Path) -> None:
    stored_shape("2.1.331")
    before = as_json("show", "anthropic")
    assert f"Wrote {directory / 'anthropic.mflow'}." in shapes("export", "anthropic")
    assert CANARY.encode() not in (directory / "anthropic.mflow").read_bytes()
    assert (directory / "anthropic.mflow").stat().st_mode & 0o777 == 0o600
    assert "Unchanged: anthropic v1" in shapes("import", "--yes")
    shapes("clear", "anthropic", "--yes")
    assert "Stored anthropic.mflow as anthropic v1, which is not active." in shapes(
        "import", "--yes"
    )
    after = as_json("show", "anthropic")
    for name in ("method", "path", "query", "headers", "body", "fingerprint", "captured_at"):
        assert after[name] == before[name], name


def test_save_writes_the_file_of_the_product_too(directory: Path) -> None:
    captured_flow()
    assert f"Wrote {directory / 'anthropic.mflow'}" in shapes(
        "save", "anthropic", "--mflow", "--yes"
    )
    assert "1 stored version, 1 file: no response, no credential." in shapes("audit")
    assert as_json("audit", "--directory", directory)["files"] == 1


def test_a_bad_file_stores_nothing_of_the_good_ones(directory: Path) -> None:
    stored_shape("2.1.331")
    shapes("export", "anthropic")
    data = (directory / "anthropic.mflow").read_bytes()
    (directory / "zai.mflow").write_bytes(data[:-9])
    shapes("clear", "anthropic", "--yes")
    with pytest.raises(CcproxyError, match=r"zai\.mflow is cut off, damaged"):
        shapes("import", "--yes")
    assert not Shape.objects.exists()
    with pytest.raises(CcproxyError, match="found 1 fault"):
        shapes("audit")
    (directory / "odd.mflow").write_bytes(data)
    (directory / "zai.mflow").unlink()
    with pytest.raises(CcproxyError, match="add --type TYPE"):
        shapes("import", "--yes")
    with pytest.raises(CcproxyError, match="does not exist"):
        shapes("import", directory / "none.mflow", "--yes")


def test_the_audit_names_every_credential(directory: Path) -> None:
    shape = stored_shape()
    shape.headers = [["X-Api-Key", "k"], ["x-ccproxy-flow", "1"], ["accept", "x"]]
    shape.save()
    out = StringIO()
    with pytest.raises(CcproxyError, match="found 2 faults"):
        call_command("shapes", "audit", stdout=out)
    assert "anthropic v1: it has the header x-api-key, which carries a credential" in out.getvalue()
    assert "x-ccproxy-flow, which is ccproxy's own" in out.getvalue()
