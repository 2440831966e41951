"""Expressions and lookups of a project: cached if their attributes are all that they are."""

import gc
import random
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from django.contrib.postgres.lookups import PostgresOperatorLookup
from django.db.models import (
    Aggregate,
    CharField,
    Count,
    Exists,
    F,
    Field,
    FloatField,
    Func,
    IntegerField,
    Lookup,
    Q,
    Sum,
    TextField,
    Transform,
    Value,
)
from django.db.models.functions import Concat, Lower
from django.test import override_settings
from django.utils.deconstruct import deconstructible

from tests.library.models import Author, Book, UpperField
from tests.support.answers import django_answer, fingerprint, turbo_answer
from tests.support.counting import counted
from turbo_orm import explain_cache
from turbo_orm.query_cache import tracing

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


@pytest.fixture(scope="module", autouse=True)
def no_dead_receivers():
    """Models that nothing refers to any more empty the cache when their receivers die."""
    gc.collect()


class Reverse(Func):
    function = "REVERSE"
    arity = 1
    output_field = CharField()


class Rounded(Func):
    """Rounds to some digits."""

    function = "ROUND"
    output_field = FloatField()

    def __init__(self, expression, digits=2, **extra):
        super().__init__(expression, Value(digits), **extra)

    def __repr__(self):
        return "Rounded"


class Half(Rounded):
    template = "%(function)s(%(expressions)s) / 2"


class Absolute(Transform):
    lookup_name = "absolute"
    function = "ABS"
    bilateral = True


class Unaccented(Transform):
    lookup_name = "lowered"
    function = "LOWER"


class Median(Aggregate):
    function = "PERCENTILE_CONT"
    name = "Median"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@deconstructible(path="tests.query_cache.test_declared_classes.Initial")
class Initial(Func):
    function = "LEFT"
    template = "%(function)s(%(expressions)s, 1)"


class Words(Value):
    """A constant that is written as it is."""


class Regular(PostgresOperatorLookup):
    lookup_name = "regular"
    postgres_operator = "~"


CERTAIN = {
    "a function": lambda n: Book.objects.annotate(x=Reverse("title")).filter(pk__gt=n),
    "with an __init__()": lambda n: Book.objects.annotate(x=Rounded(F("pages") * 1.5, 0)).filter(
        pk__gt=n
    ),
    "a base of its own": lambda n: Book.objects.filter(pk__gt=n).annotate(
        x=Half(F("pages") * 1.25, digits=1)
    ),
    "nested": lambda n: Book.objects.annotate(x=Reverse(Concat("title", Value(str(n))))),
    "deconstructible": lambda n: Book.objects.annotate(x=Initial("title")).filter(pk__gt=n),
    "a transform": lambda n: Book.objects.annotate(x=Absolute(F("pages") - n)),
    "a constant": lambda n: Book.objects.annotate(x=Words("a")).filter(pk__gt=n),
    "an aggregate": lambda n: Author.objects.annotate(
        x=Median("books__pages", filter=None), n=Count("books", filter=Q(books__pages__gt=n))
    ),
    "in an ordering": lambda n: Book.objects.filter(pk__gt=n).order_by(Reverse("title").desc()),
    "in values()": lambda n: (
        Book.objects.filter(pk__gt=n).values(x=Initial("title")).annotate(n=Count("pk"))
    ),
}

LOOKUPS = {
    "a lookup": lambda n: Book.objects.filter(title__regular=f"{n}$"),
    "a transform by name": lambda n: Book.objects.filter(pages__absolute__lt=37 * n),
    "a transform of text": lambda n: Book.objects.filter(title__lowered=f"book {n}"),
    "a lookup of a transform": lambda n: Book.objects.filter(title__lowered__regular=f"k {n}$"),
    "of a relation": lambda n: Author.objects.filter(books__pages__absolute=37 * n),
    "in an annotation": lambda n: Book.objects.annotate(x=F("title__lowered")).filter(pk__gt=n),
    "in an ordering by name": lambda n: Book.objects.filter(pk__gt=n).order_by("title__lowered"),
}


@contextmanager
def registered(*classes):
    fields = {Regular: TextField, Absolute: IntegerField, Unaccented: CharField}
    for each in classes:
        fields.get(each, Field).register_lookup(each)
    CharField.register_lookup(Regular)
    try:
        yield
    finally:
        CharField._unregister_lookup(Regular)
        for each in classes:
            fields.get(each, Field)._unregister_lookup(each)


@pytest.fixture
def lookups():
    with registered(Regular, Absolute, Unaccented):
        yield


async def third(make):
    """Ask for two values, then for a third: return what is made for it, and the answer."""
    for n in (1, 2):
        await make(n).order_by("pk").alist()
    explained = explain_cache(make(3).order_by("pk"))
    with counted() as count:
        answer = fingerprint(await make(3).order_by("pk").alist())
    return explained, count, answer


ALL = CERTAIN | LOOKUPS


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize("case", ALL)
def test_the_answers_are_djangos(case, chains):
    chains(ALL[case], 1, 2, 3, 2, 0, 100)
    for terminal in ("acount", "afirst"):
        chains(ALL[case], 1, 2, 3, terminal=terminal)


@pytest.mark.usefixtures("lookups")
@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
@pytest.mark.parametrize("case", ALL)
def test_the_third_is_a_hit(case, run):
    make = ALL[case]
    explained, count, answer = run(lambda: third(make))
    assert (explained.outcome, explained.reason) == ("hit", "")
    assert count == {"made": 0, "compiled": 0}
    assert answer == fingerprint(list(make(3).order_by("pk")))


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
def test_an_aggregate_of_its_own(run):
    async def ask():
        for n in (1, 2):
            await Book.objects.filter(pk__gt=n).aaggregate(Median("pages"), x=Sum(Absolute("pk")))
        with counted() as count:
            answer = await turbo_answer(
                lambda: Book.objects.filter(pk__gt=3).aaggregate(
                    Median("pages"), x=Sum(Absolute("pk"))
                )
            )
        return count, answer

    count, answer = run(ask)
    assert count == {"made": 0, "compiled": 0}
    expected = django_answer(
        lambda: Book.objects.filter(pk__gt=3).aggregate(Median("pages"), x=Sum(Absolute("pk")))
    )
    assert answer == expected


def test_arguments_that_an_init_ignores(chains):
    """Django compares expressions by them."""

    class_ = Ignoring

    def make(numbers):
        one, other = numbers
        return (
            Book.objects.values(x=class_("title", one), y=class_("title", other))
            .annotate(n=Count("pk"))
            .order_by("x")
        )

    chains(make, (1, 2), (1, 1), (2, 2), (2, 1), (1, 1), (1, 2))


class Ignoring(Func):
    function = "LOWER"

    def __init__(self, expression, ignored, **extra):
        super().__init__(expression, **extra)


# What is not certain.

mode = "LOWER"
current = ContextVar("current", default="LOWER")


class OfGlobal(Func):
    def as_sql(self, compiler, connection, **extra):
        return super().as_sql(compiler, connection, function=mode, **extra)


class OfContext(Func):
    def as_sql(self, compiler, connection, **extra):
        return super().as_sql(compiler, connection, function=current.get(), **extra)


class OfSettings(Func):
    def as_postgresql(self, compiler, connection, **extra):
        from django.conf import settings

        return self.as_sql(compiler, connection, function=settings.FUNCTION, **extra)


class OfChance(Func):
    function = "CONCAT"

    def as_sql(self, compiler, connection, **extra):
        sql, params = super().as_sql(compiler, connection, **extra)
        return f"CONCAT({sql}, %s)", (*params, str(random.random())[:0])


class OfProperty(Func):
    @property
    def function(self):
        return mode


class Resolving(Func):
    function = "LOWER"

    def resolve_expression(self, *args, **kwargs):
        resolved = super().resolve_expression(*args, **kwargs)
        resolved.function = mode
        return resolved


class OfList(Func):
    modes = ["LOWER"]
    template = "%(function)s(%(expressions)s)"
    function = "LOWER"


class Meta(type):
    pass


class OfMeta(Func, metaclass=Meta):
    function = "LOWER"


class OwnMixin:
    def as_sql(self, compiler, connection, **extra):
        return super().as_sql(compiler, connection, function=mode, **extra)


class OfMixin(OwnMixin, Func):
    function = "LOWER"


class OwnField(CharField):
    def select_format(self, compiler, sql, params):
        return f"{mode}({sql})", params


class OfField(Func):
    function = "TRIM"
    output_field = OwnField()


class Unlike(Lookup):
    lookup_name = "unlike"

    def as_sql(self, compiler, connection):
        lhs, lhs_params = self.process_lhs(compiler, connection)
        rhs, rhs_params = self.process_rhs(compiler, connection)
        return f"{mode}({lhs}) <> {rhs}", (*lhs_params, *rhs_params)


class Initialised(Transform):
    """Django makes one for each lookup by its name."""

    lookup_name = "initialised"
    function = "LOWER"

    def __init__(self, *expressions, **extra):
        super().__init__(*expressions, **extra)
        self.extra["function"] = mode


class Moded(Transform):
    lookup_name = "moded"

    @property
    def function(self):
        return mode


HERE = "tests.query_cache.test_declared_classes."
OWN = "only attributes with plain values are certain"
UNCERTAIN = {
    OfGlobal: f"which has as_sql of its own: {OWN}",
    OfContext: f"which has as_sql of its own: {OWN}",
    OfSettings: f"which has as_postgresql of its own: {OWN}",
    OfChance: f"which has as_sql of its own: {OWN}",
    OfProperty: f"which has function of its own: {OWN}",
    Resolving: f"which has resolve_expression of its own: {OWN}",
    OfList: f"which has modes of its own: {OWN}",
    OfMeta: "which may do anything",
    OfMixin: f"which has as_sql of its own: {OWN}",
    OfField: f"which has output_field of its own: {OWN}",
}


@contextmanager
def another_mode():
    global mode
    before, mode = mode, "UPPER"
    token = current.set("UPPER")
    try:
        with override_settings(FUNCTION="UPPER"):
            yield
    finally:
        mode = before
        current.reset(token)


@pytest.mark.parametrize("kind", UNCERTAIN, ids=lambda kind: kind.__name__)
def test_what_is_not_certain_is_djangos(kind, chains):
    def make(n):
        return Book.objects.annotate(x=kind(F("title"))).filter(pk__gt=n).order_by("pk")

    def play():
        chains(make, 1, 2, 3, afresh=False)

    with override_settings(FUNCTION="LOWER"):
        play()
        with another_mode():
            play()
        play()
        reason = explain_cache(make(1)).reason
    assert reason == f"annotate() is given {HERE}{kind.__name__}, {UNCERTAIN[kind]}"


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (Unlike, lambda n: Book.objects.filter(title__unlike=f"book {n}").order_by("pk")),
        (Moded, lambda n: Book.objects.filter(title__moded=f"book {n}").order_by("pk")),
        (
            Moded,
            lambda n: Book.objects.annotate(x=F("title__moded")).filter(pk=n).order_by("pk"),
        ),
        (
            Initialised,
            lambda n: Book.objects.filter(title__initialised__contains=F("pk")).order_by("pk"),
        ),
    ],
    ids=["lookup", "transform", "transform in an annotation", "transform with an __init__()"],
)
def test_lookups_that_are_not_certain_are_djangos(kind, make, chains):
    with registered(kind):
        for _ in range(2):
            chains(make, 1, 2, 3, afresh=False)
            with another_mode():
                chains(make, 1, 2, 3, afresh=False)
        reason = explain_cache(make(1)).reason
    assert f"{HERE}{kind.__name__}, which has " in reason


def test_a_class_that_a_function_makes(chains):
    def make(n):
        class Local(Func):
            function = ["LOWER", "UPPER"][n % 2]

        return Book.objects.annotate(x=Local("title")).order_by("pk")

    chains(make, 1, 2, 3)
    assert "which its module does not have by that name" in explain_cache(make(1)).reason


def test_a_class_that_is_made_by_its_metaclass(chains):
    def make(n):
        kind = type("Reverse", (Func,), {"function": ["LOWER", "UPPER"][n % 2]})
        return Book.objects.annotate(x=kind("title")).order_by("pk")

    chains(make, 1, 2, 3)
    assert "which its module does not have by that name" in explain_cache(make(1)).reason


def test_an_instance_with_a_method_of_its_own(chains):
    def make(n):
        expression = Reverse("title")
        expression.as_sql = lambda compiler, connection: (f"'{n}'", ())
        return Book.objects.annotate(x=expression).order_by("pk")

    chains(make, 1, 2, 3)
    assert explain_cache(make(1)).outcome == "bypass"


# What changes afterwards.

CHANGES = {
    "an attribute": (Reverse, "function", "UPPER"),
    "a method": (
        Reverse,
        "as_sql",
        lambda self, compiler, connection, **extra: ("'x'", ()),
    ),
    "an attribute of a base": (Rounded, "function", "CEIL"),
    "the template": (Half, "template", "%(function)s(%(expressions)s) / 4"),
    "the field": (Reverse, "output_field", UpperField()),
    "an attribute of a transform": (Absolute, "function", "SIGN"),
    "a transform that is no longer bilateral": (Absolute, "bilateral", False),
    "the operator of a lookup": (Regular, "postgres_operator", "!~"),
    "an attribute that is new": (Unaccented, "template", "UPPER(%(expressions)s)"),
}
USES = {
    Reverse: lambda n: Book.objects.annotate(x=Reverse("title")).filter(pk__gt=n),
    Rounded: lambda n: Book.objects.annotate(x=Half(F("pages") * 1.26, digits=0)).filter(pk__gt=n),
    Half: lambda n: Book.objects.annotate(x=Half(F("pages") * 1.25, digits=1)).filter(pk__gt=n),
    Absolute: lambda n: Book.objects.filter(pages__absolute__gt=37 * n - 100),
    Regular: lambda n: Book.objects.filter(title__regular=f"{n}$"),
    Unaccented: lambda n: Book.objects.filter(title__lowered=f"book {n}"),
}


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize("case", CHANGES)
def test_a_class_that_is_changed(case, chains, monkeypatch):
    kind, name, value = CHANGES[case]

    def play():
        return chains(lambda n: USES[kind](n).order_by("pk"), 1, 2, 3, 1, afresh=False)

    before = play()
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, value)
            assert play() != before
        assert play() == before


def test_one_of_djangos_that_is_changed(chains, monkeypatch):
    def play():
        return chains(lambda n: Book.objects.annotate(x=Lower("title")), 1, 2, afresh=False)

    before = play()
    with monkeypatch.context() as patch:
        patch.setattr(Lower, "function", "UPPER")
        assert play() != before
    assert play() == before


def test_one_that_is_given_another_base(chains):
    def play():
        return chains(lambda n: Book.objects.annotate(x=OfBase("title")), 1, 2, afresh=False)

    before = play()
    OfBase.__bases__ = (UpperBase, Func)
    try:
        assert play() != before
    finally:
        OfBase.__bases__ = (LowerBase, Func)
    assert play() == before


class LowerBase:
    function = "LOWER"


class UpperBase:
    function = "UPPER"


class OfBase(LowerBase, Func):
    pass


def test_a_queryset_in_one(chains):
    """What it is given is certain or not by itself."""

    def make(n):
        return Author.objects.annotate(x=Wrapped(Exists(Book.objects.filter(pages__gt=n))))

    chains(make, 1, 500, 2, 1)


class Wrapped(Func):
    function = "NOT"
    template = "%(function)s (%(expressions)s)"
