"""Inheritance over tables, abstract bases and proxies, and relations across them."""

from django.db import models

from turbo_orm import AsyncManager


class Region(models.Model):
    name = models.CharField(max_length=50)
    facts = models.JSONField(default=dict)

    objects = AsyncManager()


class Building(models.Model):
    """The first of three tables."""

    name = models.CharField(max_length=50)
    region = models.ForeignKey(Region, models.CASCADE, null=True, related_name="buildings")
    facts = models.JSONField(default=dict)

    objects = AsyncManager()


class Inn(Building):
    rooms = models.IntegerField(default=0)
    rival = models.ForeignKey("self", models.CASCADE, null=True, related_name="rivals")

    objects = AsyncManager()


class Palace(Inn):
    """The third, with a link of its own name."""

    as_inn = models.OneToOneField(Inn, models.CASCADE, parent_link=True, related_name="as_palace")
    towers = models.IntegerField(default=0)
    twin = models.ForeignKey(Building, models.CASCADE, null=True, related_name="twins")

    objects = AsyncManager()


class Cottage(Building):
    """Tells what its ``from_db()`` is called with."""

    hearths = models.IntegerField(default=1)

    objects = AsyncManager()

    @classmethod
    def from_db(cls, db, field_names, values, **kwargs):
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.loaded = (db, list(field_names), type(values).__name__, list(values))
        return instance


class Landmark(models.Model):
    landmark_id = models.AutoField(primary_key=True)
    fame = models.IntegerField(default=0)

    objects = AsyncManager()


class Lighthouse(Building, Landmark):
    """A child of two tables."""

    height = models.IntegerField(default=0)

    objects = AsyncManager()


class Stamped(models.Model):
    stamp = models.CharField(max_length=50, default="new")

    class Meta:
        abstract = True


class Numbered(Stamped):
    number = models.IntegerField(default=0)

    objects = AsyncManager()

    class Meta:
        abstract = True


class Ticketed(Numbered):
    """A child of two abstract bases."""

    building = models.ForeignKey(Building, models.CASCADE, related_name="tickets")


class QuietPalace(Palace):
    class Meta:
        proxy = True


class Tour(models.Model):
    """Refers to every level, to a proxy, and to itself."""

    building = models.ForeignKey(Building, models.CASCADE, related_name="tours")
    inn = models.ForeignKey(Inn, models.CASCADE, null=True, related_name="inn_tours")
    palace = models.ForeignKey(QuietPalace, models.CASCADE, null=True, related_name="tours_of_it")
    next = models.OneToOneField("self", models.CASCADE, null=True, related_name="previous")

    objects = AsyncManager()
