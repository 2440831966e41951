"""What is read and written with geometries, geographies and rasters is what Django gives."""

from functools import cache

import pytest

READINGS = {
    "all": "Place.objects.all()",
    "related": "Visit.objects.select_related('place')",
    "prefetched": "Place.objects.prefetch_related('visits')",
    "deferred": "Place.objects.defer('area', 'track').filter(name='Suva')",
    "only": "Place.objects.only('point')",
    "values": "Place.objects.values('name', 'point', 'track', 'tower')",
    "values_list": "Place.objects.values_list('name', 'anything')",
    "flat": "Place.objects.values_list('point', flat=True)",
    "named": "Place.objects.values_list('name', 'area', named=True)",
    "rasters": "Coverage.objects.all()",
    "raster values": "Coverage.objects.values_list('name', 'raster')",
    "union": "Place.objects.filter(name='Suva').order_by()"
    ".union(Place.objects.filter(name='Lagos').order_by()).order_by('name')",
    # Lookups
    "contains": "Place.objects.filter(area__contains=Point(13.4, 52.5, srid=4326))",
    "contains of another system": "Place.objects.filter("
    "area__contains=Point(13.4, 52.5, srid=4326).transform(3857, clone=True))",
    "exclude": "Place.objects.exclude(area__contains=Point(13.4, 52.5))",
    "dwithin": "Place.objects.filter(flat__dwithin=(Point(550000, 6860000, srid=3857), 9000))",
    "dwithin with a distance": "Place.objects.filter("
    "flat__dwithin=(Point(550000, 6860000, srid=3857), D(km=9)))",
    "dwithin of geographies": "Place.objects.filter("
    "spot__dwithin=(Point(5, 52, srid=4326), D(km=100)))",
    "dwithin in degrees": "Place.objects.filter(point__dwithin=(Point(5, 52), 3))",
    "distance_lte": "Place.objects.filter(point__distance_lte=(Point(5, 52), D(km=900)))",
    "distance_lte on the spheroid": "Place.objects.filter("
    "point__distance_lte=(Point(5, 52), D(km=900), 'spheroid'))",
    "distance_gt of geographies": "Place.objects.filter("
    "spot__distance_gt=(Point(5, 52), D(mi=100)))",
    "distance_lt of a column": "Place.objects.filter(point__distance_lt=(F('tower'), D(m=1)))",
    "bboverlaps": "Place.objects.filter(area__bboverlaps=box(4, 52, 2))",
    "intersects": "Place.objects.filter(track__intersects=box(13, 52, 3))",
    "relate": "Place.objects.filter(area__relate=(box(4, 52, 2), 'T********'))",
    "within a column": "Place.objects.filter(point__within=F('area'))",
    "exact": "Place.objects.filter(point=Point(4.89, 52.37))",
    "in": "Place.objects.filter(point__in=[Point(4.89, 52.37), Point(3.38, 6.45)])",
    "isnull": "Place.objects.filter(area__isnull=True)",
    "isempty": "Place.objects.filter(anything__isempty=True)",
    "isvalid": "Place.objects.filter(area__isvalid=True)",
    "geom_type": "Place.objects.filter(anything__geom_type='GEOMETRYCOLLECTION')",
    "through a relation": "Visit.objects.filter(place__area__contains=Point(13.4, 52.5))",
    "text of a geometry": "Place.objects.filter(point='POINT(4.89 52.37)')",
    "what is no geometry": "Place.objects.filter(point='no geometry')",
    "a raster that contains a point": "Coverage.objects.filter("
    "raster__contains=Point(14, 52, srid=4326))",
    "bboverlaps of rasters": "Coverage.objects.filter(raster__bboverlaps=raster(14, 52))",
    "intersects of a band": "Coverage.objects.filter(raster__0__intersects=raster(14, 52))",
    # Functions
    "Distance": "Place.objects.annotate(d=Distance('point', Point(5, 52, srid=4326)))"
    ".order_by('d', 'pk')",
    "Distance of geographies": "Place.objects.annotate("
    "d=Distance('spot', Point(5, 52, srid=4326))).values_list('name', 'd')",
    "Distance of metres": "Place.objects.annotate(d=Distance('flat', F('flat')))",
    "filter by Distance": "Place.objects.annotate("
    "d=Distance('spot', Point(5, 52, srid=4326))).filter(d__lte=D(km=1000).m)",
    "Area": "Place.objects.annotate(a=Area('area')).values_list('name', 'a')",
    "Area of metres": "Place.objects.annotate(a=Area(Transform('area', 3857)))"
    ".filter(area__isnull=False)",
    "Transform": "Place.objects.annotate(t=Transform('point', 3857))",
    "AsGeoJSON": "Place.objects.annotate(j=AsGeoJSON('anything', precision=3)).values('j')",
    "AsWKT": "Place.objects.annotate(j=AsWKT('point'), k=AsWKB('point'))",
    "Centroid": "Place.objects.annotate(c=Centroid('area')).values_list('c', flat=True)",
    "Length and Perimeter": "Place.objects.annotate(n=Length('track'), p=Perimeter('area'))"
    ".exclude(area=None)",
    "Intersection": "Place.objects.annotate(i=Intersection('area', box(4, 52)))",
    "MakeValid and Envelope": "Place.objects.annotate(v=MakeValid('area'), e=Envelope('track'))"
    ".filter(track=None)",
    "Translate and Scale": "Place.objects.annotate("
    "v=Translate('point', 1, 2), s=Scale('area', 2, 3))",
    "GeoHash": "Place.objects.filter(area__isnull=False).annotate(h=GeoHash('point', 6))",
    "IsValid and NumPoints": "Place.objects.annotate(v=IsValid('area'), n=NumPoints('track'))"
    ".filter(track__isnull=False)",
    "a geometry as a value": "Place.objects.annotate("
    "v=Value(Point(1, 2, srid=4326), output_field=PointField()))",
    # Aggregates
    "Collect": "Visit.objects.values('place__name').annotate(c=Collect('place__point'))"
    ".order_by('place__name')",
    "Union": "Place.objects.values('visits').annotate(u=Union('area')).order_by('visits')",
    "Extent": "Visit.objects.values('place').annotate(e=Extent('seen')).order_by('place')",
}

SCENARIOS = {
    "aggregates": """
return await player.call(
    Place.objects.all(), "aggregate", Collect("point"), Extent("area"), Extent3D("tower"),
    Union("area"), MakeLine("point"), n=Count("pk"),
)
""",
    "aggregates of nothing": """
return await player.call(
    Place.objects.filter(pk=0), "aggregate", Collect("point"), Extent("area"), Union("area")
)
""",
    "an aggregate of what is filtered": """
found = Place.objects.filter(area__contains=Point(13.4, 52.5))
return await player.call(found, "aggregate", Extent("area")), await player.call(found, "count")
""",
    "get": """
return await player.call(Place.objects, "get", point__distance_lte=(Point(5, 52), 50000))
""",
    "get by another column": "return await player.call(Place.objects, 'get', name='Quito')",
    "first and last": """
found = Place.objects.annotate(d=Distance("spot", Point(5, 52, srid=4326))).exclude(d=None)
return await player.call(found.order_by("d"), "first"), await player.call(found, "last")
""",
    "exists": """
return await player.call(Place.objects.filter(area__bboverlaps=box(5, 52)), "exists")
""",
    "in_bulk": "return await player.call(Place.objects, 'in_bulk', [1, 3])",
    "create": """
made = await player.call(Place.objects, "create", name="new", point=Point(1, 2))
return made, await player.call(Place.objects, "get", pk=made.pk)
""",
    "create of texts": """
return await player.call(
    Place.objects, "create", name="new", point="POINT(1 2)",
    area="SRID=4326;POLYGON((0 0,0 1,1 1,0 0))",
)
""",
    "create in another system": """
made = await player.call(
    Place.objects, "create", name="new", point=Point(556597, 6446275, srid=3857), flat=Point(1, 2)
)
return await player.call(made, "refresh_from_db"), made
""",
    "texts in several systems": """
found = []
for text in ("POINT(4.89 52.37)", "SRID=3857;POINT(544352.3 6867407.4)", "POINT(1 2)"):
    found.append(await player.call(Place.objects.filter(pk=3), "update", point=text))
    found.append(await player.list(Place.objects.filter(point=text)))
    found.append(await player.list(Place.objects.filter(point__bboverlaps=text)))
    found.append(await player.list(Place.objects.filter(point__dwithin=(text, 1))))
    found.append(await player.list(Place.objects.filter(spot__distance_lte=(text, 5000))))
    made = await player.call(Place.objects, "create", name="new", point=text, track=None)
    found.append(made)
    made.point = text
    found.append(await player.call(made, "save"))
    found.append(await player.call(made, "save", update_fields=["point"]))
    found.append(await player.call(Place.objects, "get_or_create", point=text, name="new"))
    found.append(await player.call(Place.objects, "bulk_update", [made], ["point"]))
return found
""",
    "nothing": """
found = []
for value in (None, "POINT(1 2)", Point(1, 2, srid=3857)):
    found.append(await player.call(Place.objects.filter(pk=3), "update", flat=value))
    made = await player.call(Place.objects, "create", name="new", point=Point(1, 2), flat=value)
    found.append(made)
    made.flat = value
    found.append(await player.call(made, "save"))
    found.append(await player.list(Place.objects.filter(flat=value)))
return found
""",
    "create of what is no geometry": """
return await player.call(Place.objects, "create", name="new", point="no geometry")
""",
    "create with the wrong geometry": """
return await player.call(Place.objects, "create", name="new", point=box(1, 2))
""",
    "create without a geometry": "return await player.call(Place.objects, 'create', name='new')",
    "create with an expression": """
made = await player.call(
    Place.objects, "create", name="new",
    point=Centroid(Value(box(1, 2), output_field=PolygonField())),
)
return await player.call(Place.objects, "get", pk=made.pk)
""",
    "save": """
new = place("Suva")
await player.call(new, "save")
new.point, new.track, new.name = Point(9, 9), None, "moved"
await player.call(new, "save")
new.anything = LineString((0, 0), (1, 1))
await player.call(new, "save", update_fields=["anything"])
return new
""",
    "refresh": """
one = await player.call(Place.objects, "get", pk=2)
await player.call(Place.objects.filter(pk=2), "update", point=Point(7, 7))
await player.call(one, "refresh_from_db")
return one
""",
    "update": """
return (
    await player.call(Place.objects.filter(name="Quito"), "update", point=Point(1, 1), track=None),
    await player.call(Place.objects.filter(name="Suva"), "update", area=Envelope("track")),
    await player.call(Place.objects.filter(pk__lt=3), "update", flat=Transform("point", 3857)),
    await player.call(
        Place.objects.filter(pk=4), "update", point=Point(556597, 6446275, srid=3857)
    ),
)
""",
    "bulk_create": """
return await player.call(Place.objects, "bulk_create", [place(name) for name in CITIES])
""",
    "bulk_create in other systems": """
return await player.call(
    Place.objects, "bulk_create",
    [
        Place(name="a", point=Point(1, 2)),
        Place(name="b", point=Point(556597, 6446275, srid=3857), flat=Point(5, 52, srid=4326)),
        Place(name="c", point="POINT(3 4)"),
    ],
)
""",
    "bulk_create that updates": """
return await player.call(
    Place.objects, "bulk_create",
    [Place(pk=n, name=f"n{n}", point=Point(n, n)) for n in range(1, 12)],
    update_conflicts=True, unique_fields=["pk"], update_fields=["name", "point"],
)
""",
    "bulk_update": """
found = await player.list(Place.objects.exclude(name="empty"))
for number, each in enumerate(found):
    each.point, each.track = Point(number, 1), None if number % 2 else each.track
found[3].point = Point(556597, 6446275, srid=3857)
found[4].point = "SRID=3857;POINT(1 2)"
return await player.call(Place.objects, "bulk_update", found, ["point", "track", "name"])
""",
    "get_or_create": """
return [
    await player.call(
        Place.objects, "get_or_create", name=name, defaults={"point": Point(1, 2)}
    )
    for name in ("Quito", "new")
]
""",
    "get_or_create by a geometry": """
return [
    await player.call(Place.objects, "get_or_create", point=Point(1, 2), defaults={"name": "new"})
    for _ in range(2)
]
""",
    "update_or_create": """
return [
    await player.call(
        Place.objects, "update_or_create", name=name, defaults={"point": Point(1, 2)}
    )
    for name in ("Quito", "new")
]
""",
    "delete": """
return await player.call(Place.objects.filter(area__contains=Point(13.4, 52.5)), "delete")
""",
    "related managers": """
one = await player.call(Place.objects, "get", pk=2)
await player.call(one.visits, "create", seen=MultiPoint(Point(1, 1)))
return await player.list(one.visits.filter(seen__bboverlaps=box(1, 1)))
""",
    "a transaction": """
async with player.atomic():
    await player.call(Place.objects, "create", name="new", point=Point(1, 2))
    try:
        async with player.atomic():
            await player.call(Place.objects, "create", name="undone", point=Point(1, 2))
            raise ValueError
    except ValueError:
        return await player.call(Place.objects, "count")
""",
    "writing rasters": """
made = await player.call(Coverage.objects, "create", name="new", raster=raster(1, 2))
made.raster = raster(3, 4, 3857)
await player.call(made, "save")
await player.call(
    Coverage.objects, "bulk_create", [Coverage(name="b", raster=raster(n, n)) for n in range(3)]
)
await player.call(Coverage.objects.filter(name="Suva"), "update", raster=raster(7, 7))
return [
    (each.name, each.raster and (each.raster.srid, each.raster.bands[1].data().tolist()))
    for each in await player.list(Coverage.objects.all())
]
""",
    "raw": """
raw = Place.objects.raw("SELECT *, ST_Area(area) AS size FROM places_place ORDER BY id")
return [(each, each.size) for each in await player.list(raw)]
""",
    "iteration while others write": """
return [
    [each.point for each in await player.iterate(Place.objects.all(), chunk_size=2)],
    await player.call(Place.objects.filter(name="Suva"), "update", name="Fiji"),
    [each.name for each in await player.iterate(Place.objects.all(), chunk_size=2)],
]
""",
}


NAMES = [*READINGS, *SCENARIOS]
# So many are compared by one process, which takes a few seconds.
TOGETHER = 15


@pytest.fixture(scope="module")
def differences(databases):
    from tests.geodjango.project import run_in_gis

    @cache
    def of_those_from(first):
        names = NAMES[first : first + TOGETHER]
        readings = {name: READINGS[name] for name in names if name in READINGS}
        scenarios = {name: SCENARIOS[name] for name in names if name in SCENARIOS}
        return run_in_gis(f"answer(everything({readings!r}, {scenarios!r}))", databases)

    def difference(name):
        return of_those_from(NAMES.index(name) // TOGETHER * TOGETHER)[name]

    return difference


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_django_gives(name, differences):
    assert differences(name) == ""
