"""One row of texts a flow instead of a row for each side and each step of a hook, and which bodies a flow needs."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def drop_index_of_started_at(apps: Any, schema_editor: Any) -> None:
    """On SQLite Django would write the whole table anew for this. `flow_newest` begins with the same column."""
    connection = schema_editor.connection
    flow = apps.get_model("flows", "Flow")
    if connection.vendor != "sqlite":
        indexed = models.DateTimeField(db_index=True)
        indexed.set_attributes_from_name("started_at")
        schema_editor.alter_field(flow, indexed, flow._meta.get_field("started_at"))
        return
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, flow._meta.db_table)
    for name, about in found.items():
        if about["index"] and not about["unique"] and about["columns"] == ["started_at"]:
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


def add_index_of_started_at(apps: Any, schema_editor: Any) -> None:
    """As it was."""
    flow, indexed = apps.get_model("flows", "Flow"), models.DateTimeField(db_index=True)
    indexed.set_attributes_from_name("started_at")
    schema_editor.alter_field(flow, flow._meta.get_field("started_at"), indexed)


class Migration(migrations.Migration):
    dependencies = [("flows", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="FlowParts",
            fields=[
                (
                    "flow",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="parts",
                        serialize=False,
                        to="flows.flow",
                    ),
                ),
                (
                    "headers",
                    models.TextField(
                        default="[]", help_text="The lists of headers of the sides, secrets redacted."
                    ),
                ),
                ("sides", models.TextField(default="[]")),
                ("steps", models.TextField(default='{"headers":[],"steps":[]}')),
            ],
        ),
        migrations.CreateModel(
            name="BodyRef",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "flow_id", "digest", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "flow",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="flows.flow",
                    ),
                ),
                ("digest", models.CharField(db_index=True, max_length=64)),
            ],
        ),
        migrations.AddField(
            model_name="flow",
            name="hooks_ran",
            field=models.TextField(
                blank=True,
                help_text="Names of the hooks that ran, in order, as JSON without spaces.",
                null=True,
            ),
        ),
        # The filter by model asks for either of two columns, so no database ever used it.
        migrations.RemoveIndex(model_name="flow", name="flow_model"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_index_of_started_at, add_index_of_started_at)],
            state_operations=[
                migrations.AlterField(model_name="flow", name="started_at", field=models.DateTimeField())
            ],
        ),
    ]
