"""Drops the tables of sides and steps, after a last look for flows that were written since they were converted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations


def convert_the_rest(apps: Any, schema_editor: Any) -> None:
    """A proxy of the version before may have gone on writing. PostgreSQL drops no table with checks outstanding."""
    import_module("flows.migrations.0003_convert_parts").convert(apps, schema_editor)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [("flows", "0003_convert_parts")]
    operations = [
        migrations.RunPython(convert_the_rest, migrations.RunPython.noop),
        migrations.DeleteModel(name="FlowSide"),
        migrations.DeleteModel(name="HookTrace"),
    ]
