"""What settings and the driver may do to results on their way: the answers stay Django's."""

from contextlib import contextmanager

import pytest
from django.db import NotSupportedError, connections
from django.db.backends.signals import connection_created
from django.db.models import Count, F, Prefetch, TextField, Value
from django.test import override_settings
from psycopg.pq import Format

from tests.library.fields import Arrays, Bag, Ranges, Structured
from tests.library.kinds import Converting, WithFromDbBelow
from tests.library.models import Author, Book, Order, Place, Sample
from tests.support.selecting import selected
from turbo_orm.backend.handler import process_connection
from turbo_orm.driver import libpq

MODELS = [Arrays, Book, Converting, Ranges, Sample, Structured]

QUERYSETS = {
    "instances": lambda: Book.objects.order_by("pk"),
    "related": lambda: Book.objects.select_related("author__profile", "translator").order_by("pk"),
    "children": lambda: Place.objects.select_related("restaurant").order_by("pk"),
    "deferred": lambda: Sample.objects.only("moment", "amount").order_by("pk"),
    "from_db": lambda: WithFromDbBelow.objects.select_related("parent").order_by("pk"),
    "dicts": lambda: Book.objects.order_by("pk").values("pk", "author__born", "published"),
    "tuples": lambda: Sample.objects.order_by("pk").values_list("key", "span", "flag", "blob"),
    "named": lambda: Book.objects.order_by("pk").values_list("title", "pages", named=True),
    "flat": lambda: Sample.objects.order_by("pk").values_list("real", flat=True),
    "composite": lambda: Order.objects.order_by("number").values_list("pk", "total"),
    "annotated": lambda: Author.objects.annotate(n=Count("books"), twice=F("pk") * 2, v=Value(1)),
    "filtered": lambda: Book.objects.filter(pages__in=[0, 37, 74], title__gt="B").order_by("pk"),
    "prefetched": lambda: Author.objects.prefetch_related(
        Prefetch("books", queryset=Book.objects.order_by("-pk")), "profile"
    ),
    "of a related manager": lambda: Order.objects.get(number=2).lines.order_by("pk"),
    "generic": lambda: Book.objects.get(title="Book 5").notes.order_by("pk"),
    "months": lambda: Book.objects.dates("published", "month"),
    "combined": lambda: Book.objects.values_list("pk").union(Author.objects.values_list("pk")),
    "nothing": lambda: Book.objects.filter(pages=-1),
}


@contextmanager
def settings(**changes):
    """Change what the settings say of the default database, for connections to come."""
    of_database = connections.settings["default"]
    before = dict(of_database)
    forget_connections()
    changes["OPTIONS"] = {**before["OPTIONS"], **changes.get("OPTIONS", {})}
    of_database.update(changes)
    try:
        yield
    finally:
        forget_connections()
        # What was not set before is not set now.
        of_database.clear()
        of_database.update(before)


def forget_connections():
    """Have those of the default database made anew: they remember what they can do."""
    connections["default"].close()
    connections["default"].close_pool()
    del connections["default"]
    process_connection.cache_clear()


def options(**changes):
    return lambda: settings(OPTIONS=changes)


@contextmanager
def pool():
    """Have pools of connections, one for sync code and one for the event loop."""
    with (
        # django-async-backend warns of the former.
        override_settings(ASYNC_BACKEND_DISABLE_POOL_WARNING=True),
        settings(OPTIONS={"pool": True}),
    ):
        # Its threads connect, which is an error while the event loop runs.
        connections["default"].pool.open(wait=True)
        yield


@contextmanager
def binary(**options):
    """Have the cursors of new connections ask for results in binary format."""
    with settings(OPTIONS=options):
        connection_created.connect(make_cursors_binary)
        try:
            yield
        finally:
            connection_created.disconnect(make_cursors_binary)


def make_cursors_binary(connection, **kwargs):
    driver_connection = connection.connection

    class BinaryCursor(driver_connection.cursor_factory):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.format = Format.BINARY

    driver_connection.cursor_factory = BinaryCursor


VARIATIONS = {
    "bindings on the server": options(server_side_binding=True),
    "prepared statements": options(prepare_threshold=0),
    "prepared and bound on the server": options(server_side_binding=True, prepare_threshold=0),
    "no cursors on the server": lambda: settings(DISABLE_SERVER_SIDE_CURSORS=True),
    "a pool": pool,
    "binary": lambda: binary(server_side_binding=True),
}


@pytest.fixture(params=VARIATIONS)
def variation(request, library):
    with VARIATIONS[request.param]():
        yield request.param


@pytest.mark.parametrize("case", QUERYSETS)
def test_a_queryset(case, variation, read):
    read(QUERYSETS[case])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_fields_of_a_model(model, variation, read):
    """One by one: not all can be read in each format."""
    queryset = model.objects.order_by("pk")
    names = [field.name for field in model._meta.concrete_fields]
    answers = read.each(queryset.values_list(name, flat=True).all for name in names)
    assert variation == "binary" or all("returned" in answer for answer in answers)


def test_hstore(variation, extended, read):
    read(lambda: Bag.objects.order_by("pk").values_list("data", "many"))


def test_binary_results_are_refused_where_the_client_binds(read):
    # A cursor on the server does not bind values in the client.
    with settings(DISABLE_SERVER_SIDE_CURSORS=True), binary():
        read(QUERYSETS["instances"], raises=NotSupportedError)


TOO_LARGE = "('1' || repeat('0', 5000))"


@pytest.mark.parametrize("sql", [f"{TOO_LARGE}::json", f"ARRAY[{TOO_LARGE}::json]"])
def test_json_that_is_too_much_for_python(sql, read):
    """The ValueError of ``json.loads()`` is the driver's answer to what a server may send."""
    read(lambda: selected(sql, TextField()), raises=ValueError)


def test_binary_json_that_is_too_much_for_python(read):
    with settings(DISABLE_SERVER_SIDE_CURSORS=True), binary(server_side_binding=True):
        read(lambda: selected(f"{TOO_LARGE}::jsonb", TextField()), raises=ValueError)


def test_an_iterator_has_a_cursor_on_the_server_where_results_cannot_be_read(read, monkeypatch):
    monkeypatch.setattr(libpq, "bind", lambda: False)
    read(lambda: Book.objects.order_by("pk"))
