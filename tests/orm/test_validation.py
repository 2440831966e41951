"""Validation, which asks the database: on the bridge it is Django's, in the event loop refused."""

import pytest
from django.core.exceptions import SynchronousOnlyOperation, ValidationError

from tests.library.models import Team
from tests.library.options import Booking

METHODS = ["clean_fields", "clean", "validate_unique", "validate_constraints", "full_clean"]


def bookings():
    Team.objects.bulk_create([Team(name="red"), Team(name="blue")])
    Booking.objects.bulk_create(
        [
            Booking(code="a", team_id=1, room=1, title="first"),
            Booking(code="b", team_id=1, room=2, title="second"),
        ]
    )


VALID = {"code": "c", "team_id": 2, "room": 1, "title": "third", "begins": 12, "ends": 13}

CHANGES = {
    "valid": {},
    "the code of another": {"code": "a"},
    "the title of another in that month": {"title": "second"},
    "the room and hour of another": {"begins": 9},
    "its own key": {"pk": 1, "code": "a", "team_id": 1},
    "ends before it begins": {"ends": 11},
    "a team that does not exist": {"team_id": 99},
    "a team with two bookings": {"team_id": 1},
    "no such choice": {"room": 7},
    "nothing at all": {"code": "", "team_id": None, "title": "", "room": None},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CHANGES)
def test_validation_on_the_bridge(case, method, play):
    async def steps(orm):
        booking = Booking(**VALID | CHANGES[case])
        try:
            return await orm.run(getattr(booking, method))
        except ValidationError as exc:
            return getattr(exc, "message_dict", exc.messages)

    play(steps, given=bookings)


@pytest.mark.parametrize(
    ("method", "kwargs"),
    [
        ("clean_fields", {"exclude": {"team"}}),
        ("validate_unique", {"exclude": {"code"}}),
        ("validate_constraints", {"exclude": {"room"}}),
        ("full_clean", {"exclude": {"code"}, "validate_unique": False}),
        ("full_clean", {"validate_constraints": False}),
    ],
)
def test_what_is_excluded_is_not_asked_for(method, kwargs, play):
    async def steps(orm):
        booking = Booking(**VALID | {"code": "a", "team_id": 99, "ends": 0, "begins": 9})
        try:
            return await orm.run(lambda: getattr(booking, method)(**kwargs))
        except ValidationError as exc:
            return exc.message_dict

    play(steps, given=bookings)


@pytest.mark.parametrize("method", METHODS)
def test_validation_in_the_event_loop_is_refused(method, scratch, run):
    async def validate():
        getattr(Booking(**VALID), method)()

    with pytest.raises(SynchronousOnlyOperation):
        run(validate)


@pytest.mark.parametrize("case", ["valid", "the code of another", "a team with two bookings"])
def test_a_save_that_validates(case, play):
    async def steps(orm):
        return await orm.call(Booking.objects, "create", **VALID | CHANGES[case])

    play(steps, given=bookings, raises=None if case == "valid" else ValidationError)


def test_asave_of_what_has_become_invalid(play):
    async def steps(orm):
        booking = await orm.call(Booking.objects, "get", code="a")
        booking.ends = 8
        await orm.call(booking, "save")

    play(steps, given=bookings, raises=ValidationError)
