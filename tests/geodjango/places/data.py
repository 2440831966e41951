"""What is in the tables."""

from django.contrib.gis.gdal import GDALRaster
from django.contrib.gis.geos import (
    GeometryCollection,
    LineString,
    MultiPoint,
    Point,
    Polygon,
)
from django.db import connection

from tests.geodjango.places.models import Coverage, Place, Visit

CITIES = {
    "Amsterdam": (4.89, 52.37),
    "Berlin": (13.40, 52.52),
    "Lagos": (3.38, 6.45),
    "Quito": (-78.47, -0.18),
    "Suva": (178.44, -18.14),
}


def box(x: float, y: float, size: float = 1.0) -> Polygon:
    return Polygon.from_bbox((x - size, y - size, x + size, y + size))


def raster(x: float, y: float, srid: int = 4326) -> GDALRaster:
    return GDALRaster(
        {
            "srid": srid,
            "width": 3,
            "height": 2,
            "origin": (x, y),
            "scale": (1, -1),
            "bands": [{"data": range(6), "nodata_value": 255}, {"data": [x % 200] * 6}],
        }
    )


def place(name: str) -> Place:
    """Return a place that is not saved, with whatever there can be."""
    x, y = CITIES[name]
    point = Point(x, y, srid=4326)
    return Place(
        name=name,
        point=point,
        flat=point.transform(3857, clone=True),
        area=box(x, y),
        track=LineString((x, y), (x - 1, y + 1), (x - 2, y), srid=4326),
        spot=point,
        tower=Point(x, y, 100, srid=4326),
        anything=GeometryCollection(point, box(x, y, 0.5), srid=4326),
    )


def empty() -> None:
    """Empty the tables, and have their keys begin at 1 again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE places_place, places_visit, places_coverage RESTART IDENTITY CASCADE"
        )


def fill() -> None:
    """Fill the tables: with values, with nulls, and with an empty geometry."""
    empty()
    for name in CITIES:
        place(name).save()
    Place.objects.create(name="nowhere", point=Point(0, 0))
    Place.objects.create(name="empty", point=Point(srid=4326), anything=Polygon(srid=4326))
    for each in Place.objects.exclude(name="empty"):
        Visit.objects.create(place=each, seen=MultiPoint(each.point, Point(1, 2)))
    Visit.objects.create(place=each)
    for name, (x, y) in CITIES.items():
        Coverage.objects.create(name=name, raster=raster(x, y))
    Coverage.objects.create(name="nothing")


def rows() -> list[list[tuple[object, ...]]]:
    """Return what is in the tables, as the server writes it."""
    found = []
    with connection.cursor() as cursor:
        for table in ("place", "visit", "coverage"):
            cursor.execute(f"SELECT places_{table}::text FROM places_{table} ORDER BY id")
            found.append(cursor.fetchall())
    return found
