"""Plots of a run: time per row by the number of rows, and times of 10,000 rows by shape."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, NullLocator

from benches.report.run import Run

# Colours that everybody can tell apart (Okabe and Ito), a marker, and a line style.
LOOKS: dict[str, tuple[str, str, str]] = {
    "Django sync": ("#0072B2", "s", "-"),
    "Django": ("#0072B2", "s", "-"),
    "Django async": ("#56B4E9", "D", "-"),
    "django-async-backend": ("#009E73", "^", "-"),
    "yara-orm": ("#CC79A7", "v", "-"),
    "psycopg": ("#000000", "o", "--"),
    "asyncpg": ("#8C8C8C", "X", "--"),
    "turbo-orm sync": ("#E69F00", "p", "-"),
    "turbo-orm": ("#D55E00", "*", "-"),
}
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
    # Text stays text, and the same run gives the same file.
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
        return _saved(figure, file)


def _draw_lines(panel: Any, run: Run, table: str) -> None:
    wanted = {"table": table, "shape": "instances"}
    for contender in run.distinct("contender", **wanted):
        colour, marker, line = LOOKS[contender]
        stands_out = contender == "turbo-orm"
        points = [
            (rows, time / rows * 1e6)
            for rows in run.distinct("rows", contender=contender, **wanted)
            if (time := run.time(table, "instances", rows, contender))
        ]
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
    panel.set_title(f"{table.capitalize()} instances")
    panel.set_xlabel("rows")
    panel.set_xticks(run.distinct("rows", **wanted))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time:,g} µs"))


def plot_shapes(run: Run, file: Path, rows: int = 10_000) -> Path | None:
    """Plot the times of 10,000 rows in every shape, and return the file."""
    cases = run.cases(rows)
    if not cases:
        return None
    contenders = [name for name in LOOKS if name in run.distinct("contender", rows=rows)]
    with mpl.rc_context(STYLE):
        columns = min(3, len(cases))
        lines = -(-len(cases) // columns)
        figure, panels = pyplot.subplots(
            lines,
            columns,
            figsize=(4.4 * columns, (0.32 * len(contenders) + 0.9) * lines),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for panel in panels.flat[len(cases) :]:
            panel.set_axis_off()
        for panel, (table, shape) in zip(panels.flat, cases, strict=False):
            _draw_bars(panel, run, table, shape, rows, contenders)
        figure.suptitle(f"{rows:,} rows, milliseconds: shorter is better")
        return _saved(figure, file)


def _draw_bars(
    panel: Any, run: Run, table: str, shape: str, rows: int, contenders: list[str]
) -> None:
    times = [(run.time(table, shape, rows, each) or 0) * 1e3 for each in contenders]
    places = range(len(contenders))
    bars = panel.barh(places, times, color=[LOOKS[each][0] for each in contenders], height=0.75)
    panel.bar_label(bars, [f"{time:.3g}" if time else "" for time in times], padding=3)
    panel.set_title(f"{table} {shape}", fontsize=11)
    panel.set_xlim(right=max(times) * 1.18)
    panel.set_ylim(len(contenders) - 0.5, -0.5)
    panel.set_yticks(places, contenders)
    panel.grid(visible=False, axis="y")
    panel.tick_params(left=False)
    for label in panel.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == "turbo-orm" else "normal")


def _saved(figure: Any, file: Path) -> Path:
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file
