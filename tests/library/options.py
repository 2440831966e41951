"""Models whose Meta options change how they are saved, ordered or validated."""

import datetime

from django.core.exceptions import ValidationError
from django.db import models

from turbo_orm import AsyncManager


class Ledger(models.Model):
    """Asks whether a row is there before it writes it."""

    name = models.CharField(max_length=50)
    total = models.IntegerField(default=0)

    objects = AsyncManager()

    class Meta:
        select_on_save = True


class Poem(models.Model):
    title = models.CharField(max_length=50)

    objects = AsyncManager()


class Stanza(models.Model):
    """Has its place among those of its poem."""

    poem = models.ForeignKey(Poem, models.CASCADE, related_name="stanzas")
    text = models.CharField(max_length=50)

    objects = AsyncManager()

    class Meta:
        order_with_respect_to = "poem"


class Booking(models.Model):
    """Validates itself when it is saved, by everything that asks the database."""

    code = models.CharField(max_length=10, unique=True)
    team = models.ForeignKey("library.Team", models.CASCADE)
    room = models.IntegerField(choices=[(1, "the small one"), (2, "the large one")])
    day = models.DateField(default=datetime.date(2026, 1, 1))
    title = models.CharField(max_length=20, unique_for_month="day")
    begins = models.IntegerField(default=9)
    ends = models.IntegerField(default=10)

    objects = AsyncManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "day", "begins"], name="one_at_a_time"),
            models.CheckConstraint(
                condition=models.Q(ends__gt=models.F("begins")), name="ends_after_it_begins"
            ),
        ]

    def clean(self):
        if Booking.objects.filter(team_id=self.team_id).exclude(pk=self.pk).count() > 1:
            raise ValidationError("This team has two bookings already.")

    def save(self, *args, **kwargs):
        self.full_clean()
        super().save(*args, **kwargs)
