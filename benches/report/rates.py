"""How many rows a second each contender has had, by journal and operation, and on the average."""

from collections.abc import Iterable
from statistics import geometric_mean

from benches.report.run import Run


def mean(run: Run, contender: str, **wanted: str) -> float | None:
    """Return the geometric mean of a contender's rates, if it has done what the others have."""
    rates = [
        run.rate(contender=contender, **operation) for operation in _operations(run, **wanted)
    ]
    measured = [rate for rate in rates if rate is not None]
    return geometric_mean(measured) if measured and len(measured) == len(rates) else None


def tables(run: Run) -> Iterable[tuple[str, list[list[str]]]]:
    """Return titles, and tables whose first rows are their heads: the means before the rates."""
    models, contenders = run.distinct("model", "rate"), run.distinct("contender", "rate")
    if not models:
        return
    head = ["", *contenders]
    means = {model: {"model": model} for model in models} | {"all": {}}
    yield (
        "Geometric means, rows a second",
        [
            head,
            *(
                [what, *_marked([mean(run, each, **wanted) for each in contenders])]
                for what, wanted in means.items()
            ),
        ],
    )
    for model in models:
        yield (
            f"{model}, rows a second",
            [
                head,
                *(
                    [what, *_marked([run.rate(model, what, each) for each in contenders])]
                    for what in run.distinct("operation", "rate", model=model)
                ),
            ],
        )


def _operations(run: Run, **wanted: str) -> Iterable[dict[str, str]]:
    for model in run.distinct("model", "rate", **wanted):
        for operation in run.distinct("operation", "rate", model=model):
            yield {"model": model, "operation": operation}


def _marked(rates: list[float | None]) -> list[str]:
    """Return the cells of a row, the best one bold."""
    best = max((rate for rate in rates if rate is not None), default=None)
    cells = ("" if rate is None else f"{rate:,.0f}" for rate in rates)
    return [
        f"**{cell}**" if rate is not None and rate == best else cell
        for rate, cell in zip(rates, cells, strict=True)
    ]
