"""Where a run's figures come from: its date, its record, its machine and its versions."""

from collections.abc import Mapping


def provenance(
    name: str, date: str, machine: Mapping[str, str], versions: Mapping[str, str]
) -> str:
    """Return a sentence about a run that is recorded under a name."""
    where = ", ".join(machine.values())
    what = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"Measured on {date}, recorded in `benches/results/{name}.json`: {where}; {what}."
