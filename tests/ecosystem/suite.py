"""A suite in a mode, and what comes of it."""

from collections import Counter
from dataclasses import dataclass, field

#: The ways that the tests are run, in the order that they are run in.
DJANGO = "django"
MODES = ("patched", "hot", "bridge")

#: What the worker counts, by its attribute of a suite.
COUNTED = ("async_cursors", "sync_cursors", "results", "rows", "differences")


@dataclass
class Suite:
    """The tests of a package in a mode."""

    package: str
    mode: str
    #: What the tests have come to in Django alone, by test, and what is listed.
    expected: dict[str, str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    #: What differs from Django, with what pytest says.
    failures: dict[str, str] = field(default_factory=dict)
    async_cursors: int = 0
    sync_cursors: int = 0
    results: int = 0
    rows: int = 0
    differences: int = 0
    #: What went wrong with the process itself.
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """What it is called while it runs."""
        return f"{self.package}, {self.mode}"

    def note(self, test: str, outcome: str, detail: str) -> bool:
        """Take down what became of a test, and return whether that was expected."""
        self.outcomes[test] = outcome
        if self.mode == DJANGO:
            return True
        is_worse = outcome != "passed" and self.expected.get(test, "passed") == "passed"
        if is_worse == (test in self.listed):
            return True
        self.failures[test] = detail or f"{outcome}, and was expected to fail"
        return False

    def finish(self) -> None:
        """See that each test was run that Django alone has run."""
        if self.errors:
            return
        for test in self.expected:
            if test not in self.outcomes:
                self.errors.append(f"{test} was not run.")

    @property
    def counts(self) -> Counter[str]:
        """Numbers of outcomes."""
        counts = Counter(self.outcomes.values())
        if self.mode != DJANGO:
            counts["new"] = len(self.failures)
            counts["listed"] = sum(
                test in self.listed and test not in self.failures for test in self.outcomes
            )
        return counts

    @property
    def is_good(self) -> bool:
        """Whether all is as in Django alone."""
        wrong = self.failures, self.sync_cursors, self.differences, self.errors
        has_run = self.async_cursors or self.mode in (DJANGO, "patched")
        return bool(self.outcomes) and bool(has_run) and not any(wrong)
