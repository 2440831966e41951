"""The engine turbo_orm.backends.postgis: its connections, their types, and what sync code has."""

import pytest

POOLS = {
    "by default": {},
    "a small one": {"pool": {"min_size": 1, "max_size": 2}},
    "none": {"pool": False},
}


def with_options(databases, options):
    default = databases["default"]
    return {**databases, "default": {**default, "OPTIONS": {**default["OPTIONS"], **options}}}


@pytest.mark.parametrize("pool", POOLS)
def test_the_types_are_asked_for_once_in_a_process(pool, gis, databases):
    code = """
        from psycopg.types import TypeInfo

        fetched, fetch = [], TypeInfo.fetch

        def noting(connection, name):
            fetched.append(name)
            return fetch(connection, name)

        TypeInfo.fetch = noting
        opened = set()

        async def read():
            async with async_connection() as cursor_of:
                opened.add(connection.connection.info.backend_pid)
                await asyncio.sleep(0.01)
                return await Place.objects.filter(point=Point(4.89, 52.37)).acount()

        async def main():
            found = [await read()]
            return found + await asyncio.gather(*[read() for _ in range(6)])

        fill()
        fetched.clear()
        TypeInfo.fetch = noting
        from django.contrib.gis.db.backends.postgis.base import DatabaseWrapper
        for known in DatabaseWrapper._type_infos.values():
            known.clear()
        counts = asyncio.run(main())
        # Sync code has them from then on, too.
        connection.close()
        counts.append(Place.objects.filter(point=Point(4.89, 52.37)).count())
        answer([counts, len(opened) > 1, fetched])
    """
    found = gis(code, DATABASES=with_options(databases, POOLS[pool]))
    assert found == [[1] * 8, True, ["geometry", "geography", "raster"]]


def test_what_is_asked_for_of_a_system_of_coordinates_is_awaited(gis):
    code = """
        from django.contrib.gis.db.models.fields import _srid_cache

        async def main():
            near = Place.objects.filter(flat__dwithin=(Point(544352, 6867407, srid=3857), D(km=9)))
            return [each.name for each in await near.alist()]

        fill()
        _srid_cache.clear()
        with only_the_event_loop():
            found = asyncio.run(main())
        answer([found, list(_srid_cache["default"])])
    """
    assert gis(code) == [["Amsterdam"], [3857]]


def test_explain_hydration_says_who_reads(gis):
    code = """
        fill()
        places = Place.objects.annotate(
            d=Distance("spot", Point(5, 52, srid=4326)), j=AsGeoJSON("point")
        ).only("name", "point", "track")
        explained = [explain_hydration(places), explain_hydration(Coverage.objects.all())]
        explained.append(asyncio.run(aexplain_hydration(places)))
        assert explained[0] == explained[2]
        answer([
            [[c.name, c.type, c.decoder, c.reason, c.converters] for c in each.columns]
            for each in explained[:2]
        ])
    """
    operations = "django.contrib.gis.db.backends.postgis.operations.PostGISOperations"
    geometry = f"{operations}.get_geometry_converter.<locals>.converter()"
    places, coverages = gis(code)
    assert places == [
        ["id", "bigint", "int", "", []],
        ["name", "character varying", "text", "", []],
        ["point", "geometry", "text", "", [geometry]],
        ["track", "geography", "text", "", [geometry]],
        ["d", "double precision", "float", "", [DISTANCE]],
        ["j", "text", "text", "", []],
    ]
    assert coverages[2] == ["raster", "raster", "text", "", [RASTER]]


DISTANCE = "django.contrib.gis.db.models.sql.conversion.DistanceField.from_db_value()"
RASTER = "django.contrib.gis.db.models.fields.RasterField.from_db_value()"


def test_a_cached_statement_reads_with_the_reader_of_each_thread(gis):
    """What parses geometries is Django's, which has one for each thread."""
    code = """
        from threading import Thread, get_ident
        from django.contrib.gis.db.backends.postgis import operations
        from turbo_orm import cache_info

        reader, called = operations.wkb_r, []

        def noting():
            called.append(get_ident())
            return reader()

        operations.wkb_r = noting

        async def read():
            found = [place.point async for place in Place.objects.filter(name="Suva")]
            assert found == [Point(178.44, -18.14, srid=4326)]

        def read_elsewhere():
            called.clear()
            asyncio.run(read())
            assert {*called} == {get_ident()}
            hits.append(cache_info().hits)

        fill()
        for _ in range(3):
            asyncio.run(read())
        hits = [cache_info().hits]
        for _ in range(2):
            thread = Thread(target=read_elsewhere)
            thread.start()
            thread.join()
        answer([later - before for before, later in zip(hits, hits[1:])])
    """
    assert gis(code) == [1, 1]


def test_sync_code_has_djangos_wrapper_and_what_is_cached(gis):
    code = """
        from django.contrib.gis.db.backends.postgis.base import DatabaseWrapper
        from django.db import connections
        from turbo_orm import cache_info

        fill()
        found = []
        for _ in range(4):
            found.append([each.point.coords for each in Place.objects.filter(name="Suva")])
        answer([isinstance(connections["default"], DatabaseWrapper), found, cache_info().hits > 0])
    """
    assert gis(code) == [True, [[[178.44, -18.14]]] * 4, True]


def test_models_without_an_async_manager(gis):
    code = """
        async def main():
            made = await PlainPlace.objects.acreate(name="new", point=Point(1, 2))
            made.point = Point(544352, 6867407, srid=3857)
            await made.asave()
            near = PlainPlace.objects.filter(point__dwithin=(Point(4.89, 52.37), 0.1))
            return [(each.name, each.pk == made.pk) async for each in near.order_by("pk")]

        fill()
        with only_the_event_loop():
            answer(asyncio.run(main()))
    """
    assert gis(code, TURBO_ORM={}) == [["Amsterdam", False], ["new", True]]


def test_the_extension_and_tables_are_made_on_the_bridge(gis):
    code = """
        from django.db import connections
        from django.core.management import call_command
        from psycopg.types import TypeInfo

        other = connections["other"]
        with other.cursor() as cursor:
            cursor.execute("DROP EXTENSION IF EXISTS postgis CASCADE")
        other.close()

        def make():
            there = connections["other"]
            there.prepare_database()
            with there.cursor() as cursor:
                cursor.execute("CREATE EXTENSION postgis_raster")
            there.register_geometry_adapters(there.connection, True)
            with there.schema_editor() as editor:
                editor.create_model(Place)
                editor.create_model(Coverage)
            with there.cursor() as cursor:
                table = there.introspection.get_table_description(cursor, "places_place")
                types = [there.introspection.get_field_type(c.type_code, c) for c in table]
                kept = there.introspection.get_constraints(cursor, "places_place").values()
            return types, sorted(each["type"] for each in kept if each["index"])

        def drop():
            with connections["other"].schema_editor() as editor:
                editor.delete_model(Place)
                editor.delete_model(Coverage)

        async def main():
            made = await run_sync(make)
            await Place.objects.using("other").acreate(name="new", point=Point(1, 2))
            await Coverage.objects.using("other").acreate(raster=raster(1, 2))
            found = [each.point.coords async for each in Place.objects.using("other")]
            found += [each.raster.srid async for each in Coverage.objects.using("other")]
            await run_sync(drop)
            return made, found

        with only_the_event_loop():
            answer(asyncio.run(main()))
    """
    (types, indexes), found = gis(code)
    assert types == ["BigAutoField", "CharField", *["GeometryField"] * 7]
    assert indexes == ["gist"] * 7
    assert found == [[1.0, 2.0], 4326]


def test_a_test_case_shares_its_connection(gis):
    code = """
        from django.db import transaction
        from turbo_orm.backend.shared_connection import shared_connections

        async def main():
            await Place.objects.acreate(name="new", point=Point(1, 2))
            within = Place.objects.filter(point__within=box(1, 2))
            return [each.point.coords async for each in within]

        empty()
        with shared_connections(), transaction.atomic():
            found = asyncio.run(main())
            found.append(Place.objects.get(point=Point(1, 2)).name)
            transaction.set_rollback(True)
        answer([found, Place.objects.count()])
    """
    assert gis(code) == [[[1.0, 2.0], "new"], 0]


def test_djangos_engine_is_named_another(gis, databases):
    code = """
        from django.core.checks import run_checks

        async def main():
            try:
                await Place.objects.acount()
            except Exception as exc:
                return str(exc)

        hints = [each.hint for each in run_checks() if each.id == "turbo_orm.E001"]
        answer([asyncio.run(main()), hints])
    """
    djangos = {
        alias: {**each, "ENGINE": "django.contrib.gis.db.backends.postgis"}
        for alias, each in databases.items()
    }
    message, hints = gis(code, DATABASES=djangos)
    assert "Set it to 'turbo_orm.backends.postgis'" in message
    assert "Set its ENGINE to 'turbo_orm.backends.postgis'; it is" in hints[0]


def test_djangos_private_names_are_there(gis):
    code = """
        from tests.support.private_names import is_there
        from turbo_orm.patches.private_api import NAMES

        names = [each for each in NAMES if each.owner.startswith("django.contrib.gis")]
        answer([len(names), [each.path for each in names if not is_there(each)]])
    """
    assert gis(code) == [2, []]
