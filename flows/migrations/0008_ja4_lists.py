from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('flows', '0007_shapes_of_flows'),
    ]

    operations = [
        migrations.AddField(
            model_name='flow',
            name='ja4_r',
            field=models.TextField(blank=True, help_text='JA4 with the lists themselves.'),
        ),
    ]
