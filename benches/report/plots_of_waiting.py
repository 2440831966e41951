"""Plots of what waits: tasks for one of few connections, and operations for a distant server."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from benches import names
from benches.report import concurrent, round_trips
from benches.report.plots import LOOKS, OURS, STYLE, draw_bars, grid, saved
from benches.report.run import Run


def plot_statements(run: Run, file: Path) -> Path | None:
    """Plot the statements a second on each event loop, what they cost the server, and waits."""
    found = concurrent.contenders(run)
    contenders = [name for name in LOOKS if name in found]
    if not contenders:
        return None
    loops = concurrent.loops(run)
    panels_of = [(loop, f"statements a second, {loop}", _rate) for loop in loops]
    panels_of += [
        (loop, f"the server's µs a statement, {loop}", _processor_time)
        for loop in loops
        # Elsewhere than on Linux it is not known.
        if concurrent.processor_time(run, loop, contenders[0])
    ]
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(panels_of), len(contenders), columns=2)
        for panel, (loop, title, measure) in zip(panels, panels_of, strict=True):
            values, labels = zip(*(measure(run, loop, each) for each in contenders), strict=True)
            draw_bars(panel, title, contenders, [*values], [*labels], room=1.5)
        figure.suptitle("200 tasks over twenty connections, and ÷ psycopg's pool")
        return saved(figure, file)


def _rate(run: Run, loop: str, contender: str) -> tuple[float, str]:
    value = concurrent.rate(run, loop, contender)
    times = concurrent.over_psycopg(run, loop, contender)
    return (value, f"{value:,.0f} · {times:.2f}×") if value and times else (0, "")


def _processor_time(run: Run, loop: str, contender: str) -> tuple[float, str]:
    value = concurrent.processor_time(run, loop, contender)
    times = concurrent.processor_time_over_psycopg(run, loop, contender)
    return (value * 1e6, f"{value * 1e6:.1f} · {times:.2f}×") if value and times else (0, "")


def plot_distances(run: Run, file: Path) -> Path | None:
    """Plot the time of each operation by that of a round trip."""
    operations, distances = round_trips.operations(run), round_trips.distances(run)
    if not operations:
        return None
    with mpl.rc_context(STYLE):
        figure, panels = pyplot.subplots(
            1,
            len(operations),
            figsize=(5.2 * len(operations), 4.6),
            squeeze=False,
            layout="constrained",
        )
        for panel, operation in zip(panels[0], operations, strict=True):
            found = round_trips.contenders(run, operation)
            for contender in (name for name in LOOKS if name in found):
                _draw_line(panel, run, operation, contender)
            panel.set_title(operation.capitalize())
            panel.set_xlabel("milliseconds of a round trip")
            panel.set_xticks(distances)
            panel.set_ylim(bottom=0)
            panel.legend(frameon=False)
        panels[0][0].set_ylabel("milliseconds in the best round")
        return saved(figure, file)


def _draw_line(panel: Any, run: Run, operation: str, contender: str) -> None:
    points = [
        (distance, seconds * 1e3)
        for distance in round_trips.distances(run)
        if (seconds := round_trips.call(run, operation, distance, contender))
    ]
    colour, marker, line = LOOKS[contender]
    count = round_trips.round_trips(run, operation, contender)
    stands_out = contender in {OURS, names.TURBO_PIPELINE}
    panel.plot(
        *zip(*points, strict=True),
        label=contender if count is None else f"{contender}: {count:g} round trips",
        color=colour,
        marker=marker,
        linestyle=line,
        linewidth=3 if stands_out else 1.5,
        markersize=12 if stands_out else 6,
        zorder=3 if stands_out else 2,
    )
