"""The places in a query where a string of a request may end up."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from django.contrib.postgres.aggregates import StringAgg
from django.db.models import (
    Count,
    F,
    FilteredRelation,
    Max,
    Q,
    TextField,
    Value,
)
from django.db.models.fields.json import KT, KeyTextTransform
from django.db.models.functions import Concat, Extract, Trunc

from tests.faults.strings import PATHS, TEXTS
from tests.library.fields import Arrays
from tests.library.models import Account, Author, Book, Comment, Diary, Player, Sample, Team


def teams() -> None:
    """Have something in the tables that could get lost, under names that are hostile."""
    rome = Team.objects.create(name="rome", city="'; DROP TABLE library_team; --")
    Team.objects.create(name="ur", city='"')
    Player.objects.create(name="%s", team=rome)
    Account.objects.bulk_create(Account(owner=f"{n}", balance=n) for n in range(3))


@asynccontextmanager
async def undone(orm: Any) -> AsyncIterator[None]:
    """Roll back what is done in the block, and no more than that."""

    class Undo(Exception):
        pass

    try:
        async with orm.atomic():
            yield
            raise Undo
    except Undo:
        pass


def ordered() -> Any:
    return Team.objects.order_by("pk")


def people() -> Any:
    return Player.objects.order_by("pk")


def samples() -> Any:
    return Sample.objects.order_by("pk").only("pk")


async def stored(orm: Any, model: Any, field: str, value: Any) -> Any:
    """Write a value and look for it: what is found is what was written."""
    async with undone(orm):
        made = await orm.call(model.objects, "create", **{field: value})
        found = await orm.list(model.objects.filter(**{field: value}).values_list("pk", field))
        assert found == [(made.pk, value)]
        await orm.call(model.objects, "update", **{field: f"{value}"})
        return await orm.call(model.objects.values(field), "get", pk=made.pk)


async def stored_json(orm: Any, value: str) -> Any:
    async with undone(orm):
        data = {value: [value, {"in": {value: value}}]}
        # Its next key is no part of what is undone.
        made = await orm.call(Sample.objects, "create", pk=1000, data=data)
        again = await orm.call(Sample.objects, "get", pk=made.pk, data__has_key=value)
        assert again.data == data
        return await orm.list(Sample.objects.filter(pk=made.pk).values_list(f"data__{value}"))


async def stored_in_bulk(orm: Any, value: str) -> Any:
    async with undone(orm):
        made = await orm.call(
            Comment.objects,
            "bulk_create",
            [Comment(text=value, content_type_id=1, object_id=n) for n in range(3)],
        )
        for comment in made:
            comment.text += value
        await orm.call(Comment.objects, "bulk_update", made, ["text"])
        return await orm.list(Comment.objects.order_by("pk").values_list("text", flat=True))


async def created(orm: Any, method: str, **kwargs: Any) -> Any:
    async with undone(orm):
        return await orm.call(Team.objects, method, **kwargs)


async def written(orm: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    async with undone(orm):
        return await orm.call(Account.objects, method, *args, **kwargs)


async def prefetched(orm: Any, lookup: str) -> Any:
    return [vars(team) for team in await orm.list(ordered().prefetch_related(lookup))]


def encodable(text: str) -> str:
    # The core refuses to name an attribute as no UTF-8 can; Python's setattr() does not.
    return text.encode(errors="replace").decode()


type Place = Callable[[Any, str], Any]


async def in_any_order(listing: Awaitable[list[Any]]) -> list[Any]:
    """Return a list whose equal rows the server may give in any order."""
    return sorted(await listing, key=repr)


async def without_costs(explaining: Awaitable[str]) -> str:
    """Return a plan without what the server estimates: it counts rows when it has the time."""
    return re.sub(r"\(cost=.*?\)", "", await explaining)


# As a value: an error only where the type or the protocol has no such text.
LOOKED_FOR: dict[str, Place] = {
    "exact": lambda orm, s: orm.list(ordered().filter(city=s)),
    "contains": lambda orm, s: orm.list(ordered().filter(city__contains=s)),
    "icontains": lambda orm, s: orm.list(ordered().exclude(city__icontains=s)),
    "startswith": lambda orm, s: orm.list(ordered().filter(city__startswith=s)),
    "regex": lambda orm, s: orm.list(ordered().filter(city__regex=s)),
    "iregex": lambda orm, s: orm.list(ordered().filter(city__iregex=s)),
    "in": lambda orm, s: orm.list(ordered().filter(city__in=[s, "rome"])),
    "isnull": lambda orm, s: orm.list(ordered().filter(city__isnull=s)),
    "search": lambda orm, s: orm.list(ordered().filter(city__search=s)),
    "a key": lambda orm, s: orm.list(ordered().filter(pk=s)),
    "keys": lambda orm, s: orm.call(Team.objects, "in_bulk", [s]),
    "a foreign key": lambda orm, s: orm.list(people().filter(team=s)),
    "a date": lambda orm, s: orm.list(samples().filter(date=s)),
    "a moment": lambda orm, s: orm.list(samples().filter(moment__year=s)),
    "a time": lambda orm, s: orm.list(samples().filter(time__gte=s)),
    "a span": lambda orm, s: orm.list(samples().filter(span=s)),
    "a decimal": lambda orm, s: orm.list(samples().filter(amount=s)),
    "an integer": lambda orm, s: orm.list(samples().filter(big=s)),
    "a boolean": lambda orm, s: orm.list(samples().filter(flag=s)),
    "a UUID": lambda orm, s: orm.list(samples().filter(key=s)),
    "an address": lambda orm, s: orm.list(samples().filter(address=s)),
    "a text": lambda orm, s: orm.list(samples().filter(text=s)),
    "JSON": lambda orm, s: orm.list(samples().filter(data=s)),
    "in JSON": lambda orm, s: orm.list(samples().filter(data__a=s)),
    "contained in JSON": lambda orm, s: orm.list(samples().filter(data__contains={s: s})),
    "in an array": lambda orm, s: orm.list(
        Arrays.objects.order_by("pk").filter(texts__contains=[s]).only("pk")
    ),
    "an expression": lambda orm, s: orm.list(
        ordered().annotate(x=Concat("city", Value(s))).values_list("x", "pk")
    ),
    "a value that is selected": lambda orm, s: orm.list(
        ordered().annotate(x=Value(s, TextField()))
    ),
    "an aggregate": lambda orm, s: orm.call(
        Team.objects, "aggregate", x=Max(Concat(Value(s), "name"))
    ),
    "a separator": lambda orm, s: orm.call(
        Team.objects, "aggregate", x=StringAgg("name", Value(s))
    ),
    "a filter of an aggregate": lambda orm, s: orm.list(
        ordered().annotate(n=Count("players", filter=Q(players__name=s)))
    ),
    "a parameter of raw()": lambda orm, s: orm.list(
        Team.objects.raw("SELECT * FROM library_team WHERE city > %s ORDER BY id", [s])
    ),
    "a parameter of extra()": lambda orm, s: orm.list(
        ordered().extra(where=["city > %s"], params=[s])
    ),
    "a cursor on the server": lambda orm, s: orm.run(
        lambda: list(ordered().filter(city__gte=s).iterator(chunk_size=1))
    ),
    "get": lambda orm, s: orm.call(Team.objects, "get", city=s),
    "count": lambda orm, s: orm.call(Team.objects.exclude(city=s), "count"),
    "explain": lambda orm, s: without_costs(orm.call(Team.objects.filter(city=s), "explain")),
}

# As a value that is written.
STORED: dict[str, Place] = {
    "delete": lambda orm, s: orm.call(Team.objects.filter(name=s + "x"), "delete"),
    "a text that is stored": lambda orm, s: stored(orm, Diary, "text", s),
    "a short text that is stored": lambda orm, s: stored(orm, Account, "owner", s),
    "JSON that is stored": stored_json,
    "texts that are stored": stored_in_bulk,
    "get_or_create": lambda orm, s: created(orm, "get_or_create", name=s, defaults={"city": s}),
    "update_or_create": lambda orm, s: created(
        orm, "update_or_create", name=s, defaults={"city": s}
    ),
}

# As the name of a field, with lookups and transforms.
FIELDS: dict[str, Place] = {
    "filter": lambda orm, s: orm.list(ordered().filter(**{s: "x"})),
    "exclude": lambda orm, s: orm.list(ordered().exclude(**{s: "1"})),
    "Q": lambda orm, s: orm.list(ordered().filter(Q(**{s: "x"}) | Q(pk=1))),
    "get": lambda orm, s: orm.call(Team.objects, "get", **{s: "x"}),
    "a lookup": lambda orm, s: orm.list(ordered().filter(**{f"city__{s}": "x"})),
    "a lookup of a relation": lambda orm, s: orm.list(people().filter(**{f"team__{s}": "1"})),
    "order_by": lambda orm, s: orm.list(Team.objects.order_by(s, "pk")),
    "order_by, descending": lambda orm, s: orm.list(Team.objects.order_by(f"-{s}", "pk")),
    "order_by over a relation": lambda orm, s: orm.list(
        Player.objects.order_by(f"team__{s}", "pk")
    ),
    "values": lambda orm, s: orm.list(ordered().values(s)),
    "values_list": lambda orm, s: orm.list(ordered().values_list("pk", s)),
    "values_list, flat": lambda orm, s: orm.list(ordered().values_list(s, flat=True)),
    "values_list, named": lambda orm, s: orm.list(ordered().values_list(s, "pk", named=True)),
    "only": lambda orm, s: orm.list(ordered().only(s)),
    "defer": lambda orm, s: orm.list(ordered().defer(s)),
    "distinct": lambda orm, s: orm.list(Team.objects.order_by(s).distinct(s)),
    "select_related": lambda orm, s: orm.list(people().select_related(s)),
    "prefetch_related": prefetched,
    "an F expression": lambda orm, s: orm.list(ordered().annotate(x=F(s))),
    "earliest": lambda orm, s: orm.call(Team.objects, "earliest", s),
    "in_bulk": lambda orm, s: orm.call(Team.objects, "in_bulk", ["x"], field_name=s),
}

# As a name that the query gives to something.
ALIASES: dict[str, Place] = {
    "annotate": lambda orm, s: orm.list(ordered().annotate(**{s: F("city")})),
    "annotate with an aggregate": lambda orm, s: orm.list(
        ordered().annotate(**{s: Count("players")}).values_list()
    ),
    "annotate, named": lambda orm, s: orm.list(
        ordered().annotate(**{s: F("city")}).values_list(s, named=True)
    ),
    "annotate, then order": lambda orm, s: orm.list(
        ordered().annotate(**{s: F("city")}).order_by(s, "pk").values_list("pk", flat=True)
    ),
    "alias": lambda orm, s: orm.list(ordered().alias(**{s: F("city")}).order_by(s, "pk")),
    "aggregate": lambda orm, s: orm.call(Team.objects, "aggregate", **{s: Count("pk")}),
    "values of an expression": lambda orm, s: orm.list(ordered().values(**{s: F("city")})),
    "a filtered relation": lambda orm, s: orm.list(
        ordered()
        .annotate(**{s: FilteredRelation("players", condition=Q(players__name="%s"))})
        .values_list("pk", f"{s}__name")
    ),
    "a select of extra()": lambda orm, s: orm.list(ordered().extra(select={s: "1"})),
    "an order of extra()": lambda orm, s: in_any_order(orm.list(Team.objects.extra(order_by=[s]))),
    "a translation of raw()": lambda orm, s: orm.list(
        Team.objects.raw(
            "SELECT id, name FROM library_team", translations={s: "city", "name": encodable(s)}
        )
    ),
    "a union": lambda orm, s: in_any_order(
        orm.list(
            Team.objects.values("pk", x=F("city"))
            .union(Team.objects.values("pk", x=F("name")))
            .order_by(s)
        )
    ),
}

# As a key in JSON, or an index.
KEYS: dict[str, Place] = {
    "a key of JSON": lambda orm, s: orm.list(samples().filter(**{f"data__{s}": 1})),
    "a key in JSON": lambda orm, s: orm.list(samples().filter(**{f"data__a__{s}": 1})),
    "a key of JSON that is selected": lambda orm, s: orm.list(
        Sample.objects.order_by("pk").values_list(f"data__{s}")
    ),
    "a key of JSON to order by": lambda orm, s: orm.list(
        Sample.objects.order_by(f"data__{s}", "pk").only("pk")
    ),
    "has_key": lambda orm, s: orm.list(samples().filter(data__has_key=s)),
    "has_any_keys": lambda orm, s: orm.list(samples().filter(data__has_any_keys=[s, "a"])),
    "a transform of a key": lambda orm, s: orm.list(
        Sample.objects.order_by("pk").annotate(x=KeyTextTransform(s, "data")).values_list("x")
    ),
    "KT": lambda orm, s: orm.list(
        Sample.objects.order_by("pk").annotate(x=KT(f"data__{s}")).values_list("x")
    ),
    "an index of an array": lambda orm, s: orm.list(
        Arrays.objects.order_by("pk").values_list(f"texts__{s}", flat=True)
    ),
}

# As a word that Django puts into the statement, or looks up.
OPTIONS: dict[str, Place] = {
    "a unit to extract": lambda orm, s: orm.list(
        Book.objects.order_by("pk").annotate(x=Extract("published", s)).values_list("x")[:3]
    ),
    "a unit to truncate to": lambda orm, s: orm.list(
        Book.objects.order_by("pk").annotate(x=Trunc("published", s)).values_list("x")[:3]
    ),
    "a unit of datetimes()": lambda orm, s: orm.list(Book.objects.datetimes("published", s)),
    "a field of dates()": lambda orm, s: orm.list(Author.objects.dates(s, "year")),
    "an order of dates()": lambda orm, s: orm.list(Author.objects.dates("born", "year", s)),
    "an option of explain()": lambda orm, s: without_costs(
        orm.call(Team.objects, "explain", **{s: True})
    ),
    "a format of explain()": lambda orm, s: without_costs(
        orm.call(Team.objects, "explain", format=s)
    ),
    # Django takes "__class__" for a database, since its handler has such an attribute.
    "a database": lambda orm, s: orm.list(Team.objects.using(s.strip("_"))),
}

# As the name of a field that is written.
WRITTEN: dict[str, Place] = {
    "create": lambda orm, s: created(orm, "create", **{"name": "x", s: "y"}),
    "get_or_create": lambda orm, s: created(orm, "get_or_create", **{s: "x"}),
    "defaults": lambda orm, s: created(
        orm, "update_or_create", name="x", defaults={"city": "x", s: "y"}
    ),
    "update": lambda orm, s: created(orm, "update", **{s: "x"}),
    "bulk_update": lambda orm, s: written(orm, "bulk_update", [Account(pk=1, owner="x")], [s]),
    "unique fields of bulk_create": lambda orm, s: written(
        orm,
        "bulk_create",
        [Account(owner="x")],
        update_conflicts=True,
        update_fields=["balance"],
        unique_fields=[s],
    ),
    "update fields of bulk_create": lambda orm, s: written(
        orm,
        "bulk_create",
        [Account(owner="x")],
        update_conflicts=True,
        update_fields=[s],
        unique_fields=["owner"],
    ),
}

SUBJECTS = {
    "looked for": (LOOKED_FOR, TEXTS),
    "stored": (STORED, TEXTS),
    "fields": (FIELDS, TEXTS | PATHS),
    "aliases": (ALIASES, TEXTS | PATHS),
    "keys": (KEYS, TEXTS | PATHS),
    "options": (OPTIONS, TEXTS | PATHS),
    "written": (WRITTEN, TEXTS | PATHS),
}
