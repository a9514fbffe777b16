"""docs/shaping.md: every command in it runs, in the order in which it stands there."""

from __future__ import annotations

import json
import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from pytest_django.fixtures import Settings

from interceptor.config.files.server import ServerSettings
from interceptor.management.commands.shapes import ACTIONS
from interceptor.models import HookSetting
from shapes.active_rows import parts_of
from shapes.models import Shape, ShapingProfile
from shapes.replay.shape_document import document_text
from shapes.replay.shipped_profiles import SHIPPED
from shapes.replay.unified_diff import make_diff
from shapes.versions.activation import activate_version
from tests.environment import ROOT
from tests.rows import make_provider
from tests.shapes.captured import BOSS, captured_flow, stored_shape

GUIDE = (ROOT / "docs/shaping.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]
FLOW = "0a1b2c3d-0000-4000-8000-000000000001"


def run(line: str) -> str:
    """Run a line of the guide in this process; a question gets a yes."""
    name, *arguments = shlex.split(line)
    assert name == "ccproxy" and arguments[0] == "shapes", line
    if arguments[1] in ("save", "acknowledge") and "--yes" not in arguments:
        arguments.append("--yes")
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db
def test_every_command_runs(tmp_path: Path, settings: Settings) -> None:
    shaping = settings.CCPROXY.shaping.model_copy(update={"shapes_dir": str(tmp_path)})
    settings.CCPROXY = settings.CCPROXY.model_copy(update={"shaping": shaping})
    make_provider()
    HookSetting.objects.update(enabled=True)
    captured_flow("2.1.332", flow_id=FLOW, age_s=60)
    captured_flow("2.1.333", age_s=10)
    lines = [line for line in COMMANDS if not line.startswith("ccproxy jail")]
    assert len(lines) > 12
    printed = {line: run(line) for line in lines}
    assert "Stored anthropic v1, which is active." in printed[lines[0]]
    assert "Confirmed by" in printed["ccproxy shapes acknowledge anthropic"]
    assert {shlex.split(line)[2] for line in lines} == set(ACTIONS)


def test_the_jail_line_is_the_one_of_the_product() -> None:
    [line] = [line for line in COMMANDS if line.startswith("ccproxy jail")]
    assert shlex.split(line)[:3] == ["ccproxy", "jail", "--"]


@pytest.mark.django_db
def test_the_profile_of_the_guide_is_imported(tmp_path: Path) -> None:
    [text] = [block for kind, block in BLOCKS if kind == "yaml"]
    path = tmp_path / "ccproxy.yaml"
    path.write_text(text)
    path.chmod(0o600)
    call_command("importconfig", str(path), stdout=StringIO())
    profile: Any = ShapingProfile.objects.get(provider_type="anthropic")
    wanted = yaml.safe_load(text)["shaping"]["providers"]["anthropic"]
    assert profile.merge_strategies == wanted["merge_strategies"]
    assert len(profile.shape_hooks) == len(wanted["shape_hooks"])


@pytest.mark.django_db
def test_the_patch_of_the_guide_is_what_the_product_makes() -> None:
    [shown] = [block for kind, block in BLOCKS if kind == "diff"]
    shape = stored_shape("2.1.332")
    document = document_text(parts_of(shape))
    made = make_diff(document, document.replace('"Linux"', '"MacOS"'))
    assert _changed(shown) == _changed(made)
    assert shown.splitlines()[:2] == made.splitlines()[:2]


def _changed(diff: str) -> list[str]:
    return [line for line in diff.splitlines()[3:] if line[:1] in "+-"]


@pytest.mark.django_db
def test_the_guide_names_all_profiles_strategies_and_hooks() -> None:
    for name in SHIPPED:
        assert f"`{name}`" in GUIDE
    for name in ("regenerate", "caching.strip", "caching.insert", "codex", "gemini"):
        assert f"| `{name}` |" in GUIDE
    assert ServerSettings().shaping.enabled
    # The rule of the guide: nothing is shaped before the terms are confirmed.
    activate_version(stored_shape(), by=BOSS)
    assert not ShapingProfile.of("anthropic").is_acknowledged
    assert json.loads(Shape.objects.get().body)
