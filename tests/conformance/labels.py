"""The labels: which of Django's tests are run."""

import tomllib
from pathlib import Path

#: Groups of labels, by name.
GROUPS: dict[str, list[str]] = {
    name: labels.split()
    for name, labels in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    ).items()
}


def label_of(test: str) -> str:
    """Return the label that a test is run by, of its id or of what unittest calls a fixture."""
    # "setUpClass (postgres_tests.test_array.TestChecks)"
    return test.rpartition("(")[2].partition(".")[0]
