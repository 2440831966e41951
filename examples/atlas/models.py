"""Continents, countries and cities, as GeoNames knows them.

``objects = AsyncManager()`` is all that a model needs. ``threaded`` is there for the comparison:
a plain Django manager, whose ``a*`` methods run the sync ORM in a thread.
"""

from django.db import models

from turbo_orm import AsyncManager


class Continent(models.Model):
    """One of the seven; ``names`` maps a language's code to the continent's name in it."""

    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=20)
    population = models.BigIntegerField()
    names = models.JSONField(default=dict)

    objects = AsyncManager()
    threaded = models.Manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Country(models.Model):
    """A country or a territory with a code of its own; a few have no capital or currency."""

    code = models.CharField(max_length=2, primary_key=True)
    iso3 = models.CharField(max_length=3, unique=True)
    name = models.CharField(max_length=60)
    capital = models.CharField(max_length=40, null=True)
    continent = models.ForeignKey(Continent, models.PROTECT, related_name="countries")
    population = models.BigIntegerField()
    area_km2 = models.DecimalField(max_digits=10, decimal_places=1)
    currency = models.CharField(max_length=3, null=True)
    languages = models.JSONField(default=list)

    objects = AsyncManager()
    threaded = models.Manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return self.name


class City(models.Model):
    """A city of 15,000 people or more, or a capital; ``alternate_names`` are in all scripts."""

    geonameid = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=200)
    country = models.ForeignKey(Country, models.CASCADE, related_name="cities")
    admin1 = models.CharField(max_length=20, null=True)
    latitude = models.DecimalField(max_digits=9, decimal_places=6)
    longitude = models.DecimalField(max_digits=9, decimal_places=6)
    population = models.IntegerField()
    timezone = models.CharField(max_length=40)
    alternate_names = models.JSONField(default=list)
    added = models.DateTimeField(auto_now_add=True)

    objects = AsyncManager()
    threaded = models.Manager()

    class Meta:
        ordering = ["name", "geonameid"]
        get_latest_by = "added"
        verbose_name_plural = "cities"
        indexes = [models.Index(fields=["-population", "geonameid"], name="atlas_city_largest")]

    def __str__(self) -> str:
        return self.name
