"""Presets in the command and in a `ccproxy.yaml`."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from interceptor.config.files.document import parse_document
from interceptor.config.files.whole_file import parse_sections
from interceptor.config.transfer.importer import import_sections
from providers.base.errors import ConfigError
from providers.models import Provider
from providers.presets.preset_table import presets
from providers.services import destination

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_database(monkeypatch: Any) -> None:
    monkeypatch.setattr("interceptor.management.commands.addprovider.ensure_database", lambda: None)


def added(*arguments: str) -> str:
    out = StringIO()
    call_command("addprovider", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_adds_a_provider() -> None:
    said = added("azure-openai", "--set", "resource=mine", "--name", "azure")
    row = Provider.objects.get(name="azure")
    assert destination(row) == "https://mine.openai.azure.com/openai/v1/chat/completions"
    assert (row.auth_type, row.auth_header) == ("key", "api-key")
    assert row.native_formats == ["openai_responses"]
    assert "printenv AZURE_OPENAI_API_KEY | ccproxy setkey azure" in said
    assert "sk-ccproxy-azure" in said
    assert "setkey" not in added("ollama")


def test_the_command_lists_the_presets() -> None:
    said = added()
    assert [line.split()[0] for line in said.splitlines() if not line.startswith(" ")] == list(
        presets()
    )
    assert "--set project=…" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mistrl"], "did you mean mistral"),
        (["azure-openai"], "needs “resource”"),
        (["mistral", "--set", "region"], "--set BLANK=VALUE"),
        (["mistral", "--set", "region=x"], "has no “region”"),
    ],
)
def test_what_cannot_be_added(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        added(*arguments)
    assert not Provider.objects.exists()


def test_a_provider_that_is_there_is_not_replaced() -> None:
    added("mistral")
    with pytest.raises(CommandError, match="already"):
        added("mistral")


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_valid_as_one_line_of_yaml(name: str) -> None:
    blanks = "".join(f", {text.strip('{}')}: mine" for text, _ in presets()[name].to_replace)
    document = parse_document(f"providers:\n  one: {{preset: {name}{blanks}}}\n", "f.yaml")
    import_sections(parse_sections(document), document)
    row = Provider.objects.get(name="one")
    row.full_clean()
    assert "{" not in row.host


def test_an_unknown_preset_is_refused_with_its_line() -> None:
    document = parse_document("providers:\n  one: {preset: mistrl}\n", "f.yaml")
    with pytest.raises(ConfigError, match=r"f\.yaml:2.*did you mean mistral"):
        parse_sections(document)
