"""Everything that awaits a database, each as a coroutine function of an alias."""

from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError
from django.db.models import Count, F, Func, IntegerField, Sum, Value

from tests.library.models import Account, Captain, Entry, Player, Skill, Team
from turbo_orm import bridge

type Terminal = Callable[[str], Coroutine[Any, Any, Any]]


def accounts(alias: str) -> Any:
    return Account.objects.using(alias).order_by("pk")


def entries(alias: str) -> Any:
    return Entry.objects.using(alias).order_by("pk")


def stored(model: Any, alias: str, **values: Any) -> Any:
    """Return an instance as if it had been read."""
    instance = model(**values)
    instance._state.adding = False
    instance._state.db = alias
    return instance


def ada(alias: str) -> Any:
    return stored(Account, alias, pk=1, owner="Ada", balance=77)


def red(alias: str) -> Any:
    return stored(Team, alias, pk=1, name="red", city="Rome")


def player(alias: str, number: int) -> Any:
    return stored(Player, alias, pk=1 + number, name=f"player {number}", rank=number)


def captain(alias: str) -> Any:
    return stored(
        Captain, alias, id=5, player_ptr_id=5, name="captain", rank=8, team_id=1, armband="right"
    )


async def comments(alias: str) -> Any:
    """Return a generic relation, for which Django has to know the content type."""
    types = ContentType.objects.db_manager(alias)
    await bridge.run(types.get_for_model, Player)
    return player(alias, 2).comments


async def comment(alias: str) -> None:
    await (await comments(alias)).acreate(text="new")


async def drop_comments(alias: str) -> None:
    await (await comments(alias)).aclear()


def skills(alias: str, *keys: int) -> list[Any]:
    return [stored(Skill, alias, pk=key) for key in keys]


def new_accounts() -> list[Account]:
    return [Account(owner=f"new {number}", balance=number) for number in range(3)]


def changed_accounts(alias: str) -> list[Any]:
    return [stored(Account, alias, pk=pk, owner=f"{pk}", balance=100) for pk in (1, 2, 3)]


async def loop_over(rows: Any) -> list[Any]:
    return [row async for row in rows]


async def iterate(queryset: Any, chunk_size: int) -> list[Any]:
    async with aclosing(queryset.aiterator(chunk_size=chunk_size)) as rows:
        return [row async for row in rows]


async def iterate_halfway(queryset: Any) -> None:
    async with aclosing(queryset.aiterator(chunk_size=2)) as rows:
        async for row in rows:
            if row.pk == 4:
                break


async def fail_to_create(alias: str) -> None:
    with suppress(IntegrityError):
        await accounts(alias).aget_or_create(owner="Eve", defaults={"owner": "Ada"})


def many_rows(alias: str) -> Any:
    """Return a queryset of 3,000 rows, whose result is hydrated while it arrives."""
    numbers = Func(
        Value(750), template="generate_series(1, %(expressions)s)", output_field=IntegerField()
    )
    return accounts(alias).annotate(n=numbers)


def raw(alias: str) -> Any:
    return Account.objects.raw("SELECT * FROM library_account ORDER BY id", using=alias)


READING: dict[str, Terminal] = {
    "alist": lambda db: accounts(db).alist(),
    "alist with a prefetch": lambda db: accounts(db).prefetch_related("entries").alist(),
    "alist with a limit": lambda db: accounts(db)[:2].alist(),
    "many rows": lambda db: many_rows(db).alist(),
    "many rows, one by one": lambda db: loop_over(many_rows(db).values("owner", "n")),
    "async for": lambda db: loop_over(entries(db).select_related("account")),
    "aiterator": lambda db: iterate(entries(db), 4),
    "aiterator with a prefetch": lambda db: iterate(accounts(db).prefetch_related("entries"), 3),
    "aiterator that is left": lambda db: iterate_halfway(entries(db)),
    "aget": lambda db: accounts(db).aget(owner="Ada"),
    "afirst": lambda db: accounts(db).afirst(),
    "alast": lambda db: accounts(db).alast(),
    "aearliest": lambda db: accounts(db).aearliest("balance"),
    "alatest": lambda db: accounts(db).alatest("balance"),
    "ain_bulk": lambda db: accounts(db).ain_bulk([1, 2]),
    "acount": lambda db: accounts(db).acount(),
    "aexists": lambda db: accounts(db).aexists(),
    "acontains": lambda db: accounts(db).acontains(ada(db)),
    "aaggregate": lambda db: accounts(db).aaggregate(Sum("balance"), Count("entries")),
    "aexplain": lambda db: accounts(db).aexplain(),
    "ajson": lambda db: accounts(db).values("owner", "balance").ajson(),
    "many rows as JSON": lambda db: many_rows(db).values_list("owner", "n").ajson(),
    "raw, alist": lambda db: raw(db).alist(),
    "raw, async for": lambda db: loop_over(raw(db)),
    "arefresh_from_db": lambda db: ada(db).arefresh_from_db(),
    "arefresh_from_db of a child": lambda db: captain(db).arefresh_from_db(),
    "a related manager": lambda db: red(db).players.order_by("pk").alist(),
}

WRITING: dict[str, Terminal] = {
    "acreate": lambda db: accounts(db).acreate(owner="Eve"),
    "acreate of a child": lambda db: Captain.objects.using(db).acreate(name="new", armband="x"),
    "aget_or_create": lambda db: accounts(db).aget_or_create(owner="Eve"),
    "aupdate_or_create, new": lambda db: accounts(db).aupdate_or_create(
        owner="Eve", defaults={"balance": 5}
    ),
    "aupdate_or_create": lambda db: accounts(db).aupdate_or_create(
        owner="Ada", defaults={"balance": 5}
    ),
    "abulk_create": lambda db: accounts(db).abulk_create(new_accounts()),
    "abulk_create in batches": lambda db: accounts(db).abulk_create(new_accounts(), batch_size=1),
    "abulk_create, ignoring conflicts": lambda db: accounts(db).abulk_create(
        [*new_accounts(), Account(owner="Ada", balance=5)], batch_size=2, ignore_conflicts=True
    ),
    "abulk_create, updating conflicts": lambda db: accounts(db).abulk_create(
        [Account(owner="Ada", balance=5), *new_accounts()],
        batch_size=2,
        update_conflicts=True,
        update_fields=["balance"],
        unique_fields=["owner"],
    ),
    "abulk_update in batches": lambda db: accounts(db).abulk_update(
        changed_accounts(db), ["owner", "balance"], batch_size=2
    ),
    "aupdate": lambda db: accounts(db).order_by().aupdate(balance=F("balance") + 1),
    "adelete": lambda db: entries(db).adelete(),
    "adelete with cascades": lambda db: accounts(db).filter(balance__lt=20).adelete(),
    "adelete of children": lambda db: Captain.objects.using(db).adelete(),
    "asave of a new one": lambda db: Account(owner="Eve").asave(using=db),
    "asave": lambda db: ada(db).asave(),
    "asave with a key that is new": lambda db: Account(pk=70, owner="Eve").asave(using=db),
    "asave of a new child": lambda db: Captain(name="new", armband="x").asave(using=db),
    "asave of a child": lambda db: captain(db).asave(),
    "adelete of an instance": lambda db: ada(db).adelete(),
    "adelete of an instance that others refer to": lambda db: red(db).adelete(),
    "adelete of a child": lambda db: captain(db).adelete(),
    "aadd": lambda db: red(db).players.aadd(player(db, 1), player(db, 2)),
    "aadd, one by one": lambda db: red(db).players.aadd(player(db, 1), player(db, 2), bulk=False),
    "aremove": lambda db: red(db).players.aremove(
        stored(Player, db, pk=1, name="player 0", team_id=1)
    ),
    "aclear": lambda db: red(db).players.aclear(),
    "aset": lambda db: red(db).players.aset([player(db, 1), player(db, 2)]),
    "acreate of a relation": lambda db: red(db).players.acreate(name="new"),
    "aget_or_create of a relation": lambda db: red(db).players.aget_or_create(name="new"),
    "aupdate_or_create of a relation": lambda db: red(db).players.aupdate_or_create(
        name="player 0", defaults={"rank": 9}
    ),
    "many-to-many, aadd": lambda db: player(db, 1).skills.aadd(*skills(db, 1, 2, 3)),
    "many-to-many, aremove": lambda db: player(db, 3).skills.aremove(*skills(db, 1, 3)),
    "many-to-many, aclear": lambda db: player(db, 3).skills.aclear(),
    "many-to-many, aset": lambda db: player(db, 2).skills.aset(skills(db, 2, 3)),
    "many-to-many, aset anew": lambda db: player(db, 2).skills.aset(skills(db, 2, 3), clear=True),
    "generic, acreate": comment,
    "generic, aclear": drop_comments,
}

# Two steps, also in Django: the first one may be there without the second.
STEPWISE: dict[str, Terminal] = {
    "many-to-many, acreate": lambda db: player(db, 2).skills.acreate(name="new"),
}

# Its rows are what they were, but its transaction is one that has failed.
FAILING: dict[str, Terminal] = {
    "aget_or_create that fails": fail_to_create,
}

TERMINALS = READING | WRITING | STEPWISE | FAILING
