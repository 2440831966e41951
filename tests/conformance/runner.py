"""The test runner: Django's, with our report."""

import unittest
from typing import Any

from django.test.runner import DiscoverRunner

from tests.conformance.reporting import Result, tell


class _Reporter:
    """What unittest calls a runner: it runs a suite."""

    def __init__(self, **options: Any) -> None:
        """Need none of the options."""

    def run(self, suite: unittest.TestSuite) -> Result:
        tell(tests=suite.countTestCases())
        result = Result()
        result.startTestRun()
        try:
            suite(result)
        finally:
            result.stopTestRun()
        return result


class Runner(DiscoverRunner):
    test_runner = _Reporter
