"""Plots of a result: rates by endpoint, rates and P99 by the number of clients, and memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benches.http.contenders import CONTENDERS
from benches.http.endpoints import NO_QUERY
from benches.http.result import Cell, Result
from benches.report.plots import LOOKS, STYLE, draw_line, label_bars, saved


def plot_endpoints(result: Result, file: Path, clients: int = 100) -> Path:
    """Plot the rates at each endpoint: bars for the bare application, a mark for Django's."""
    endpoints = result.distinct("endpoint", application="bare")
    endpoints = [endpoint for endpoint in endpoints if endpoint != NO_QUERY]
    names = _names(result, "bare", "django")
    with mpl.rc_context(STYLE):
        figure, panels = _panels(len(endpoints), 2.6, 0.32 * len(names) + 1.4)
        for panel, endpoint in zip(panels, endpoints, strict=True):
            rates = [_rate(result, "bare", name, endpoint, clients) for name in names]
            bars = panel.barh(
                range(len(names)), rates, color=[LOOKS[name][0] for name in names], height=0.72
            )
            panel.bar_label(bars, [f"{rate:,.0f}" if rate else "" for rate in rates], padding=3)
            handled = [_rate(result, "django", name, endpoint, clients) for name in names]
            panel.scatter(handled, range(len(names)), marker="|", s=140, color="black", zorder=3)
            _dress(panel, endpoint, names, max(rates + handled))
        figure.suptitle(
            f"Requests per second, {clients:,} clients: bars, a bare application; "
            "marks, Django's handler"
        )
        return saved(figure, file)


def plot_clients(result: Result, file: Path, endpoint: str = "get") -> Path:
    """Plot the rate and the P99 of an endpoint by the number of clients."""
    with mpl.rc_context(STYLE):
        figure, (rates, waits) = pyplot.subplots(1, 2, figsize=(12, 5.4), layout="constrained")
        for panel, what, form in (
            (rates, "rate", lambda value, _: f"{value:,.0f}"),
            (waits, "p99", lambda value, _: f"{value:,g} ms"),
        ):
            _draw_lines(panel, result, endpoint, what, form)
        rates.set_title(f"{endpoint}: requests per second")
        waits.set_title(f"{endpoint}: 99 of 100 answered within")
        lines = {line.get_label(): line for line in rates.get_lines()}
        figure.legend(
            lines.values(), lines.keys(), loc="outside lower center", ncols=5, frameon=False
        )
        return saved(figure, file)


def plot_memory(result: Result, file: Path, clients: int = 1_000) -> Path:
    """Plot the memory of servers and backends, side by side for both applications."""
    applications = result.distinct("application")
    names = _names(result, *applications)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(len(applications), 5, 0.32 * len(names) + 1.6)
        for panel, application in zip(panels, applications, strict=True):
            sizes = [result.memory(application, name, clients) or (0, 0) for name in names]
            servers, backends = (list(part) for part in zip(*sizes, strict=True))
            places = range(len(names))
            panel.barh(places, servers, color="#0072B2", height=0.72, label="the server")
            bars = panel.barh(
                places,
                backends,
                left=servers,
                color="#E69F00",
                height=0.72,
                label="PostgreSQL's processes",
            )
            totals = [sum(pair) for pair in sizes]
            panel.bar_label(
                bars, [f"{total:,.0f}" if total else "" for total in totals], padding=3
            )
            _dress(panel, _APPLICATIONS[application], names, max(totals))
        figure.suptitle(f"MB, {clients:,} clients")
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
        return saved(figure, file)


def plot_handled(result: Result, file: Path, application: str, clients: int = 100) -> Path:
    """Plot the rates of requests that Django's handlers handle, by endpoint."""
    endpoints = result.distinct("endpoint", application=application)
    names = _names(result, application)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(len(endpoints), 2.6, 0.32 * len(names) + 1.4)
        for panel, endpoint in zip(panels, endpoints, strict=True):
            rates = [_rate(result, application, name, endpoint, clients) for name in names]
            colours = [LOOKS[name][0] for name in names]
            bars = panel.barh(range(len(names)), rates, color=colours, height=0.72)
            panel.bar_label(bars, [f"{rate:,.0f}" if rate else "" for rate in rates], padding=3)
            _dress(panel, endpoint, names, max(rates))
        figure.suptitle(f"Requests per second, {clients:,} clients: {_APPLICATIONS[application]}")
        return saved(figure, file)


_APPLICATIONS = {
    "bare": "bare application",
    "django": "Django's handler, no middleware",
    "startproject": "startproject's middleware",
}


def _panels(number: int, width: float, height: float) -> tuple[Any, Any]:
    """Return a figure, and its panels side by side, which share the names on their left."""
    figure, panels = pyplot.subplots(
        1,
        number,
        figsize=(1.6 + width * number, height),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    return figure, panels[0]


def _names(result: Result, *applications: str) -> list[str]:
    """Return the contenders of some applications."""
    found = {
        name for each in applications for name in result.distinct("contender", application=each)
    }
    return [name for name in CONTENDERS if name in found]


def _rate(result: Result, application: str, name: str, endpoint: str, clients: int) -> float:
    return result.median(Cell(application, name, endpoint, clients), "rate") or 0.0


def _draw_lines(
    panel: Any, result: Result, endpoint: str, what: str, form: Callable[[float, int], str]
) -> None:
    clients = result.distinct("clients")
    for name in _names(result, "bare"):
        points = [
            (number, value)
            for number in clients
            if (value := result.median(Cell("bare", name, endpoint, number), what))
        ]
        if points:
            draw_line(panel, name, points)
    panel.set_xlabel("clients")
    panel.set_xticks(clients)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    panel.yaxis.set_major_formatter(FuncFormatter(form))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _dress(panel: Any, title: str, names: list[str], most: float) -> None:
    label_bars(panel, title, names)
    panel.set_xlim(0, most * 1.3)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.locator_params(axis="x", nbins=3)
