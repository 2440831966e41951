"""Statements that do not depend on each other are executed by one message."""

import pytest
from django.db import NotSupportedError, OperationalError, connection, transaction
from django.db.models import Func, Prefetch, TextField, Value, aprefetch_related_objects

from tests.library.models import Author, Book, Mentoring, Player, Skill, Tag, Team
from tests.support.answers import django_hydrates, fingerprint
from tests.support.project import run_in_project
from tests.support.sent import Wire
from turbo_orm import async_atomic, async_connection, run_sync
from turbo_orm.execution import direct

CODE = """
    from django.db.models import Prefetch
    from tests.library.models import Player, Skill, Team
    from turbo_orm import async_atomic

    THREE = Player.objects.order_by("pk").prefetch_related("team", "skills", "mentors")
    NESTED = Player.objects.order_by("pk").prefetch_related(
        "team__players", Prefetch("mentors", Player.objects.order_by("pk")), "skills__players"
    )

    def found(players):
        return [
            [
                each.team and each.team.name,
                [skill.name for skill in each.skills.all()],
                [mentor.name for mentor in each.mentors.all()],
            ]
            for each in players
        ]

    async def main():
        team = await Team.objects.acreate(name="red")
        players = [await Player.objects.acreate(name=f"{n}", team=team) for n in range(3)]
        skill = await Skill.objects.acreate(name="chess")
        await players[1].skills.aadd(skill)
        await players[2].mentors.aadd(players[0])
        for _ in range(7):
            await THREE.all().alist()
            await NESTED.all().alist()
        answers = []
        for queryset in (THREE, NESTED):
            await Team.objects.filter(name="begin").acount()
            answers.append(found(await queryset.all().alist()))
            async with async_atomic():
                answers.append(found(await queryset.all().alist()))
            async with async_atomic():
                players = await Player.objects.order_by("pk").alist()
                answers.append(found(await queryset.all().alist()))
        await Team.objects.filter(name="begin").acount()
        return answers

    answer(asyncio.run(main()))
"""

FOUND = [["red", [], []], ["red", ["chess"], []], ["red", [], ["0"]]]


@pytest.mark.parametrize("settings", [{}, {"PREPARE": False}], ids=["prepared", "literals"])
@pytest.mark.parametrize("pool", [{}, {"pool": {"min_size": 1, "max_size": 2}}], ids=str)
def test_what_is_sent(scratch, settings, pool):
    with Wire() as wire:
        databases = {"default": wire.database(**pool)}
        found = run_in_project(CODE, DATABASES=databases, TURBO_ORM=settings)
    assert found == [FOUND] * 6
    # Alone, in a transaction as its first statements, and later in one.
    assert together(wire.sent) == [[3]] * 3 + [[3, 2]] * 3


def together(sent):
    """Return how many statements read by each message of several, for each question."""
    start, middle, end = (index for index, each in enumerate(sent) if "'begin'" in each)
    questions = []
    for messages in (sent[start:middle], sent[middle:end]):
        reading = [
            len([part for part in each.split(";") if part.startswith(("SELECT", "EXECUTE"))])
            for each in messages
        ]
        several = [number for number in reading if number > 1]
        size = len(several) // 3
        questions += [several[at : at + size] for at in range(0, len(several), size)]
    return questions


THREE = Player.objects.order_by("pk").prefetch_related("team", "skills", "mentors")


@pytest.fixture
def players(scratch):
    team = Team.objects.create(name="red")
    made = [Player.objects.create(name=f"{number}", team=team) for number in range(3)]
    made[0].skills.add(Skill.objects.create(name="chess"))
    Mentoring.objects.create(from_player=made[0], to_player=made[1])


@pytest.fixture
def messages(monkeypatch):
    """Return how many statements were executed by each message, and whether they were at all."""
    found = []
    execute = direct.execute_together

    async def counted(using, statements):
        results = await execute(using, statements)
        found.append((len(statements), results is not None))
        return results

    monkeypatch.setattr(direct, "execute_together", counted)
    return found


async def warmed():
    """Have the statements cached, and prepared where the task keeps its connection."""
    for _ in range(7):
        await THREE.all().alist()


def rename(old, new):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE library_skill RENAME COLUMN {old} TO {new}")


def in_transaction():
    with transaction.atomic():
        Player.objects.count()
        list(THREE.all())


@pytest.fixture
def errors(players):
    """Return what Django raises where a table has lost a column, and undo it at the end."""
    rename("name", "title")
    with django_hydrates():
        found = [error_of(lambda: list(THREE.all())), error_of(in_transaction)]
    rename("title", "name")
    yield found
    rename("title", "name")


def error_of(function):
    try:
        function()
    except Exception as exc:
        return type(exc), str(exc)
    raise AssertionError("nothing was raised")


async def error_of_async(function):
    try:
        await function()
    except Exception as exc:
        return type(exc), str(exc)
    raise AssertionError("nothing was raised")


def test_one_that_fails_is_executed_by_itself(errors, messages, run):
    """The error is Django's to the letter, and the connection goes on."""

    async def steps():
        async with async_connection():
            await warmed()
            players = await Player.objects.order_by("pk").alist()

            @async_atomic
            async def as_the_first_statements():
                await aprefetch_related_objects(players, "team", "skills", "mentors")

            await run_sync(rename, "name", "title")
            del messages[:]
            assert await error_of_async(lambda: THREE.all().alist()) == errors[0]
            assert await error_of_async(as_the_first_statements) == errors[0]
            assert messages == [(3, False)] * 2
            assert await Player.objects.acount() == 3

    run(steps)


def test_one_that_fails_in_a_transaction(errors, messages, run):
    """The transaction is lost, as Django's is: by one of these statements."""

    @async_atomic
    async def in_transaction():
        await Player.objects.acount()
        await THREE.all().alist()

    async def steps():
        async with async_connection():
            await warmed()
            await run_sync(rename, "name", "title")
            kind, text = await error_of_async(in_transaction)
            assert kind is errors[1][0]
            # Where it stands in the statement is said of all three.
            assert text.splitlines()[0] == errors[1][1].splitlines()[0]
            assert await Player.objects.acount() == 3

    run(steps)


def test_a_column_of_another_type(players, run):
    """What was prepared is stale: a transaction fails by it once, and the next one does not."""

    def retype(name):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE library_skill ALTER COLUMN name TYPE {name}")

    @async_atomic
    async def in_transaction():
        await Player.objects.acount()
        return [len(each.skills.all()) for each in await THREE.all().alist()]

    async def steps():
        async with async_connection():
            await warmed()
            await run_sync(retype, "text")
            kind, _ = await error_of_async(in_transaction)
            assert kind is NotSupportedError
            return [await in_transaction() for _ in range(2)]

    try:
        assert run(steps) == [[1, 0, 0]] * 2
    finally:
        retype("varchar(50)")


def test_a_timeout_is_one(players, messages, run):
    """An error that is the same by itself is raised at once, and nothing is executed again."""
    slow = Skill.objects.annotate(
        slept=Func(Value(0.4), function="pg_sleep", output_field=TextField())
    )
    waiting = Player.objects.order_by("pk").prefetch_related(
        "team", Prefetch("skills", slow.order_by("pk"))
    )

    async def steps():
        async with async_connection() as held:
            for _ in range(4):
                await waiting.all().alist()
            await held.connection.execute("SET statement_timeout = 200")
            del messages[:]
            kind, text = await error_of_async(lambda: waiting.all().alist())
            assert (kind, text) == (
                OperationalError,
                "canceling statement due to statement timeout",
            )
            # It was not left to each statement.
            assert messages == []

    run(steps)


def test_what_watches_statements_sees_each(players, messages, run):
    async def steps():
        async with async_connection() as held:
            await warmed()
            del messages[:]
            held.force_debug_cursor = True
            seen = len(held.queries_log)
            await THREE.all().alist()
            assert len(held.queries_log) - seen == 4
            assert messages == [(3, False)]

    run(steps)


def test_of_two_databases(players, messages, run):
    """Each database has its own statement."""
    elsewhere = Player.objects.order_by("pk").prefetch_related(
        "team", Prefetch("skills", Skill.objects.using("other"))
    )

    expected = fingerprint(list(elsewhere.all()))

    async def steps():
        assert [fingerprint(await elsewhere.all().alist()) for _ in range(4)] == [expected] * 4
        assert messages == []

    run(steps)


THICK = Book.objects.filter(pages__gt=200).order_by("pk")
BOOKS = Book.objects.order_by("pk")
AUTHORS = Author.objects.order_by("pk")
# Lookups by the same path that have different querysets, or that lead back to where they began.
SAME_PATHS = {
    "what is never cached first": lambda: BOOKS.prefetch_related(
        "author", Prefetch("tags", Tag.objects.extra(where=["label > 'tag-1'"])), "tags__books"
    ),
    "a plain queryset first": lambda: BOOKS.prefetch_related(
        "author", Prefetch("tags", Tag._base_manager.order_by("-pk")), "tags__books"
    ),
    "what a queryset brings": lambda: BOOKS.prefetch_related(
        "tags",
        "tags__books",
        Prefetch("author", AUTHORS.prefetch_related(Prefetch("books", THICK.all()))),
        "author__books",
    ),
    "there, back, and filtered": lambda: AUTHORS.prefetch_related(
        Prefetch("books__author__friends", Author.objects.filter(name__gt="B")), "friends"
    ),
    "twice, to attributes": lambda: AUTHORS.prefetch_related(
        Prefetch("books", THICK.all(), to_attr="thick"), "books", "thick__tags", "books__tags"
    ),
}


@pytest.mark.parametrize("case", SAME_PATHS)
def test_lookups_that_share_a_path(case, library, run):
    """Each gets what its own queryset says, as often as it is asked for."""
    plain = [
        lambda: BOOKS.prefetch_related("author", "tags__books"),
        lambda: BOOKS.prefetch_related("tags__books", "author__books"),
        lambda: AUTHORS.prefetch_related("books__author__friends", "friends"),
    ]
    expected = fingerprint(list(SAME_PATHS[case]()))

    async def steps():
        for make in plain * 4:
            await make().alist()
        return [fingerprint(await SAME_PATHS[case]().alist()) for _ in range(5)]

    assert run(steps) == [expected] * 5


def test_what_is_known_after_the_first_is_executed(players, messages, run):
    """A lookup that Django refuses in its turn is so after the statements before it."""
    twice = Player.objects.prefetch_related(
        "team", "skills", Prefetch("skills", Skill.objects.order_by("pk"))
    )
    expected = error_of(lambda: list(twice.all()))

    async def steps():
        for _ in range(4):
            with pytest.raises(expected[0]) as caught:
                await twice.all().alist()
            assert str(caught.value) == expected[1]

    run(steps)


WRITING = """
    from tests.library.models import Player, Skill, Team
    from turbo_orm import async_atomic

    async def change(n):
        team = await Team.objects.acreate(name=f"{n}")
        player = await Player.objects.acreate(name=f"{n}", team=team)
        old, new = [await Skill.objects.acreate(name=f"{word} {n}") for word in ("old", "new")]
        await player.skills.aadd(old)
        await Team.objects.filter(name=f"set {n}").acount()
        await player.skills.aset([new])
        await Team.objects.filter(name=f"set again {n}").acount()
        async with async_atomic():
            await player.skills.aset([old])
        found = [each.name async for each in player.skills.all()]
        await Team.objects.filter(name=f"delete {n}").acount()
        deleted = await new.adelete()
        async with async_atomic():
            await Team.objects.filter(name=f"in a transaction {n}").acount()
            deleted_too = await old.adelete()
        await Team.objects.filter(name=f"end {n}").acount()
        return found, deleted, deleted_too

    async def main():
        return [await change(n) for n in range(7)]

    answer(asyncio.run(main()))
"""


def test_what_is_sent_to_write(scratch):
    with Wire() as wire:
        databases = {"default": wire.database()}
        found = run_in_project(WRITING, DATABASES=databases, TURBO_ORM={"PREPARE": False})
    alone = {"library.Skill": 1}
    linked = {"library.Player_skills": 1, "library.Skill": 1}
    assert found == [[[f"old {n}"], [1, alone], [2, linked]] for n in range(7)]
    assert [words(wire.sent, *texts) for texts in BETWEEN] == [
        [["BEGIN", "SELECT"], ["DELETE", "INSERT"], ["COMMIT"]],
        # What was set is looked at, too.
        [["BEGIN", "SELECT"], ["DELETE", "INSERT"], ["COMMIT"], ["SELECT"]],
        [["BEGIN", "DELETE", "DELETE"], ["COMMIT"]],
        [["DELETE", "DELETE"], ["COMMIT"]],
    ]


BETWEEN = [
    ("set 6", "set again 6"),
    ("set again 6", "delete 6"),
    ("delete 6", "in a transaction 6"),
    ("in a transaction 6", "end 6"),
]


def words(sent, first, last):
    """Return the first word of each statement, by message, between those that name two texts."""
    start, end = (
        next(index for index, each in enumerate(sent) if f"'{text}'" in each)
        for text in (first, last)
    )
    return [
        [statement.split()[0] for statement in each.split(";") if statement.strip()]
        for each in sent[start + 1 : end]
    ]


FAILING = """
    CREATE FUNCTION library_refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'refused'; END$$;
    CREATE TRIGGER refuse BEFORE INSERT ON library_player_skills
        FOR EACH ROW WHEN (NEW.skill_id > 1) EXECUTE FUNCTION library_refuse();
    CREATE TRIGGER refuse BEFORE DELETE ON library_skill
        FOR EACH ROW WHEN (OLD.id = 1) EXECUTE FUNCTION library_refuse();
"""


@pytest.fixture
def failing(players):
    """Have the second of two statements fail: of a cascade, and of ``set()``."""
    with connection.cursor() as cursor:
        cursor.execute(FAILING)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION library_refuse CASCADE")


async def prepared_to_write(player, chess):
    """Have the statements cached, by writes that do not fail."""
    for number in range(2, 9):
        other = await Skill.objects.acreate(name=f"{number}")
        await Skill.objects.acreate(name=f"{number} again")
        await other.adelete()
        await player.skills.aset([])
        await player.skills.aset([chess])


@pytest.mark.parametrize("is_inside", [False, True], ids=["", "in a transaction"])
@pytest.mark.parametrize("case", ["cascade", "set"])
def test_a_write_that_fails(case, is_inside, failing, run):
    """What was sent together is undone together, and the error is Django's."""
    player, chess = Player.objects.order_by("pk")[0], Skill.objects.get(name="chess")
    other = Skill.objects.create(name="go")

    def write():
        with transaction.atomic():
            if is_inside:
                Team.objects.count()
            (chess.delete if case == "cascade" else lambda: player.skills.set([other]))()

    async def awrite():
        if case == "cascade":
            await chess.adelete()
        else:
            await player.skills.aset([other])

    @async_atomic
    async def inside():
        await Team.objects.acount()
        await awrite()

    expected = error_of(write)

    async def steps():
        await prepared_to_write(player, chess)
        assert await error_of_async(inside if is_inside else awrite) == expected
        return [each.name async for each in player.skills.all()], chess.pk

    assert run(steps) == (["chess"], 1)
