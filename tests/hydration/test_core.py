"""The native core by itself: shapes, what does not fit, exceptions, and what is left behind."""

import gc
import sys
import weakref
from contextlib import suppress
from datetime import tzinfo
from itertools import chain
from types import SimpleNamespace

import pytest
from django.db.models.base import ModelState
from psycopg.pq import Format

from tests.support import results
from tests.support.answers import fingerprint
from turbo_orm import HydrationError, _core
from turbo_orm._core import Column, Decoder, Instance, Join, Plan, RelatedQuerysets

# Shapes


@pytest.fixture
def rows(driver):
    """A cursor with three columns: a number, a text, and one that is NULL now and then."""
    return driver.execute(
        "SELECT n, 'text ' || n, nullif(n % 3, 0)::text FROM generate_series(1, 10) AS n"
    )


def columns(**changes):
    return [
        changes.get("number", Column("number", Decoder("int"), int)),
        changes.get("text", Column("text", Decoder("text"), bytes.decode)),
        changes.get("maybe", Column("maybe", Decoder("text"), bytes.decode)),
    ]


class Thing:
    def __init__(self):
        raise AssertionError("Instances are filled directly.")


class Row(tuple):
    __slots__ = ()


def instance(**options):
    fields = [("number", 0), ("text", 1)]
    return Instance(Thing, fields, state_class=ModelState, state=[("db", "default")], **options)


# More than CPython keeps places for in an instance.
MANY = [(f"field_{index}", index % 3) for index in range(40)]

PLANS = {
    "flat": lambda columns: Plan.flat("library.Book", columns, 1),
    "flat group": lambda columns: Plan.flat("library.Book", columns, [2, 0]),
    "tuples": lambda columns: Plan.tuples("library.Book", columns, [2, [0, 1], 0]),
    "named tuples": lambda columns: Plan.tuples("library.Book", columns, [0, 1], Row),
    "dicts": lambda columns: Plan.dicts("library.Book", columns, [2, 0, [1]], ["z", "a", "m"]),
    "instances": lambda columns: Plan.instances(
        "library.Book", columns, instance(annotations=[("extra", 2)])
    ),
    "instances by dict": lambda columns: Plan.instances(
        "library.Book", columns, instance(through_dict=True)
    ),
    "instances of many fields": lambda columns: Plan.instances(
        "library.Book",
        columns,
        Instance(Thing, MANY, state_class=ModelState, state=[], annotations=[("extra", 2)]),
    ),
    "instances by from_db": lambda columns: Plan.instances(
        "library.Book",
        columns,
        instance(from_db=lambda *args: args, db="other", values_as_list=True),
    ),
}


def shown(objects):
    return [vars(o) | {"_state": vars(o._state)} if isinstance(o, Thing) else o for o in objects]


@pytest.mark.parametrize("name", PLANS)
def test_results_and_tuples_become_the_same(name, rows):
    plan = PLANS[name](columns())
    of_result = plan.hydrate_result(rows.pgresult, 0, 10)
    of_rows = plan.hydrate_rows(rows.fetchall())
    assert len(of_result) == 10
    if name != "instances by from_db":
        assert {type(o) for o in of_result} == {type(o) for o in of_rows}
    assert fingerprint(shown(of_result)) == fingerprint(shown(of_rows))


@pytest.mark.parametrize("name", PLANS)
def test_slices_make_up_the_whole(name, rows):
    plan = PLANS[name](columns())
    whole = plan.hydrate_result(rows.pgresult, 0, 10)
    slices = [plan.hydrate_result(rows.pgresult, start, start + 2) for start in range(0, 10, 2)]
    assert shown(chain(*slices)) == shown(whole)
    assert plan.hydrate_result(rows.pgresult, 10, 10) == []
    assert plan.hydrate_rows([]) == []


def test_shapes(rows):
    result = rows.pgresult
    assert PLANS["flat"](columns()).hydrate_result(result, 0, 2) == ["text 1", "text 2"]
    assert PLANS["flat group"](columns()).hydrate_result(result, 2, 3) == [(None, 3)]
    assert PLANS["tuples"](columns()).hydrate_result(result, 0, 1) == [("1", (1, "text 1"), 1)]
    (row,) = PLANS["named tuples"](columns()).hydrate_result(result, 0, 1)
    assert (type(row), row) == (Row, (1, "text 1"))
    (row,) = PLANS["dicts"](columns()).hydrate_result(result, 0, 1)
    assert list(row.items()) == [("z", "1"), ("a", 1), ("m", ("text 1",))]
    (thing,) = PLANS["instances"](columns()).hydrate_result(result, 2, 3)
    assert list(vars(thing)) == ["_state", "number", "text", "extra"]
    (thing,) = PLANS["instances of many fields"](columns()).hydrate_result(result, 0, 1)
    assert list(vars(thing)) == ["_state", *(name for name, _ in MANY), "extra"]
    (called,) = PLANS["instances by from_db"](columns()).hydrate_result(result, 0, 1)
    assert called == ("other", ["number", "text"], [1, "text 1"])


@pytest.mark.parametrize("number", [1, 2, 20, 28, 29, 30, 31, 60])
@pytest.mark.parametrize("through_dict", [False, True])
@pytest.mark.parametrize("before", [0, 1, 5, 40])
def test_attributes_are_kept_as_by_cpython(number, through_dict, before, rows):
    """Whatever names CPython has kept for the class before, and whatever is done to them then."""

    class Fresh:
        pass

    for index in range(before):
        vars(Fresh()).update({f"other_{index}": index, "field_1": 1})
    fields = [(f"field_{index}", index % 3) for index in range(number)]
    plan = Plan.instances(
        "library.Fresh",
        columns(),
        Instance(
            Fresh,
            fields,
            state_class=ModelState,
            state=[("adding", False), ("db", "here")],
            through_dict=through_dict,
        ),
    )
    tuples = rows.fetchall()
    made = [
        each for _ in range(5) for each in plan.hydrate_result(rows.pgresult, 0, rows.rowcount)
    ]
    values = [{name: row[index] for name, index in fields} for row in tuples * 5]
    for each, row in zip(made, values, strict=True):
        assert vars(each._state) == {"adding": False, "db": "here"}
        each._state.fields_cache["one"] = 1
        assert list(vars(each._state)) == ["adding", "db", "fields_cache"]
        del each.field_0
        del row["field_0"]
        for name in ("field_0", "more"):
            setattr(each, name, name)
            row[name] = name
        vars(each)["most"] = row["most"] = None
        assert list(vars(each).items()) == [("_state", each._state), *row.items()]


def test_an_instance_is_level_with_its_values(rows):
    """No reference is lost or kept, wherever an instance has its attributes."""
    value = object()
    shared = Column("text", Decoder("loader"), lambda data: value)
    plan = Plan.instances(
        "library.Book", columns(text=shared), instance(annotations=[("extra", 1)])
    )
    references = sys.getrefcount(value)
    for _ in range(3):
        made = plan.hydrate_result(rows.pgresult, 0, 10)
        assert sys.getrefcount(value) == references + 20
        del made
        assert sys.getrefcount(value) == references


def test_what_is_in_an_instance_is_collected(rows):
    plan = PLANS["instances"](columns())
    for _ in range(3):
        made = plan.hydrate_result(rows.pgresult, 0, 10)
        made[0]._state.circle = made[0]
        seen = weakref.ref(made[0])
        del made
        gc.collect()
        assert seen() is None


def test_converters_run_in_order_and_see_null(rows):
    seen = []

    def first(value, expression, connection):
        seen.append((value, expression, connection))
        return [value]

    def second(value, expression, connection):
        return (*value, expression)

    converting = Column(
        "maybe",
        Decoder("text"),
        bytes.decode,
        converters=[(first, "e1"), (second, "e2")],
        connection="connection",
    )
    plan = Plan.flat("library.Book", columns(maybe=converting), 2)
    assert plan.hydrate_result(rows.pgresult, 1, 3) == [("2", "e2"), (None, "e2")]
    assert seen == [("2", "e1", "connection"), (None, "e1", "connection")]


def test_a_loader_reads_all_but_null(rows):
    loading = Column("maybe", Decoder("loader"), lambda wire: (type(wire), wire))
    plan = Plan.flat("library.Book", columns(maybe=loading), 2)
    assert plan.hydrate_result(rows.pgresult, 1, 3) == [(bytes, b"2"), None]


# What does not fit


def test_an_unknown_decoder():
    with pytest.raises(HydrationError, match='there is no decoder "roman"'):
        Decoder("roman")


def unfit(fields=(("number", 9),), **options):
    return Instance(Thing, fields, state_class=ModelState, state=[], **options)


UNFIT = {
    "flat": lambda: Plan.flat("library.Book", columns(), 3),
    "flat group": lambda: Plan.flat("library.Book", columns(), [0, 3]),
    "tuples": lambda: Plan.tuples("library.Book", columns(), [0, 1, 3]),
    "dicts": lambda: Plan.dicts("library.Book", columns(), [[3]], ["a"]),
    "no columns": lambda: Plan.flat("m", [], 0),
    "fields": lambda: Plan.instances("library.Book", columns(), unfit()),
    "annotations": lambda: Plan.instances(
        "library.Book", columns(), unfit([], annotations=[("a", 3)])
    ),
    "pk": lambda: Plan.instances("library.Book", columns(), unfit([], pk=3)),
    "related": lambda: Plan.instances(
        "library.Book", columns(), unfit([], related=[(unfit(), "a", "b")])
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_plan_that_refers_to_a_column_that_it_does_not_have(case):
    with pytest.raises(HydrationError, match=r"refers to column \d and has \d"):
        UNFIT[case]()


def nested(make, inner, depth):
    for _ in range(depth):
        inner = make(inner)
    return inner


NESTED = {
    "arrays": lambda depth: nested(Decoder.array, Decoder("int"), depth),
    "ranges": lambda depth: nested(Decoder.range, Decoder("int"), depth),
    "multiranges": lambda depth: nested(Decoder.multirange, Decoder("int"), depth),
    "instances": lambda depth: nested(
        lambda inner: unfit([], related=[(inner, "a", "b")]), unfit([]), depth
    ),
}


@pytest.mark.parametrize("case", NESTED)
def test_what_is_nested_without_end_is_refused(case):
    NESTED[case](99)
    with pytest.raises(HydrationError, match="more than 100 are nested"):
        NESTED[case](101)


def test_names_and_items_that_differ_in_number():
    with pytest.raises(HydrationError, match="1 names for 2 items"):
        Plan.dicts("library.Book", columns(), [0, 1], ["a"])


WRONG_ARGUMENTS = {
    "negative item": lambda: Plan.flat("library.Book", columns(), -1),
    "items of another type": lambda: Plan.tuples("library.Book", columns(), ["a"]),
    "columns of another type": lambda: Plan.flat("m", [1], 0),
    "names of another type": lambda: Plan.dicts("library.Book", columns(), [0], [1]),
    "an instance of another type": lambda: Plan.instances("library.Book", columns(), Thing),
    "a model of another type": lambda: Instance(1, [], state_class=ModelState, state=[]),
    "made without a shape": lambda: Plan(),
    "a time zone of another type": lambda: Decoder("timestamptz", tzinfo="UTC"),
    "a decoder of another type": lambda: Column("number", "int", int),
    "elements of another type": lambda: Decoder.array("int"),
}


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_arguments_of_wrong_types(case):
    with pytest.raises((TypeError, OverflowError)):
        WRONG_ARGUMENTS[case]()


def test_a_result_of_too_few_columns(driver):
    result = driver.execute("SELECT 1, 2").pgresult
    with pytest.raises(HydrationError, match="expects 3 columns and the result has 2"):
        PLANS["flat"](columns()).hydrate_result(result, 0, 1)


def test_rows_of_too_few_values():
    with pytest.raises(HydrationError, match="expects 3 columns and the result has 1"):
        PLANS["flat"](columns()).hydrate_rows([(1, 2, 3), (1,)])


@pytest.mark.parametrize(("start", "stop"), [(0, 11), (11, 11), (5, 4), (11, 12)])
def test_rows_that_a_result_does_not_have(start, stop, rows):
    with pytest.raises(HydrationError, match=f"rows {start} to {stop} .* the result has 10"):
        PLANS["flat"](columns()).hydrate_result(rows.pgresult, start, stop)


def test_a_negative_row(rows):
    with pytest.raises(OverflowError):
        PLANS["flat"](columns()).hydrate_result(rows.pgresult, -1, 1)


def test_a_result_that_is_cleared(rows):
    rows.pgresult.clear()
    with pytest.raises(HydrationError, match="cleared"):
        PLANS["flat"](columns()).hydrate_result(rows.pgresult, 0, 1)


def test_a_result_without_rows(driver):
    result = driver.execute("SELECT 1, '', '' WHERE false").pgresult
    assert PLANS["flat"](columns()).hydrate_result(result, 0, 0) == []


def test_what_is_no_result():
    with pytest.raises(AttributeError):
        PLANS["flat"](columns()).hydrate_result(object(), 0, 1)
    with pytest.raises(TypeError):
        PLANS["flat"](columns()).hydrate_rows(((1, 2, 3),))
    with pytest.raises(TypeError):
        PLANS["flat"](columns()).hydrate_rows([[1, 2, 3]])


def test_a_null_address():
    with pytest.raises(HydrationError, match="libpq is not bound"):
        _core.bind_libpq({"PQntuples": 0, "PQnfields": 1})


# Joins


def things(*fields, **options):
    described = Instance(Thing, fields, state_class=ModelState, state=[("db", "here")], **options)
    return Plan.instances("library.Thing", columns(), described)


class Kept:
    """An instance to which others are joined."""

    def __init__(self, number):
        self.number = number
        self._state = ModelState()
        self._prefetched_objects_cache = {}


def test_related_objects_are_grouped_and_refer_to_their_instance(rows):
    plan = things(("text", 1), ("maybe", 2))
    instances = {"1": Kept(1), "2": Kept(2), None: Kept(None)}
    join = Join("maybe", instances, "of", keeps=True)
    assert plan.joins(join)
    first = plan.hydrate_result(rows.pgresult, 0, 5, join)
    found = first + plan.hydrate_result(rows.pgresult, 5, 10, join)
    assert list(join.groups) == ["1", "2", None]
    assert [each.text for each in join.groups["1"]] == ["text 1", "text 4", "text 7", "text 10"]
    assert {id(each) for group in join.groups.values() for each in group} == {*map(id, found)}
    for each in found:
        assert each._state.fields_cache == {"of": instances[each.maybe]}


@pytest.mark.parametrize("key", ["(n - 1) / 4 + 1000", "((n - 1) / 4)::text", "nullif(1, 1)"])
@pytest.mark.parametrize("keeps", [False, True])
def test_rows_of_an_instance_that_follow_on_each_other(key, keeps, driver):
    result = driver.execute(f"SELECT {key}, 'text ' || n FROM generate_series(1, 10) AS n")
    keys = [key for key, _ in result.fetchall()]
    instances = {key: Kept(key) for key in keys}
    join = Join("number", instances, "of", keeps=keeps)
    reads = Column("number", Decoder("text" if "text" in key else "int"), int)
    described = Instance(Thing, [("number", 0)], state_class=ModelState, state=[("db", "here")])
    plan = Plan.instances("library.Thing", columns(number=reads)[:2], described)
    found = plan.hydrate_result(result.pgresult, 0, 10, join)
    assert [each.number for each in found] == keys
    assert join.groups == {key: [each for each in found if each.number == key] for key in keys}
    caches = [each._state.fields_cache for each in found]
    assert caches == [{"of": instances[key]} for key in keys]
    # Each has its own.
    assert len({*map(id, caches)}) == 10
    assert [list(vars(each._state)) for each in found] == [["db", "fields_cache"]] * 10


def test_one_that_is_not_there(rows):
    plan = things(("maybe", 2))
    join = Join("maybe", {"1": Kept(1)}, "of")
    with pytest.raises(KeyError, match="'2'"):
        plan.hydrate_result(rows.pgresult, 0, 10, join)
    lenient = Join("maybe", {"1": Kept(1)}, "of", groups=False)
    found = plan.hydrate_result(rows.pgresult, 0, 10, lenient)
    assert ["of" in each._state.fields_cache for each in found] == [True, False, False] * 3 + [
        True
    ]
    assert lenient.groups == {}


def test_what_is_not_joined(rows):
    """Code of the model's own, a key that is not selected, or one that a loader reads."""

    def from_db(db, names, values):
        thing = object.__new__(Thing)
        vars(thing).update(zip(names, values, strict=True))
        return thing

    loaded = Plan.instances(
        "library.Thing",
        columns(maybe=Column("maybe", Decoder("loader"), bytes.decode)),
        Instance(Thing, [("maybe", 2)], state_class=ModelState, state=[]),
    )
    join = Join("maybe", {})
    for plan in (
        things(("maybe", 2), from_db=from_db),
        things(("text", 1)),
        loaded,
        PLANS["tuples"](columns()),
    ):
        assert not plan.joins(join)
        assert len(plan.hydrate_result(rows.pgresult, 0, 10, join)) == 10
    assert join.groups == {}


def test_what_instances_are_given(rows):
    join = Join("maybe", {"1": None, "2": None, None: None})
    things(("text", 1), ("maybe", 2)).hydrate_result(rows.pgresult, 0, 10, join)
    instances = [Kept("1"), Kept("2"), Kept("3")]
    instances[1]._state.fields_cache["other"] = 7
    join.give_one(instances, "number", "one", 0, 2)
    join.give_one(instances, "number", "one", 2, 3)
    cached = [each._state.fields_cache for each in instances]
    assert [each["one"] and each["one"].text for each in cached] == ["text 1", "text 2", None]
    assert cached[1]["other"] == 7

    querysets = RelatedQuerysets(Thing, {"a": 1}, tuple, "entry", (5,), has_hints=True)
    querysets.give(instances, join.groups, "number", "many", 0, 3)
    made = [each._prefetched_objects_cache["many"] for each in instances]
    assert [type(each) for each in made] == [Thing] * 3
    assert [vars(each) for each in made] == [
        {
            "a": 1,
            "_cached": ("entry", (5, each.number)),
            "_hints": {"instance": each},
            "_known_related_objects": {},
            "_result_cache": join.groups.get(each.number, []),
        }
        for each in instances
    ]


def test_what_cannot_be_given():
    join = Join("maybe", {})
    querysets = RelatedQuerysets(Thing, {}, tuple, "entry", ())
    instances = [Kept(1)]
    gives = (
        lambda *slice_: join.give_one(instances, "number", "one", *slice_),
        lambda *slice_: querysets.give(instances, {}, "number", "many", *slice_),
    )
    for give in gives:
        for slice_ in ((0, 2), (1, 0), (2, 2)):
            with pytest.raises(HydrationError, match="were asked for and the result has 1"):
                give(*slice_)
    del instances[0].number
    for give in gives:
        with pytest.raises(KeyError, match="number"):
            give(0, 1)
    for slice_ in ((-1, 1), (None, 1)):
        with pytest.raises((OverflowError, TypeError)):
            gives[0](*slice_)


def test_the_boundary_is_small():
    public = [name for name in dir(_core) if not name.startswith("_")]
    assert public == [
        "Column",
        "Decoder",
        "Encoder",
        "Exchange",
        "Fit",
        "HydrationError",
        "Instance",
        "Join",
        "Literals",
        "Parameters",
        "Pipeline",
        "Plan",
        "RelatedQuerysets",
        "Reply",
        "bind_libpq",
        "on_class_modified",
        "state_deleter",
        "watch_class",
    ]


def test_plans_are_frozen_and_show_what_they_are():
    column = Column("number", Decoder("int"), int)
    plan = Plan.flat("library.Book", [column], 0)
    assert plan.columns == [column]
    assert (column.name, column.decoder.name, column.decoder.binary) == ("number", "int", False)
    assert instance().direct
    assert not instance(from_db=print).direct
    for frozen, name in ((column, "name"), (plan, "columns"), (instance(), "direct")):
        with pytest.raises(AttributeError):
            setattr(frozen, name, 1)
        with pytest.raises(AttributeError):
            frozen.other = 1
    assert repr(plan) == "<Plan library.Book flat values columns=1>"
    assert repr(column) == '<Column "number" decoder="int">'
    assert repr(column.decoder) == '<Decoder "int" text>'
    assert repr(instance()) == "<Instance Thing direct fields=2 related=0>"


# Exceptions


class Refused(Exception):
    pass


def refuse_at(refused):
    def refuse(value, expression, connection):
        if value == refused:
            raise Refused("secret")
        return value

    name, decoder = ("number", "int") if isinstance(refused, int) else ("text", "text")
    return Column(name, Decoder(decoder), pytest.fail, converters=[(refuse, None)])


@pytest.mark.parametrize("name", PLANS)
def test_an_exception_says_where_it_arose_and_not_what_was_read(name, rows):
    plan = PLANS[name](columns(number=refuse_at(4), text=refuse_at("text 4")))
    loaded = rows.fetchall()
    for hydrate in (
        lambda: plan.hydrate_result(rows.pgresult, 2, 10),
        lambda: plan.hydrate_rows(loaded[2:]),
    ):
        with pytest.raises(Refused) as caught:
            hydrate()
        (note,) = caught.value.__notes__
        place, _, row = note.partition(", row ")
        assert row in {"1", "3"}
        assert place in {
            'turbo-orm: library.Book, field "number", column 0',
            'turbo-orm: library.Book, field "text", column 1',
        }
        assert "secret" not in note
        assert "text 4" not in note


def test_an_exception_says_which_row_of_the_result(rows):
    plan = PLANS["tuples"](columns(number=refuse_at(4)))
    with pytest.raises(Refused) as caught:
        plan.hydrate_result(rows.pgresult, 2, 10)
    assert caught.value.__notes__ == ['turbo-orm: library.Book, field "number", column 0, row 3']


def test_an_exception_of_a_loader_is_the_loaders_own(rows):
    def load(wire):
        raise refused

    refused = Refused("secret")
    plan = Plan.flat("library.Book", columns(maybe=Column("maybe", Decoder("loader"), load)), 2)
    with pytest.raises(Refused) as caught:
        plan.hydrate_result(rows.pgresult, 0, 10)
    assert caught.value is refused
    assert len(refused.__notes__) == 1


def test_an_exception_that_takes_no_notes(rows):
    class Mute(Exception):
        def add_note(self, note):
            raise TypeError("no notes")

    def load(wire):
        raise Mute("still the same")

    plan = Plan.flat("library.Book", columns(number=Column("number", Decoder("loader"), load)), 0)
    with pytest.raises(Mute, match="still the same"):
        plan.hydrate_result(rows.pgresult, 0, 1)


def test_exceptions_that_are_no_exceptions_pass_through(rows):
    def load(wire):
        raise KeyboardInterrupt

    plan = Plan.flat("library.Book", columns(number=Column("number", Decoder("loader"), load)), 0)
    with pytest.raises(KeyboardInterrupt):
        plan.hydrate_result(rows.pgresult, 0, 1)


class Odd(str):
    """A name whose methods raise, once they are told to."""

    raised = None

    def __hash__(self):
        if self.raised:
            raise self.raised
        return super().__hash__()


class Guarded(Thing):
    """A model whose attributes raise when they are set."""

    def __setattr__(self, name, value):
        raise value

    @property
    def guarded(self):
        pass

    @guarded.setter
    def guarded(self, value):
        raise value


def raising(exc):
    def function(*args):
        raise exc

    return function


def raising_column(exc, **options):
    """Return a column whose values are an exception."""
    return Column("number", Decoder("loader"), lambda wire: exc, **options)


def raising_instances(exc, model=Thing, fields=(("number", 0),), **options):
    column = raising_column(exc) if model is Guarded else Column("number", Decoder("int"), int)
    made = Instance(model, fields, state_class=ModelState, state=[], **options)
    return Plan.instances("library.Book", [column], made)


def raising_name(exc):
    name = Odd("name")
    plan = Plan.dicts("library.Book", [Column("number", Decoder("int"), int)], [0], [name])
    name.raised = exc
    return plan


def related(local, remote):
    return [(Instance(Thing, [], state_class=ModelState, state=[]), local, remote)]


class Zone(tzinfo):
    def __init__(self, exc):
        self.exc = exc

    def fromutc(self, moment):
        raise self.exc


# Wherever the core calls Python: plans in which that raises.
CALLS = {
    "a loader": lambda exc: Plan.flat(
        "library.Book", [Column("number", Decoder("loader"), raising(exc))], 0
    ),
    "a converter": lambda exc: Plan.flat(
        "library.Book", [raising_column(exc, converters=[(raising(exc), None)])], 0
    ),
    "from_db()": lambda exc: raising_instances(exc, from_db=raising(exc)),
    "a setter": lambda exc: raising_instances(exc, related=related(raising(exc), None)),
    "a setter of the other": lambda exc: raising_instances(
        exc, related=related(None, raising(exc))
    ),
    "a descriptor": lambda exc: raising_instances(exc, Guarded, [("guarded", 0)]),
    "__setattr__() of an annotation": lambda exc: raising_instances(
        exc, Guarded, [], annotations=[("number", 0)]
    ),
    "__hash__() of a name": raising_name,
    "fromutc() of a zone": lambda exc: Plan.flat(
        "library.Book", [Column("number", Decoder("timestamptz", zone=Zone(exc)), pytest.fail)], 0
    ),
}


@pytest.mark.parametrize("raised", [Refused, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_python_raises_comes_through_as_it_is(call, raised):
    raised = raised("still the same")
    wire = b"2024-02-29 12:30:00+00" if "zone" in call else b"1"
    with pytest.raises(type(raised)) as caught:
        CALLS[call](raised).hydrate_result(results.column(Format.TEXT, [wire]), 0, 1)
    assert caught.value is raised
    assert (raised.__cause__, raised.__context__) == (None, None)


def test_what_the_attributes_of_a_result_raise_comes_through():
    class Result:
        pgresult_ptr = property(lambda self: raising(raised)())

    raised = Refused()
    with pytest.raises(Refused) as caught:
        PLANS["flat"](columns()).hydrate_result(Result(), 0, 1)
    assert caught.value is raised


@pytest.mark.parametrize("address", ["one", 1.5, -1, 2**64])
def test_what_is_no_address(address):
    result = SimpleNamespace(pgresult_ptr=address)
    with pytest.raises((TypeError, OverflowError)):
        PLANS["flat"](columns()).hydrate_result(result, 0, 1)


def clearing(call):
    """Return a plan of two columns whose first has Python called, and the result cleared then."""
    pgresult = results.result([(0, Format.TEXT)] * 2, [[b"x" * 5000, b"y" * 5000]] * 3)

    def clear(*args):
        pgresult.clear()
        return Thing.__new__(Thing)

    text = Column("text", Decoder("text"), pytest.fail)
    clearing = {
        "a loader": Column("text", Decoder("loader"), clear),
        "a converter": Column("text", Decoder("text"), clear, converters=[(clear, None)]),
    }
    plan = Plan.tuples("library.Book", [clearing.get(call, text), text], [0, 1])
    inner = Instance(Thing, [("text", 1)], state_class=ModelState, state=[])
    options = {
        "from_db()": {"from_db": clear, "related": [(inner, None, None)]},
        "a setter": {"related": [(inner, clear, None), (inner, None, None)]},
    }
    if call in options:
        fields = [("text", 0)]
        made = Instance(Thing, fields, state_class=ModelState, state=[], **options[call])
        plan = Plan.instances("library.Book", [text, text], made)
    return plan, pgresult


@pytest.mark.parametrize("call", ["a loader", "a converter", "from_db()", "a setter"])
def test_a_result_that_is_cleared_meanwhile(call):
    plan, pgresult = clearing(call)
    with pytest.raises(HydrationError, match="cleared"):
        plan.hydrate_result(pgresult, 0, 3)


def test_hydration_without_end_is_an_error(rows):
    """A converter that comes back to itself meets Python's limit before that of the stack."""

    def hydrate(value, expression, connection):
        return plan.hydrate_result(rows.pgresult, 0, 1)

    number = Column("number", Decoder("int"), int, converters=[(hydrate, None)])
    plan = Plan.flat("library.Book", columns(number=number), 0)
    with pytest.raises(RecursionError):
        plan.hydrate_result(rows.pgresult, 0, 1)


def test_a_converter_may_hydrate(rows):
    inner = PLANS["tuples"](columns())

    def hydrate(value, expression, connection):
        return inner.hydrate_result(rows.pgresult, value - 1, value)

    number = Column("number", Decoder("int"), int, converters=[(hydrate, None)])
    outer = Plan.flat("library.Book", columns(number=number), 0)
    assert outer.hydrate_result(rows.pgresult, 0, 10) == [
        [row] for row in inner.hydrate_result(rows.pgresult, 0, 10)
    ]


# What is left behind


@pytest.fixture
def only_new_objects():
    """Have the collector look at none of those that there are, which takes the longest."""
    gc.freeze()
    yield
    gc.unfreeze()


class Tracked:
    """A value that can be referred to weakly."""


@pytest.mark.usefixtures("only_new_objects")
def cycle():
    """Have a plan call what holds the plan. Return a reference to that."""
    plans = []

    def call(*args):
        return plans

    made = Instance(
        Thing,
        [],
        state_class=ModelState,
        state=[],
        from_db=call,
        related=[(unfit([]), call, None)],
    )
    column = Column("c", Decoder("text"), call, converters=[(call, call)])
    plans.append(Plan.instances("m", [column], made))
    return weakref.ref(call)


def test_a_cycle_through_a_plan_is_collected():
    call = cycle()
    gc.collect()
    assert call() is None


def test_an_exception_leaves_nothing_behind(rows):
    alive = []

    def track(value, expression, connection):
        if value == 7:
            raise Refused
        tracked = Tracked()
        alive.append(weakref.ref(tracked))
        return tracked

    number = Column("number", Decoder("int"), int, converters=[(track, None)])
    for make in PLANS.values():
        alive.clear()
        with suppress(Refused):
            make(columns(number=number)).hydrate_result(rows.pgresult, 0, 10)
        gc.collect()
        assert [ref for ref in alive if ref() is not None] == []


@pytest.mark.usefixtures("only_new_objects")
@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("fails", [False, True])
def test_references_to_shared_objects_are_level(name, fails, rows):
    load, state, names = bytes.decode, "a state", ["number", "text"]
    column = refuse_at(9) if fails else Column("number", Decoder("int"), int)
    plan = PLANS[name](columns(number=column))
    loaded = rows.fetchall()
    shared = [
        None,
        True,
        plan,
        column,
        load,
        state,
        names[0],
        Thing,
        Row,
        ModelState,
        rows.pgresult,
    ]
    shared += loaded

    def hydrate():
        for _ in range(20):
            with suppress(Refused):
                plan.hydrate_result(rows.pgresult, 0, 10)
            with suppress(Refused):
                plan.hydrate_rows(loaded)
        gc.collect()
        return [sys.getrefcount(item) for item in shared]

    hydrate()
    before = hydrate()
    after = hydrate()
    # A few come and go with what the interpreter itself does; a leak is twenty at least.
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 10


@pytest.mark.usefixtures("only_new_objects")
@pytest.mark.parametrize("name", PLANS)
def test_no_objects_are_left(name, rows):
    plan = PLANS[name](columns())

    def hydrate():
        for _ in range(20):
            plan.hydrate_result(rows.pgresult, 0, 10)
        gc.collect()
        return len(gc.get_objects())

    hydrate()
    before = hydrate()
    assert hydrate() - before < 20
