"""Single small operations, each with values of its own, on one connection."""
