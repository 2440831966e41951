"""Models that are saved to several tables, or have keys of their own, and cascades."""

import uuid

from django.db import models

from turbo_orm import AsyncManager


class Vehicle(models.Model):
    name = models.CharField(max_length=50)
    wheels = models.IntegerField(default=4)

    objects = AsyncManager()


class Car(Vehicle):
    doors = models.IntegerField(default=5)
    tows = models.ForeignKey(Vehicle, models.SET_NULL, null=True, related_name="towed_by")

    objects = AsyncManager()


class Taxi(Car):
    """The third table, with a link of its own name."""

    as_car = models.OneToOneField(Car, models.CASCADE, parent_link=True, related_name="as_taxi")
    number = models.IntegerField(default=0)
    changed = models.DateTimeField(auto_now=True)

    objects = AsyncManager()


class Boat(models.Model):
    boat_id = models.AutoField(primary_key=True)
    length = models.IntegerField(default=0)

    objects = AsyncManager()


class Amphibian(Car, Boat):
    """A child of two tables, of which one has a parent."""

    propellers = models.IntegerField(default=1)

    objects = AsyncManager()


class Trailer(Vehicle):
    """A child without a field."""

    objects = AsyncManager()


class Parked(models.Model):
    """A key that is made here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    place = models.CharField(max_length=50)

    objects = AsyncManager()


class Rented(Parked):
    days = models.IntegerField(default=1)

    objects = AsyncManager()


class Shop(models.Model):
    name = models.CharField(max_length=50)

    objects = AsyncManager()


class Aisle(models.Model):
    shop = models.ForeignKey(Shop, models.CASCADE, related_name="aisles")
    number = models.IntegerField(default=0)

    objects = AsyncManager()


class Till(models.Model):
    shop = models.ForeignKey(Shop, models.CASCADE, related_name="tills")
    other = models.ForeignKey(Shop, models.SET_NULL, null=True, related_name="lent")
    number = models.IntegerField(default=0)

    objects = AsyncManager()


class Depot(models.Model):
    """Only what is deleted at once depends on it."""

    name = models.CharField(max_length=50)

    objects = AsyncManager()


class Crate(models.Model):
    depot = models.ForeignKey(Depot, models.CASCADE, related_name="crates")
    target = models.ForeignKey(Depot, models.CASCADE, null=True, related_name="expected")

    objects = AsyncManager()


class Pallet(models.Model):
    depot = models.ForeignKey(Depot, models.CASCADE, related_name="pallets")

    objects = AsyncManager()


class Receipt(models.Model):
    till = models.ForeignKey(Till, models.CASCADE, related_name="receipts")
    total = models.IntegerField(default=0)

    objects = AsyncManager()


class LoudField(models.CharField):
    """Writes other SQL for other values."""

    def get_placeholder(self, value, compiler, connection):
        return "upper(%s)" if value and value.startswith("!") else "%s"

    def get_placeholder_sql(self, value, compiler, connection):
        return self.get_placeholder(value, compiler, connection), (value,)


class Label(models.Model):
    text = LoudField(max_length=50)

    objects = AsyncManager()


WRITTEN = [
    Vehicle,
    Car,
    Taxi,
    Boat,
    Amphibian,
    Trailer,
    Parked,
    Rented,
    Shop,
    Aisle,
    Till,
    Depot,
    Crate,
    Pallet,
    Receipt,
    Label,
]
