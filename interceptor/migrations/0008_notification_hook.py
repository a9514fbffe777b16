from django.db import migrations
from django.db.models import F


def add_notification_hook(apps, schema_editor):
    """Add the hook `inject_mcp_notifications` to an installation that has hooks.

    It does nothing until a program sends events for a session. A row that an import stored while
    the hook was not built is switched on: a person could not do that.
    """
    settings = apps.get_model('interceptor', 'HookSetting').objects
    # A new database is filled by the import of its configuration.
    if not settings.exists():
        return
    name = 'inject_mcp_notifications'
    if settings.filter(stage='outbound', name=name).update(enabled=True):
        return
    outbound = settings.filter(stage='outbound')
    before = outbound.filter(name='verbose_mode').first()
    position = before.position + 1 if before else 0
    outbound.filter(position__gte=position).update(position=F('position') + 1)
    settings.create(stage='outbound', name=name, position=position, enabled=True)


class Migration(migrations.Migration):

    dependencies = [
        ('interceptor', '0007_notifications'),
    ]

    operations = [
        migrations.RunPython(add_notification_hook, migrations.RunPython.noop),
    ]
