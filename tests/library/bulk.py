"""What is written in bulk: a field of each type known natively, and of some others."""

import uuid

from django.db import models

from turbo_orm import AsyncManager


class Parcel(models.Model):
    """One field of each type that has a native encoder."""

    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    real = models.FloatField(null=True)
    flag = models.BooleanField(null=True)
    text = models.TextField(null=True)
    char = models.CharField(max_length=50, null=True)
    amount = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    moment = models.DateTimeField(null=True)
    span = models.DurationField(null=True)
    key = models.UUIDField(null=True)
    data = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)
    upload = models.FileField(null=True)
    upper = models.GeneratedField(
        expression=models.functions.Upper("text"),
        output_field=models.TextField(),
        db_persist=True,
    )

    objects = AsyncManager()


class Letter(models.Model):
    """A key that is made here, and a field whose values go into no array."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.CharField(max_length=50)
    parcel = models.ForeignKey(Parcel, models.CASCADE, null=True)
    weight = models.IntegerField(db_default=20)
    seal = models.BinaryField(null=True)

    objects = AsyncManager()


class Stamp(models.Model):
    added = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)
    price = models.IntegerField(db_default=20)

    objects = AsyncManager()


WRITTEN = [Parcel, Letter, Stamp]
