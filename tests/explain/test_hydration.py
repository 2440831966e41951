"""What is told of hydration is what happens."""

import inspect

import pytest
from django.db import connection
from django.db.models import Avg, Count, FilteredRelation, Q
from django.db.models.functions import Upper
from django.db.models.query import ModelIterable
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from psycopg.adapt import Loader

from tests.library.models import Author, Book, Converted, Order, Sample, WithFromDb, WithInit
from tests.support.answers import django_answer, fingerprint
from turbo_orm import aexplain_hydration, explain_hydration

pytestmark = pytest.mark.usefixtures("library")


def by_name(explanation):
    return {column.name: column for column in explanation.columns}


def test_columns():
    explanation = explain_hydration(Sample.objects.all())
    told = {name: (column.type, column.decoder) for name, column in by_name(explanation).items()}
    assert (
        told.items()
        >= {
            "id": ("bigint", "int"),
            "real": ("double precision", "float"),
            "char": ("character varying", "text"),
            "amount": ("numeric", "numeric"),
            "moment": ("timestamp with time zone", "timestamptz"),
            "span": ("interval", "interval"),
            "data": ("jsonb", "json"),
            "address": ("inet", "text"),
        }.items()
    )
    assert all(column.is_native for column in explanation.columns)
    assert explanation.is_native


def test_numbers_that_django_converts():
    """What Django's converter would make of a value is what the decoder reads."""
    explanation = explain_hydration(
        Author.objects.annotate(mean=Avg("books__pages"), n=Count("books"))
    )
    columns = by_name(explanation)
    assert (columns["mean"].type, columns["mean"].decoder) == ("numeric", "float")
    assert (columns["n"].decoder, columns["n"].converters) == ("int", ())


def test_a_converter_is_named():
    explanation = explain_hydration(Converted.objects.all())
    shout = by_name(explanation)["shout"]
    assert shout.converters == ["tests.library.models.UpperField.from_db_value()"]
    assert not explanation.is_native
    assert "UpperField.from_db_value() is called for each value" in str(explanation)


SHAPES = {
    "instances": lambda: Book.objects.all(),
    "dicts": lambda: Book.objects.values("title"),
    "tuples": lambda: Book.objects.values_list("title", "pages"),
    "named tuples": lambda: Book.objects.values_list("title", named=True),
    "flat values": lambda: Book.objects.values_list("title", flat=True),
    "nothing, since nothing can match": lambda: Book.objects.none(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    explanation = explain_hydration(SHAPES[shape]())
    assert explanation.shape == shape
    assert str(explanation).startswith(f"library.Book: {shape}")


def test_instances_of_related_models():
    explanation = explain_hydration(Book.objects.select_related("author__profile", "translator"))
    assert [(instance.path, instance.model) for instance in explanation.instances] == [
        ("", "library.Book"),
        ("author", "library.Author"),
        ("author.profile", "library.Profile"),
        ("translator", "library.Author"),
    ]
    assert {"title", "author.name", "author.profile.motto", "translator.name"} <= set(
        by_name(explanation)
    )


def test_a_filtered_relation():
    explanation = explain_hydration(
        Author.objects.annotate(
            p=FilteredRelation("profile", condition=Q(profile__motto__contains="a"))
        ).select_related("p")
    )
    assert [instance.path for instance in explanation.instances] == ["", "profile"]
    assert not explanation.is_native


@pytest.mark.parametrize(
    ("model", "reason"),
    [(WithFromDb, "overrides from_db()"), (WithInit, "overrides __init__()")],
)
def test_why_an_instance_is_not_filled_directly(model, reason):
    explanation = explain_hydration(model.objects.all())
    assert explanation.instances[0].reasons == [reason]
    assert f"by from_db(), since it {reason}" in str(explanation)
    assert not explanation.is_native


def test_a_receiver_that_comes_and_goes():
    def receive(**kwargs):
        pass

    post_init.connect(receive, sender=Author)
    try:
        told = str(explain_hydration(Book.objects.select_related("author")))
    finally:
        post_init.disconnect(receive, sender=Author)
    assert "author: library.Author: by from_db(), since it has receivers of pre_init" in told
    assert "receivers" not in str(explain_hydration(Book.objects.select_related("author")))


def test_an_annotation_that_is_a_property(monkeypatch):
    def set_loud(book, value):
        book.heard = value + "!"

    loud = property(lambda book: book.heard, set_loud)
    monkeypatch.setattr(Book, "loud", loud, raising=False)
    queryset = Book.objects.order_by("pk").annotate(loud=Upper("title"))
    explanation = explain_hydration(queryset)
    assert explanation.instances[0].reasons == ["has a descriptor of its own for 'loud'"]
    assert not explanation.is_native
    ours, theirs = list(queryset.all()), django_answer(lambda: list(queryset.all()))
    assert fingerprint(ours) == theirs["returned"]
    assert ours[0].heard.endswith("!")


def test_why_the_loader_is_used():
    with connection.cursor() as cursor:
        cursor.execute("SET DateStyle = 'German'")
    try:
        explanation = explain_hydration(Sample.objects.values("date"))
    finally:
        connection.close()
    (column,) = explanation.columns
    assert (column.decoder, column.reason) == ("loader", "DateStyle is German, DMY, not ISO")
    assert "psycopg's loader reads it, since DateStyle is German" in str(explanation)


def test_a_loader_of_ones_own():
    class Reversed(Loader):
        def load(self, data):
            return bytes(data).decode()[::-1]

    connection.ensure_connection()
    connection.connection.adapters.register_loader("text", Reversed)
    try:
        (column,) = explain_hydration(Sample.objects.values("text")).columns
    finally:
        connection.close()
    assert column.reason.endswith("Reversed has no native counterpart")


def test_objects_that_the_queryset_knows():
    author = Author.objects.get(name="Ada")
    explanation = explain_hydration(author.books.all())
    assert (explanation.known_fields, explanation.is_native) == (["author"], False)
    assert "author is set to the object that the queryset knows" in str(explanation)


def test_an_iterable_class_of_ones_own():
    class Titles(ModelIterable):
        pass

    queryset = Book.objects.all()
    queryset._iterable_class = Titles
    assert "Titles makes of it" in explain_hydration(queryset).shape


def test_a_composite_key():
    assert set(by_name(explain_hydration(Order.objects.values("pk")))) == {"shop", "number"}


def test_one_row_is_asked_for_and_nothing_is_kept():
    queryset = Book.objects.order_by("pk")
    with CaptureQueriesContext(connection) as captured:
        explain_hydration(queryset)
    assert "LIMIT 1" in captured.captured_queries[0]["sql"]
    assert len(captured) == 2
    assert queryset._result_cache is None
    assert queryset.query.high_mark is None


def test_a_queryset_of_djangos_own_is_refused():
    with pytest.raises(TypeError, match="takes a queryset of an AsyncManager, not QuerySet"):
        explain_hydration(Book.objects.none().model._base_manager.all())
    with pytest.raises(TypeError, match="not AsyncRawQuerySet"):
        explain_hydration(Book.objects.raw("SELECT 1"))


def test_on_the_event_loop(run):
    queryset = Book.objects.select_related("author").annotate(n=Count("tags"))
    assert inspect.iscoroutinefunction(aexplain_hydration)
    assert run(lambda: aexplain_hydration(queryset)) == explain_hydration(queryset)
