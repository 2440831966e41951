"""Plots of a run: times per row, times of 10,000 rows by shape, rates, and small operations."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, NullLocator

from benches import names
from benches.report.operations import microseconds, quotient
from benches.report.rates import mean
from benches.report.run import Run

# Colours for all kinds of colour vision (Okabe and Ito), a marker, and a line style.
LOOKS: dict[str, tuple[str, str, str]] = {
    names.DJANGO_SYNC: ("#0072B2", "s", "-"),
    names.DJANGO: ("#0072B2", "s", "-"),
    names.DJANGO_ASYNC: ("#56B4E9", "D", "-"),
    names.BACKEND: ("#009E73", "^", "-"),
    names.YARA: ("#CC79A7", "v", "-"),
    names.TORTOISE: ("#999933", ">", "-"),
    names.SQLALCHEMY: ("#882255", "<", "-"),
    names.PICCOLO: ("#332288", "h", "-"),
    names.PSYCOPG: ("#000000", "o", "--"),
    names.PSYCOPG_RECEIVED: ("#000000", ".", ":"),
    names.PSYCOPG_ORJSON: ("#000000", "d", "-."),
    names.ASYNCPG: ("#8C8C8C", "X", "--"),
    names.DJANGO_THREADS: ("#56B4E9", "D", "-"),
    names.DJANGO_ONE_THREAD: ("#56B4E9", "d", ":"),
    names.DJANGO_NO_POOL: ("#56B4E9", "d", "--"),
    names.DJANGO_1000_THREADS: ("#0072B2", "s", ":"),
    names.TURBO_PATCHED: ("#E69F00", "P", "-"),
    names.TURBO_HANDLER: ("#D55E00", "*", "-"),
    names.TURBO_SYNC_VIEWS: ("#E69F00", "p", "-"),
    names.TURBO_SYNC: ("#E69F00", "p", "-"),
    names.TURBO_ALONE: ("#E69F00", "P", "-"),
    names.TURBO_MULTIPLEX: ("#D55E00", "P", "-"),
    names.TURBO_PIPELINE: ("#D55E00", "P", ":"),
    names.TURBO: ("#D55E00", "*", "-"),
}
OURS = names.TURBO
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titleweight": "bold",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans", "sans-serif"],
    "font.size": 11,
    "grid.color": "#E5E5E5",
    "xtick.labelsize": 9.5,
    # Text stays text, and the same run has the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "turbo-orm",
}


def plot_rows(run: Run, file: Path) -> Path | None:
    """Plot the time per row of narrow and of wide instances, and return the file."""
    tables = [
        table
        for table in ("narrow", "wide")
        if len(run.distinct("rows", table=table, shape="instances")) > 1
    ]
    if not tables:
        return None
    with mpl.rc_context(STYLE):
        figure, panels = pyplot.subplots(
            1,
            len(tables),
            figsize=(6 * len(tables), 5.6),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for panel, table in zip(panels[0], tables, strict=True):
            _draw_lines(panel, run, table)
        panels[0][0].set_ylabel("time per row in the best round")
        lines = {line.get_label(): line for panel in panels[0] for line in panel.get_lines()}
        figure.legend(
            lines.values(), lines.keys(), loc="outside lower center", ncols=5, frameon=False
        )
        return saved(figure, file)


def _draw_lines(panel: Any, run: Run, table: str) -> None:
    wanted = {"table": table, "shape": "instances"}
    for contender in run.distinct("contender", **wanted):
        points = [
            (rows, time / rows * 1e6)
            for rows in run.distinct("rows", contender=contender, **wanted)
            if (time := run.time(table, "instances", rows, contender))
        ]
        draw_line(panel, contender, points)
    panel.set_title(f"{table.capitalize()} instances")
    panel.set_xlabel("rows")
    panel.set_xticks(run.distinct("rows", **wanted))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time:,g} µs"))


def draw_line(panel: Any, contender: str, points: list[tuple[float, float]]) -> None:
    """Draw a contender's line on logarithmic axes."""
    colour, marker, line = LOOKS[contender]
    stands_out = contender == OURS
    panel.loglog(
        *zip(*points, strict=True),
        label=contender,
        color=colour,
        marker=marker,
        linestyle=line,
        linewidth=3 if stands_out else 1.5,
        markersize=12 if stands_out else 6,
        zorder=3 if stands_out else 2,
    )


def plot_shapes(run: Run, file: Path, rows: int = 10_000) -> Path | None:
    """Plot the times of 10,000 rows in every shape, and return the file."""
    cases = run.cases(rows)
    if not cases:
        return None
    contenders = [name for name in LOOKS if name in run.distinct("contender", rows=rows)]
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(cases), len(contenders))
        for panel, (table, shape) in zip(panels, cases, strict=True):
            times = [(run.time(table, shape, rows, each) or 0) * 1e3 for each in contenders]
            labels = [f"{time:.3g}" if time else "" for time in times]
            draw_bars(panel, f"{table} {shape}", contenders, times, labels)
        figure.suptitle(f"{rows:,} rows, milliseconds: shorter is better")
        return saved(figure, file)


def plot_operations(run: Run, file: Path) -> Path | None:
    """Plot the time of each small operation, and return the file."""
    operations = run.distinct("operation", "calls")
    if not operations:
        return None
    contenders = [name for name in LOOKS if name in run.distinct("contender", "calls")]
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(operations), len(contenders))
        for panel, operation in zip(panels, operations, strict=True):
            times = [(run.call(operation, each) or 0) * 1e6 for each in contenders]
            labels = [
                f"{microseconds(run, operation, each)} · {quotient(run, operation, each)}×"
                if time
                else ""
                for each, time in zip(contenders, times, strict=True)
            ]
            draw_bars(panel, operation, contenders, times, labels, room=1.4)
        figure.suptitle("Microseconds, and times as long as psycopg: shorter is better")
        return saved(figure, file)


def grid(number: int, bars: int, columns: int = 3) -> tuple[Any, list[Any]]:
    """Return a figure with so many panels, each with room for so many bars."""
    columns = min(columns, number)
    lines = -(-number // columns)
    figure, panels = pyplot.subplots(
        lines,
        columns,
        figsize=(4.4 * columns, (0.32 * bars + 0.9) * lines),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel in panels.flat[number:]:
        panel.set_axis_off()
    return figure, [*panels.flat[:number]]


def draw_bars(
    panel: Any,
    title: str,
    contenders: list[str],
    values: list[float],
    labels: list[str],
    room: float = 1.18,
) -> None:
    places = range(len(contenders))
    bars = panel.barh(places, values, color=[LOOKS[each][0] for each in contenders], height=0.75)
    panel.bar_label(bars, labels, padding=3)
    panel.set_xlim(right=max(values) * room)
    label_bars(panel, title, contenders)


def label_bars(panel: Any, title: str, contenders: list[str]) -> None:
    """Write a title above bars, and the names of their contenders beside them, from the top."""
    panel.set_title(title, fontsize=11)
    panel.set_ylim(len(contenders) - 0.5, -0.5)
    panel.set_yticks(range(len(contenders)), contenders)
    panel.grid(visible=False, axis="y")
    panel.tick_params(left=False)
    for label in panel.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == OURS else "normal")


def plot_rates(run: Run, file: Path) -> Path | None:
    """Plot the rows a second of each operation on each journal, and return the file."""
    models, contenders = run.distinct("model", "rate"), run.distinct("contender", "rate")
    if not models:
        return None
    operations = run.distinct("operation", "rate")
    with mpl.rc_context(STYLE):
        figure, panels = pyplot.subplots(
            1,
            len(models),
            figsize=(2 + 4 * len(models), 1.6 + 0.4 * len(operations)),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for panel, model in zip(panels[0], models, strict=True):
            for contender in (name for name in LOOKS if name in contenders):
                rates = [run.rate(model, each, contender) for each in operations]
                _draw_points(panel, contender, [*rates, mean(run, contender, model=model)])
            panel.set_title(model)
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))
            panel.set_yticks(range(len(operations) + 1), [*operations, "geometric mean"])
            panel.tick_params(left=False)
        panels[0][0].set_ylim(len(operations) + 0.5, -0.5)
        panels[0][0].get_yticklabels()[-1].set_fontweight("bold")
        figure.suptitle("Rows a second in the best round: further right is better")
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        return saved(figure, file)


def _draw_points(panel: Any, contender: str, rates: list[float | None]) -> None:
    colour, marker, _ = LOOKS[contender]
    stands_out = contender == OURS
    points = [(rate, place) for place, rate in enumerate(rates) if rate is not None]
    panel.plot(
        *zip(*points, strict=True),
        label=contender,
        color=colour,
        marker=marker,
        linestyle="",
        markeredgecolor="#00000055",
        markersize=14 if stands_out else 8,
        zorder=3 if stands_out else 2,
    )


def saved(figure: Any, file: Path) -> Path:
    """Save a figure, and return its file."""
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file
