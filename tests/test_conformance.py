"""The harness for Django's own tests: what it expects, and that it would see a difference."""

import datetime
from collections import Counter

import pytest

from tests.conformance import page, twice
from tests.conformance.__main__ import labels_of
from tests.conformance.labels import GROUPS, label_of
from tests.conformance.listed import TESTS
from tests.conformance.part import Part
from tests.library.models import Author, Book

FAILS = "basic.tests.ManagerTest.test_manager_methods"


def a_part():
    part = Part("ORM", ["basic"], "hot", False, async_cursors=1)
    # What else there is depends on the Django that is installed.
    part.listed = {FAILS: part.listed[FAILS]}
    return part


def test_the_page_says_what_was_recorded():
    assert page.PATH.read_text(encoding="utf-8") == page.text()


def test_the_list_is_short_and_says_why():
    assert len({entry.test for entry in TESTS}) == len(TESTS) <= 20
    assert all(entry.reason for entry in TESTS)
    all_labels = GROUPS["orm"] + GROUPS["use"] + GROUPS["requests"] + GROUPS["gis"]
    assert all(label_of(entry.test) in all_labels for entry in TESTS)


def test_the_labels_are_those_that_were_chosen():
    assert len(set(GROUPS["orm"])) == len(GROUPS["orm"]) == 105
    assert {*GROUPS["largest"], *GROUPS["fast"], *GROUPS["needy"]} <= {*GROUPS["orm"]}
    assert {*GROUPS["fast-requests"]} <= {*GROUPS["requests"]}
    assert not {*GROUPS["fast"]} & {*GROUPS["needy"]}


def test_what_passes_is_good():
    part = a_part()
    assert part.note("basic.tests.ModelTest.test_hash", "passed", "")
    assert part.note("basic.tests.ModelTest.test_skipped", "skipped", "no")
    assert part.note(FAILS, "failed", "as ever")
    part.finish()
    assert part.totals == Counter(tests=3, passed=1, skipped=1, listed=1)
    assert part.is_good


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("basic.tests.ModelTest.test_hash", "failed"),
        ("setUpClass (basic.tests.ModelTest)", "failed"),
        (FAILS, "passed"),
        (FAILS, "skipped"),
    ],
)
def test_what_is_unexpected_is_not(test, outcome):
    part = a_part()
    part.note("basic.tests.ModelTest.test_lookup", "passed", "")
    assert not part.note(test, outcome, "")
    assert part.totals["unexpected"] == 1
    assert not part.is_good


def test_a_listed_test_that_is_gone_is_an_error():
    part = a_part()
    part.note("basic.tests.ModelTest.test_hash", "passed", "")
    part.finish()
    assert FAILS in part.errors[0]
    assert not part.is_good


@pytest.mark.parametrize("name", ["sync_cursors", "differences"])
def test_neither_are_sync_cursors_and_differences(name):
    part = a_part()
    part.note("basic.tests.ModelTest.test_hash", "passed", "")
    setattr(part, name, 1)
    assert not part.is_good


def test_a_part_without_tests_is_not_good():
    assert not a_part().is_good


def test_a_part_without_async_cursors_is_not_good():
    part = a_part()
    part.note("basic.tests.ModelTest.test_hash", "passed", "")
    part.async_cursors = 0
    assert not part.is_good


def test_a_part_about_requests_is_good_by_those_that_were_answered():
    part = Part("requests", ["asgi"], "requests", True)
    part.note("asgi.tests.ASGITest.test_file_response", "passed", "")
    assert not part.is_good
    part.requests = 1
    assert part.is_good


def test_a_group_may_have_other_labels_for_requests():
    assert labels_of(["fast", "basic"], "hot") == [*GROUPS["fast"], "basic"]
    assert labels_of(["fast", "asgi"], "requests") == [*GROUPS["fast-requests"], "asgi"]


def test_what_fails_in_django_alone_is_to_fail():
    baseline, part = a_part().baseline(), a_part()
    baseline.note("basic.tests.ModelTest.test_hash", "failed", "naive")
    part.expect(baseline)
    assert part.note("basic.tests.ModelTest.test_hash", "failed", "naive")
    assert not part.note("basic.tests.ModelTest.test_hash", "passed", "")


# Hydrated twice


def books():
    return list(Book.objects.select_related("author").order_by("pk"))


def other_value(book):
    book.title = "Another"


def other_type(book):
    book.published = datetime.date(2000, 1, 1)


def other_state(book):
    book._state.db = "other"


def other_attribute(book):
    book.another = 1


def other_order(book):
    book.title = book.__dict__.pop("title")


def other_related(book):
    book.author.name = "Another"


def no_related(book):
    del book._state.fields_cache["author"]


@pytest.mark.parametrize(
    "change",
    [
        other_value,
        other_type,
        other_state,
        other_attribute,
        other_order,
        other_related,
        no_related,
    ],
)
def test_a_difference_is_seen(change, library):
    ours, djangos = books(), books()
    assert twice._difference(ours, djangos, "", set()) == ""
    change(djangos[1])
    assert twice._difference(ours, djangos, "", set()).startswith("[1]")


@pytest.mark.parametrize(
    ("ours", "djangos"),
    [
        ([1], [True]),
        ([1], [1.0]),
        ([(1, 2)], [[1, 2]]),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),
        ([1], [1, 2]),
        ([{"a": [1, {"b": None}]}], [{"a": [1, {"b": 0}]}]),
        ([Author(pk=1)], [Book(pk=1)]),
    ],
)
def test_a_difference_of_values_is_seen(ours, djangos):
    assert twice._difference(ours, djangos, "", set())


class Tracker:
    """What refers to its instance, and is referred to by a part of its own."""

    def __init__(self, instance, known):
        self.instance = instance
        self.known = known
        self.part = TrackerPart(self)


class TrackerPart:
    def __init__(self, tracker):
        self.tracker = tracker


@pytest.mark.parametrize("known", ["Ada", "Bo"])
def test_what_refers_to_its_instance_is_compared_once(known):
    ours, djangos = Author(pk=1), Author(pk=1)
    ours.tracker, djangos.tracker = Tracker(ours, "Ada"), Tracker(djangos, known)
    difference = twice._difference([ours], [djangos], "", set())
    assert difference == ("" if known == "Ada" else "[0].tracker.known: 'Ada' is not 'Bo'")
