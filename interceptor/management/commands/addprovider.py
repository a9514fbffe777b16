"""Command that adds a provider from a preset (`ccproxy addprovider PRESET`)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from interceptor.config.files.document import Document
from interceptor.config.files.sections.provider_section import ProviderSection
from interceptor.config.files.whole_file import Sections
from interceptor.config.transfer.database import ensure_database
from interceptor.config.transfer.importer import import_sections
from interceptor.management import parsers
from providers.models import Provider
from providers.presets.preset_table import BadPreset, Preset, preset_named, presets
from providers.services import destination


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parsers.addprovider(parser)

    def handle(
        self, *_: Any, preset: str, name: str, blanks: Sequence[str], **options: Any
    ) -> None:
        if not preset:
            self._list(as_json=options["json"])
            return
        try:
            found = preset_named(preset)
            filled = found.filled(_pairs(blanks))
        except BadPreset as exc:
            raise CommandError(str(exc)) from None
        ensure_database()
        name = name or found.name
        if Provider.objects.filter(name=name).exists():
            raise CommandError(
                f"there is a provider “{name}” already; give another name with --name"
            )
        section = ProviderSection.model_validate(filled.section())
        document = Document(source=f"the preset {found.name}")
        import_sections(Sections(providers={name: section}), document)
        row = Provider.objects.get(name=name)
        if options["json"]:
            report = {"name": name, "destination": destination(row), "key_needed": _needs_key(row)}
            self.stdout.write(json.dumps(report))
            return
        self.stdout.write(f"Added {name}: {destination(row)}")
        if _needs_key(row):
            self.stdout.write(f"Store its key with: {_key_command(found, name)}")
        if found.note:
            self.stdout.write(found.note)
        self.stdout.write(f"Clients use the key sk-ccproxy-{name}.")

    def _list(self, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([_values(preset) for preset in presets().values()]))
            return
        for preset in presets().values():
            self.stdout.write(f"{preset.name:18}{preset.title}")
            for blank, (meaning, default) in preset.blanks.items():
                shown = f"; else {default}" if default else ""
                self.stdout.write(f"{'':18}--set {blank}=…  {meaning}{shown}")


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    """Read `--set` arguments: ["resource=mine"] → {"resource": "mine"}."""
    pairs: dict[str, str] = {}
    for text in texts:
        blank, equals, value = text.partition("=")
        if not equals:
            raise BadPreset(f"write --set BLANK=VALUE instead of “{text}”")
        pairs[blank] = value
    return pairs


def _needs_key(row: Provider) -> bool:
    return bool(row.auth_type == "key" and not row.secret)


def _key_command(preset: Preset, name: str) -> str:
    source = f"printenv {preset.variable} | " if preset.variable else ""
    return f"{source}ccproxy setkey {name}"


def _values(preset: Preset) -> dict[str, Any]:
    blanks = {name: blank._asdict() for name, blank in preset.blanks.items()}
    return {"name": preset.name, "title": preset.title, "blanks": blanks, "source": preset.source}
