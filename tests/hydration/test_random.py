"""Random plans, models, rows and querysets: the native core makes what Django and psycopg make."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Avg, Count, F, Max
from django.db.models.base import ModelState
from django.db.models.utils import create_namedtuple_class
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import Format

from tests.library.models import Author, Book, Sample
from tests.support.answers import django_answer, fingerprint, sync_answer
from tests.support.wire_types import JSON, TEXT, TYPES
from turbo_orm._core import Column, Instance, Plan

examples = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)


class Thing:
    """A model without Django."""


PLANNED = sorted(kind for kind, type_ in TYPES.items() if "json" not in kind)


@examples
@given(
    kinds=st.lists(st.sampled_from(PLANNED), min_size=1, max_size=40),
    shape=st.sampled_from(["instances", "dicts", "tuples", "named tuples", "flat"]),
    format_=st.sampled_from([Format.TEXT, Format.BINARY]),
    data=st.data(),
)
def test_random_plans(driver, kinds, shape, format_, data):
    """Any columns in any order, some of them several times, some not at all."""
    types = [TYPES[kind] for kind in kinds if format_ in TYPES[kind].formats] or [TYPES["bool"]]
    rows = data.draw(
        st.lists(st.tuples(*(st.none() | type_.values for type_ in types)), max_size=6)
    )
    indexes = data.draw(st.lists(st.sampled_from(range(len(types))), min_size=1, max_size=40))
    names = [f"field_{n}" for n in range(len(indexes))]
    cursor = driver.cursor(binary=format_ == Format.BINARY)
    selected = ", ".join(f"%s::{type_.type_name}" for type_ in types)
    statements = [f"SELECT {n}, {selected}" for n in range(len(rows) or 1)]
    values = [value for row in rows or [(None,) * len(types)] for value in row]
    cursor.execute(" UNION ALL ".join(statements) + " ORDER BY 1", values)
    columns = [Column("n", TYPES["integer"].reader(cursor, format_).decoder, int)]
    for kind, type_ in enumerate(types):
        reader = type_.reader(cursor, format_)
        columns.append(Column(f"column {kind}", reader.decoder, reader.load))
    loaded = [[row[index + 1] for index in indexes] for row in cursor.fetchall()]
    items = [index + 1 for index in indexes]
    plan, expected = {
        "instances": lambda: (
            Plan.instances(
                "test.Thing",
                columns,
                Instance(
                    Thing,
                    list(zip(names, items, strict=True)),
                    state_class=ModelState,
                    state=[],
                    through_dict=len(kinds) % 2 == 0,
                ),
            ),
            [{"_state": {}, **dict(zip(names, row, strict=True))} for row in loaded],
        ),
        "dicts": lambda: (
            Plan.dicts("test.Thing", columns, items, names),
            [dict(zip(names, row, strict=True)) for row in loaded],
        ),
        "tuples": lambda: (
            Plan.tuples("test.Thing", columns, [items, *items]),
            [(tuple(row), *row) for row in loaded],
        ),
        "named tuples": lambda: (
            Plan.tuples("test.Thing", columns, items, create_namedtuple_class(*names)),
            [create_namedtuple_class(*names)(*row) for row in loaded],
        ),
        "flat": lambda: (Plan.flat("test.Thing", columns, items[0]), [row[0] for row in loaded]),
    }[shape]()
    made = plan.hydrate_result(cursor.pgresult, 0, len(loaded))
    if shape == "instances":
        made = [{**vars(thing), "_state": dict(vars(thing._state))} for thing in made]
    assert fingerprint(made) == fingerprint(expected)


WHEN = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
FIELDS = {
    "small": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=True, allow_infinity=True),
    "flag": st.booleans(),
    "text": TEXT,
    "char": TEXT,
    "amount": st.decimals(-(10**15), 10**15, places=10).map(Decimal),
    "date": st.dates(),
    "time": st.times(),
    "moment": WHEN,
    "span": st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6)),
    "key": st.uuids(),
    "data": JSON.filter(lambda value: "\\u0000" not in repr(value)),
    "blob": st.binary(max_size=20),
    "address": st.ip_addresses().map(str),
    "upload": st.from_regex(r"[a-z]{1,10}/[a-z]{1,10}\.txt", fullmatch=True),
}
SOME = st.lists(st.sampled_from([*FIELDS, "id"]), min_size=1, max_size=6, unique=True)
CHAINS = st.one_of(
    st.just(lambda samples: samples),
    SOME.map(lambda names: lambda samples: samples.only(*names)),
    SOME.map(lambda names: lambda samples: samples.defer(*names)),
    SOME.map(lambda names: lambda samples: samples.values(*names)),
    SOME.map(lambda names: lambda samples: samples.values_list(*names)),
    SOME.map(lambda names: lambda samples: samples.values_list(*names, named=True)),
    SOME.map(lambda names: lambda samples: samples.values_list(names[0], flat=True)),
    SOME.map(
        lambda names: (
            lambda samples: samples.annotate(**{f"again_{name}": F(name) for name in names})
        )
    ),
    SOME.map(lambda names: lambda samples: samples.values(*names, double=F("small") * 2)),
)


@examples
@given(
    rows=st.lists(
        st.fixed_dictionaries({name: st.none() | values for name, values in FIELDS.items()}),
        max_size=5,
    ),
    chain=CHAINS,
)
def test_random_rows_and_querysets(tables, rows, chain):
    with transaction.atomic():
        Sample.objects.all().delete()
        Sample.objects.bulk_create(Sample(**row) for row in rows)
        make = lambda: chain(Sample.objects.order_by("id"))  # noqa: E731
        expected = django_answer(lambda: list(make()))
        assert sync_answer(lambda: list(make())) == expected
        assert "returned" in expected
        transaction.set_rollback(True)


RELATED = ["author", "translator", "author__profile", "translator__profile"]
COLUMNS = ["title", "pages", "author__name", "author__born", "author__profile__motto"]


@examples
@given(
    related=st.lists(st.sampled_from(RELATED), max_size=3, unique=True),
    only=st.lists(st.sampled_from(COLUMNS), max_size=3, unique=True),
    annotations=st.dictionaries(
        st.sampled_from("abc"),
        st.sampled_from([Count("tags"), Avg("tags__id"), Max("published"), F("pages") * 2]),
        max_size=2,
    ),
)
def test_random_relations(library, related, only, annotations):
    """What Django refuses, as a deferred field that is to be traversed, is refused alike."""

    def make():
        books = Book.objects.order_by("pk").annotate(**annotations)
        if related:
            books = books.select_related(*related)
        return books.only(*only) if only else books

    assert sync_answer(lambda: list(make())) == django_answer(lambda: list(make()))


@examples
@given(
    lookups=st.lists(
        st.sampled_from(["books", "books__tags", "profile", "friends", "translated__author"]),
        max_size=3,
        unique=True,
    )
)
def test_random_prefetches(library, lookups):
    def make():
        return Author.objects.prefetch_related(*lookups)

    assert sync_answer(lambda: list(make())) == django_answer(lambda: list(make()))
