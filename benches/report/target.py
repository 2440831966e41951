"""What a measure is to reach, and whether it does in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benches.report.run import Run


@dataclass(frozen=True)
class Target:
    """A measure with a goal, and maybe a further one. Being ``higher`` is good, or being lower."""

    what: str
    measure: Callable[[Run], float | None]
    goal: float
    further: float | None = None
    higher: bool = False
    form: str = "{:.2f}"

    def cells(self, run: Run) -> list[str]:
        """Return the cells of a table: what, measured, goal, further goal, and whether met."""
        sign = "≥" if self.higher else "≤"
        goals = [
            "" if goal is None else f"{sign} {self.form.format(goal)}"
            for goal in (self.goal, self.further)
        ]
        measured = self.measure(run)
        if measured is None:
            return [self.what, "not measured", *goals, ""]
        return [self.what, f"**{self.form.format(measured)}**", *goals, self._met(measured)]

    def _met(self, measured: float) -> str:
        if not self._reaches(measured, self.goal):
            return "no"
        if self.further is not None and self._reaches(measured, self.further):
            return "yes, both"
        return "yes"

    def _reaches(self, measured: float, goal: float) -> bool:
        return measured >= goal if self.higher else measured <= goal
