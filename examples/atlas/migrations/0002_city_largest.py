from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("atlas", "0001_initial")]

    operations = [
        migrations.AddIndex(
            "city",
            models.Index(fields=["-population", "geonameid"], name="atlas_city_largest"),
        ),
    ]
