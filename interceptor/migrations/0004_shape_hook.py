from django.db import migrations
from django.db.models import F


def add_shape_hook(apps, schema_editor):
    """Add the hook `shape` to the outbound hooks of an installation that has hooks.

    It does nothing until a profile is acknowledged and a shape is active. A row that an import
    stored while the hook was not built is switched on: a person could not do that.
    """
    settings = apps.get_model('interceptor', 'HookSetting').objects
    # A new database is filled by the import of its configuration.
    if not settings.exists():
        return
    if settings.filter(stage='outbound', name='shape').update(enabled=True):
        return
    outbound = settings.filter(stage='outbound')
    before = outbound.filter(name='verbose_mode').first()
    position = before.position + 1 if before else 0
    outbound.filter(position__gte=position).update(position=F('position') + 1)
    settings.create(stage='outbound', name='shape', position=position, enabled=True)


class Migration(migrations.Migration):

    dependencies = [
        ('interceptor', '0003_cooldowns'),
    ]

    operations = [
        migrations.RunPython(add_shape_hook, migrations.RunPython.noop),
    ]
