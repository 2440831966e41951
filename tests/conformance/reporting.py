"""Tells the parent process what becomes of each test."""

import faulthandler
import json
import os
import traceback
import unittest
from typing import Any

_CHANNEL = os.fdopen(int(os.environ["TURBO_ORM_CONFORMANCE_CHANNEL"]), "w", buffering=1)

# Seconds that a test may take.
_PATIENCE = 300

#: The test that runs.
current: Any = None


def name_of_test() -> str:
    """Return the id of the test that runs."""
    return current.id() if current else "no test"


def tell(**event: Any) -> None:
    """Send the parent an event."""
    _CHANNEL.write(json.dumps(event) + "\n")


def hang_up() -> None:
    """Have nothing more to tell."""
    _CHANNEL.close()


class Result(unittest.TestResult):
    """Tells of each test once, at its end."""

    def startTest(self, test: Any) -> None:
        global current
        super().startTest(test)
        current = test
        # A test that hangs prints every stack and ends the run.
        tell(running=test.id())
        faulthandler.dump_traceback_later(_PATIENCE, exit=True)
        self._outcome, self._detail = "passed", ""

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        tell(test=test.id(), outcome=self._outcome, detail=self._detail)

    def _note(self, test: Any, outcome: str, detail: str) -> None:
        if isinstance(test, unittest.TestCase):
            if self._outcome != "failed":
                self._outcome, self._detail = outcome, detail
        else:
            # A class or module that could not be set up, or torn down.
            tell(test=test.id(), outcome=outcome, detail=detail)

    def _failed(self, test: Any, err: Any) -> None:
        self._note(test, "failed", "".join(traceback.format_exception(*err)))

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._note(test, "failed", "unexpected success")
