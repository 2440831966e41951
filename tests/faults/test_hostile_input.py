"""A string of a request is a literal or an error, the same as Django's, and never SQL."""

import pytest
from django.core.exceptions import (
    FieldDoesNotExist,
    FieldError,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import Error, connection
from django.utils.connection import ConnectionDoesNotExist
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults.places import SUBJECTS, teams
from tests.faults.strings import CANARY, TEXTS
from tests.library.models import Account, Sample, Team

pytestmark = [
    pytest.mark.usefixtures("library"),
    # Of what Django still takes, and will not.
    pytest.mark.filterwarnings("ignore:.*percent signs in a column alias"),
    pytest.mark.filterwarnings("ignore:.*StringAgg"),
]

# What an application can tell its users by, and what Python itself says of an argument.
CLEAR = (
    AttributeError,
    ConnectionDoesNotExist,
    Error,
    FieldDoesNotExist,
    FieldError,
    LookupError,
    ObjectDoesNotExist,
    OverflowError,
    TypeError,
    ValidationError,
    ValueError,
)

PLACES = [(subject, place) for subject, (places, _) in SUBJECTS.items() for place in places]


def relations():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        return cursor.fetchone()


def canary():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT current_setting('{CANARY}', true)")
        return cursor.fetchone()[0]


async def ask(orm, subject, place, string):
    """Return the answer. A clear exception is one, too."""
    places, _ = SUBJECTS[subject]
    try:
        return await places[place](orm, string)
    except CLEAR as exc:
        return type(exc), str(exc), type(exc.__cause__)


async def intact(orm):
    """Look whether the connection works, and whether all is there that was there."""
    assert await orm.call(Team.objects, "count") == 2
    assert await orm.call(Account.objects, "count") == 3
    assert await orm.call(Sample.objects, "count") == 7
    assert await orm.run(canary) in (None, "")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_hostile_string(subject, play):
    places, strings = SUBJECTS[subject]

    async def steps(orm):
        answers = {
            (place, case): await ask(orm, subject, place, string)
            for place in places
            for case, string in strings.items()
        }
        await intact(orm)
        return answers

    before = relations()
    answer = play(steps, given=teams)
    assert "returned" in answer, answer["raised"]
    assert relations() == before


def test_an_injected_call_would_be_heard(play):
    async def steps(orm):
        try:
            await orm.list(Team.objects.raw(f"SELECT 1 AS id, '{TEXTS['a call']}' AS x"))
            return await orm.run(canary)
        finally:
            await orm.close()

    assert play(steps)["returned"] == (str, "sung")


# What is not in a list either: fragments that mean something to somebody, and any characters.
FRAGMENTS = [
    "'",
    '"',
    "\\",
    "%s",
    "%",
    "--",
    "/*",
    ";",
    "$$",
    "__",
    "\x00",
    "\ud800",
    "\n",
    "(",
    "name",
]
STRINGS = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS) | st.text(st.characters(), max_size=3), max_size=8).map(
        "".join
    ),
    st.builds("name{}{}".format, st.sampled_from(FRAGMENTS), st.text(st.characters(), max_size=3)),
)


@settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=12,
    # To shrink what fails would take minutes.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(questions=st.lists(st.tuples(st.sampled_from(PLACES), STRINGS), min_size=20, max_size=50))
def test_any_strings(play, questions):
    async def steps(orm):
        answers = [await ask(orm, *where, string) for where, string in questions]
        await intact(orm)
        return answers

    answer = play(steps, given=teams)
    assert "returned" in answer, answer["raised"]
