"""A part of a run: some labels, under one mode and one set of settings, and what comes of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import django

from tests.conformance.labels import GROUPS, label_of
from tests.conformance.listed import listed


@dataclass(frozen=True)
class Settings:
    """What can be set otherwise than by default."""

    use_tz: bool = False
    pool: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    database: tuple[tuple[str, Any], ...] = ()
    all_managers: bool = False

    def is_patched(self, mode: str) -> bool:
        """Return whether Django is patched, whose classes are its own then."""
        return mode == "bridge" or mode in REQUESTS or self.all_managers


#: By name. The first is the default.
VARIANTS = {
    "": Settings(),
    "USE_TZ": Settings(use_tz=True),
    "server_side_binding": Settings(options=(("server_side_binding", True),)),
    "DISABLE_SERVER_SIDE_CURSORS": Settings(database=(("DISABLE_SERVER_SIDE_CURSORS", True),)),
    "pool": Settings(pool=True),
    "QUERY_CACHE_ALL_MANAGERS": Settings(all_managers=True),
}


#: The mode that has nothing of turbo-orm in it.
DJANGO = "django"
#: Those that are about requests.
REQUESTS = ("requests", "requests-bridge")
#: What workers count, by its attribute of a part.
COUNTED = ("async_cursors", "sync_cursors", "requests", "results", "rows", "differences")


@dataclass
class Part:
    """Some labels to be run, and the outcomes of their tests."""

    name: str
    labels: list[str]
    mode: str
    is_patched: bool
    variant: str = ""
    #: The tests that have failed, with what unittest says.
    failures: dict[str, str] = field(default_factory=dict)
    #: Numbers of outcomes, by label.
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    #: Cursors that were opened on async connections.
    async_cursors: int = 0
    #: Sync cursors that were opened while an async operation ran.
    sync_cursors: int = 0
    #: Requests that a handler of turbo-orm's has answered.
    requests: int = 0
    #: Results that were hydrated twice, the rows in them, and what differed.
    results: int = 0
    rows: int = 0
    differences: int = 0
    #: Numbers of look-ups in the query cache: hits, misses, and bypasses by reason.
    look_ups: Counter[str] = field(default_factory=Counter)
    #: What went wrong with the processes themselves.
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listed = {} if self.mode == DJANGO else listed(self.mode, django.VERSION[:2])
        self._fails_in_django: set[str] = set()
        self._seen: set[str] = set()

    def baseline(self) -> "Part":
        """Return the same for Django alone."""
        return Part(f"{self.name}, Django", self.labels, DJANGO, False, self.variant)

    def expect(self, baseline: "Part") -> None:
        """Expect of each test what has come of it for Django alone."""
        self._fails_in_django = {*baseline.failures}

    @property
    def is_twice(self) -> bool:
        """Whether each result is hydrated by Django, too."""
        return self.mode == "hot"

    @property
    def is_gis(self) -> bool:
        """Whether the tests are GeoDjango's."""
        return is_gis(self.labels)

    def note(self, test: str, outcome: str, detail: str) -> bool:
        """Take down what became of a test, and return whether that was expected."""
        counts = self.counts.setdefault(label_of(test), Counter())
        self._seen.add(test)
        is_fixture = test.startswith(("setUp", "tearDown"))
        if is_fixture and outcome == "skipped":
            return True
        counts["tests"] += not is_fixture
        has_failed = outcome == "failed"
        is_djangos = test in self._fails_in_django
        if has_failed == (is_djangos or test in self.listed):
            why = "in Django" if is_djangos else "listed"
            counts[why if has_failed else outcome] += 1
            return True
        counts["unexpected"] += 1
        self.failures[test] = detail or f"{outcome}, and was expected to fail"
        return False

    def finish(self) -> None:
        """See that what is listed is there at all: a class may fail as a whole in Django, too."""
        for test in {} if self.variant else self.listed:
            if label_of(test) in self.labels and test not in self._seen:
                self.errors.append(f"{test} is listed, and there is no such test.")

    @property
    def totals(self) -> Counter[str]:
        """Numbers of outcomes."""
        return sum(self.counts.values(), Counter())

    @property
    def is_good(self) -> bool:
        """Whether all is as it is expected."""
        wrong = self.totals["unexpected"], self.sync_cursors, self.differences, self.errors
        does = self.requests if self.mode in REQUESTS else self.async_cursors
        has_run = self.counts and (does or self.mode == DJANGO)
        return bool(has_run) and not any(wrong)


def is_gis(labels: Iterable[str]) -> bool:
    """Return whether some of the labels are GeoDjango's."""
    return any(label.partition(".")[0] in GROUPS["gis"] for label in labels)


def parts(mode: str, labels: list[str], variants: list[str]) -> list[Part]:
    """Return the parts of a run: of the labels that are named, or of everything."""
    is_patched = VARIANTS[""].is_patched(mode)
    if labels:
        return [
            Part(variant or "labels", labels, mode, VARIANTS[variant].is_patched(mode), variant)
            for variant in variants or [""]
        ]
    if mode in REQUESTS:
        return [Part("requests", GROUPS["requests"], mode, is_patched)]
    return [
        Part("ORM", GROUPS["orm"], mode, is_patched),
        Part("ordinary use", GROUPS["use"], mode, True),
        *(
            Part(variant, GROUPS["largest"], mode, settings.is_patched(mode), variant)
            for variant, settings in VARIANTS.items()
            # Where sync methods drive async ones, Django's classes have methods of these tests.
            if variant and (mode == "bridge" or not settings.all_managers)
        ),
    ]
