"""How many times as much one measure is as another."""


def quotient(over: float | None, under: float | None) -> float | None:
    """Return one divided by the other, if both were measured."""
    return over / under if over and under else None
