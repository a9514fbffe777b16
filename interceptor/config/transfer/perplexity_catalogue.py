"""Import and export of `pplx.models`: the catalogue of Perplexity's models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interceptor.config.files.document import Document, KeyPath
from interceptor.config.files.sections.catalogue_section import ModelSection
from interceptor.config.transfer.rows import Change, ImportReport, Target
from interceptor.models import PerplexityModel
from providers.wire.perplexity.ask_conf import DEFAULT_CATALOGUE, CatalogueModel


def import_catalogue(
    models: Sequence[ModelSection], document: Document, report: ImportReport
) -> None:
    """Make the catalogue what the file lists, in its order.

    Raises:
        ConfigError: a model stands there twice; the message names line and key.
    """
    stored = {row.name: row for row in PerplexityModel.objects.all()}
    wanted = {model.name for model in models}
    for name, row in stored.items():
        if name not in wanted:
            report.changes.append(Change("removed", f"Perplexity model {name}"))
            row.delete()
    seen: set[str] = set()
    for index, model in enumerate(models):
        path: KeyPath = ("pplx", "models", index)
        if model.name in seen:
            raise document.error((*path, "name"), f": {model.name} stands twice in the catalogue")
        seen.add(model.name)
        row = stored.get(model.name) or PerplexityModel(name=model.name)
        values = model.model_dump(exclude={"name"}) | {"position": index + 1}
        Target(row, f"Perplexity model {model.name}", path, document).write(values, report)


def catalogue_section() -> list[dict[str, Any]]:
    """Return `pplx.models`; nothing for the catalogue of a new installation."""
    columns = PerplexityModel.objects.values_list("name", "identifier", "mode", "tier")
    rows = tuple([CatalogueModel(*row) for row in columns])
    if rows in ((), DEFAULT_CATALOGUE):
        return []
    return [_entry(row) for row in rows]


def _entry(model: CatalogueModel) -> dict[str, Any]:
    entry = {"name": model.id, "identifier": model.identifier}
    for name in ("mode", "tier"):
        value = getattr(model, name)
        if value != ModelSection.model_fields[name].default:
            entry[name] = value
    return entry
