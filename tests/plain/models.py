"""Models with managers and querysets of Django's own, related in every way."""

import datetime
from decimal import Decimal

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Remark(models.Model):
    text = models.CharField(max_length=50)
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    target = GenericForeignKey()


class Shelf(models.Model):
    name = models.CharField(max_length=50, unique=True)
    remarks = GenericRelation(Remark)


class Label(models.Model):
    name = models.CharField(max_length=50)


class VolumeQuerySet(models.QuerySet):
    def thick(self):
        return self.filter(pages__gte=200)


class Volume(models.Model):
    title = models.CharField(max_length=50)
    pages = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=6, decimal_places=2, default=Decimal("9.50"))
    printed = models.DateTimeField(null=True)
    shelf = models.ForeignKey(Shelf, models.SET_NULL, null=True, related_name="volumes")
    labels = models.ManyToManyField(Label, related_name="volumes")
    remarks = GenericRelation(Remark)

    objects = VolumeQuerySet.as_manager()

    class Meta:
        get_latest_by = "pages"


MODELS = [Remark, Volume.labels.through, Volume, Label, Shelf]


def fill() -> None:
    """Fill the tables, by Django's sync ORM."""
    shelves = Shelf.objects.bulk_create(Shelf(name=name) for name in ["north", "south"])
    labels = Label.objects.bulk_create(Label(name=f"label {i}") for i in range(3))
    for i in range(7):
        volume = Volume.objects.create(
            title=f"volume {i}",
            pages=100 * i,
            shelf=[*shelves, None][i % 3],
            printed=datetime.datetime(2020, 1 + i, 1, tzinfo=datetime.UTC) if i % 2 else None,
        )
        volume.labels.set(labels[: i % 4])
        volume.remarks.create(text=f"on {i}")
    shelves[0].remarks.create(text="on a shelf")
