"""Geometry columns of several kinds and systems, a geography, and rasters."""

from django.contrib.gis.db import models

from turbo_orm import AsyncManager


class Place(models.Model):
    name = models.CharField(max_length=20)
    point = models.PointField()
    flat = models.PointField(srid=3857, null=True)
    area = models.PolygonField(null=True)
    track = models.LineStringField(geography=True, null=True)
    spot = models.PointField(geography=True, null=True)
    tower = models.PointField(dim=3, null=True)
    anything = models.GeometryField(null=True)
    objects = AsyncManager()

    class Meta:
        ordering = ["pk"]


class Visit(models.Model):
    place = models.ForeignKey(Place, models.CASCADE, related_name="visits")
    seen = models.MultiPointField(null=True)
    objects = AsyncManager()

    class Meta:
        ordering = ["pk"]


class Coverage(models.Model):
    name = models.CharField(max_length=20)
    raster = models.RasterField(null=True)
    objects = AsyncManager()

    class Meta:
        ordering = ["pk"]


class PlainPlace(models.Model):
    """The same table with a manager of Django's, which PATCH_DJANGO makes an async one."""

    name = models.CharField(max_length=20)
    point = models.PointField()

    class Meta:
        managed = False
        db_table = "places_place"
