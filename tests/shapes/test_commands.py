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
from shapes.active_rows import parts_of
from shapes.files.mflow_file import read_path, write_mflow
from shapes.models import Shape, ShapingProfile
from shapes.replay.shape_document import ShapeParts, document_text
from shapes.replay.unified_diff import make_diff
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


# Patches


def series(directory: Path, *patches: str) -> Path:
    folder = directory / "anthropic"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"000{number}.patch" for number in range(1, len(patches) + 1)]
    (folder / "series").write_text("# ours\n" + "".join(f"{name} -p1\n" for name in names))
    for name, diff in zip(names, patches, strict=True):
        (folder / name).write_text(diff)
    return folder


def header_patch(shape: Shape, before: str, after: str) -> str:
    """The patch that replaces a text of a version's virtual file by another one."""
    document = document_text(parts_of(shape))
    assert before in document
    return make_diff(document, document.replace(before, after))


def test_a_series_comes_in_takes_effect_and_goes_out(directory: Path, tmp_path: Path) -> None:
    shape = stored_shape()
    shapes("export", "anthropic")
    diff = header_patch(shape, '"x-stainless-os": "Linux"', '"x-stainless-os": "Plan9"')
    series(directory, diff)
    assert '+    "x-stainless-os": "Plan9"' in shapes("import", "--yes")
    patched = Shape.objects.get(version=2)
    assert [patch.name for patch in patched.patches.all()] == ["0001.patch"]
    assert "+x-stainless-os: Plan9" in shapes("diff", "anthropic", 1, 2)
    out = tmp_path / "out"
    shapes("export", "anthropic", "--version", 2, "--directory", out)
    assert (out / "anthropic/series").read_text() == "0001.patch\n"
    assert (out / "anthropic/0001.patch").read_text() == diff
    shapes("clear", "anthropic", "--yes")
    shapes("import", out, "--yes")
    assert Shape.objects.get().patches.get().diff == diff


def test_a_patch_of_the_recorded_request_is_folded_in(directory: Path) -> None:
    """Files of before hold prompts; their patches fit the unscrubbed request alone."""
    directory.mkdir()
    data = write_mflow(
        method="POST",
        url="https://api.anthropic.com/v1/messages",
        headers=(("content-type", "application/json"), ("user-agent", "claude-cli/1.0 (x)")),
        body=json.dumps({"messages": [CANARY], "system": "You are one."}),
        fingerprint=None,
        captured_at=1.0,
    )
    (directory / "anthropic.mflow").write_bytes(data)
    file = read_path(directory / "anthropic.mflow")
    parts = ShapeParts(
        "POST",
        "https://api.anthropic.com",
        "/v1/messages",
        "",
        file.recorded.headers,
        (file.recorded.body or b"").decode(),
    )
    old = document_text(parts)
    series(directory, make_diff(old, old.replace("You are one.", "You are two.")))
    shapes("import", "--yes")
    shape = Shape.objects.get()
    assert (shape.body, shape.patches.count()) == ('{"system":"You are two."}', 0)
    # A hunk that fits neither is named, and nothing is stored.
    shapes("clear", "anthropic", "--yes")
    series(directory, make_diff(old.replace("POST", "PUT"), old.replace("POST", "PATCH")))
    with pytest.raises(CcproxyError, match=r"patch 0001\.patch: the hunk @@ .* does not match"):
        shapes("import", "--yes")
    assert not Shape.objects.exists()


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ("0001.patch -R\n", "line 1: the only option is -pN, not “-R”"),
        ("0001.patch -p1 -p2\n", "the only option is -pN"),
        ("../../secret\n", "leads out of the directory"),
        ("/etc/passwd\n", "leads out of the directory"),
        ("none.patch\n", "none.patch cannot be read"),
        ("0001.patch\n0001.patch\n", "lists 0001.patch twice"),
        ("'0001.patch\n", "line 1: No closing quotation"),
        ("other.patch\n", "may change shape.json alone"),
    ],
)
def test_a_series_that_cannot_be_used_is_refused(directory: Path, listed: str, reason: str) -> None:
    shape = stored_shape()
    shapes("export", "anthropic")
    diff = header_patch(shape, "Linux", "Plan9")
    folder = series(directory, diff)
    (folder / "series").write_text(listed)
    (folder / "other.patch").write_text(diff.replace("b/shape.json", "b/other.json"))
    (directory.parent / "secret").write_text("x")
    with pytest.raises(CcproxyError, match=reason):
        shapes("import", "--yes")
    assert Shape.objects.count() == 1


@pytest.mark.parametrize("option", ["-p0", "-p 0", "-p2"])
def test_the_strip_option_of_quilt_is_obeyed(directory: Path, option: str) -> None:
    shape = stored_shape()
    shapes("export", "anthropic")
    prefix = {"-p0": "", "-p 0": "", "-p2": "x/y/"}[option]
    diff = header_patch(shape, "Linux", "Plan9")
    diff = diff.replace("a/shape", f"{prefix}shape").replace("b/shape", f"{prefix}shape")
    folder = series(directory, diff)
    (folder / "series").write_text(f"0001.patch {option}\n")
    shapes("import", "--yes")
    assert "Plan9" in shapes("diff", "anthropic", 1, 2)
