"""A database with tables and without rows gets its first rows, whatever ended the start before."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from interceptor.config.transfer.database import ensure_database
from interceptor.models import HookSetting
from providers.base.errors import ConfigError
from providers.models import Provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def directory(settings: Settings, tmp_path: Path) -> Path:
    """The config directory, which is empty."""
    settings.CONFIG_DIR = tmp_path
    return tmp_path


def test_it_is_filled_once(directory: Path) -> None:
    state = ensure_database()
    assert (state.created, state.notes) == (True, ())
    assert "anthropic" in Provider.objects.values_list("name", flat=True)
    assert (directory / "ccproxy.yaml").exists()
    Provider.objects.all().delete()
    HookSetting.objects.all().delete()
    assert not ensure_database().created
    assert not Provider.objects.exists()


def test_a_refused_file_is_read_by_the_next_start(directory: Path) -> None:
    path = directory / "ccproxy.yaml"
    path.write_text(
        "providers: {mine: {host: h.example, type: openai, auth: {type: command, command: pwd}}}\n"
    )
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod go-w"):
        ensure_database()
    assert not Provider.objects.exists()
    path.chmod(0o600)
    state = ensure_database()
    assert state.notes == (f"imported 1 providers and 0 rules from {path}",)
    assert [row.name for row in Provider.objects.all()] == ["mine"]
    assert HookSetting.objects.exists()
