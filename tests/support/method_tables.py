"""The tables of docs/compatibility.md, which say of each public method what becomes of it.

``make methods`` writes them anew. They are the same whichever Django is installed.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.support.methods import BRIDGE, NATIVE, PLAIN, TABLES, Method

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "compatibility.md"
BEGIN, END = "<!-- methods -->\n\n", "<!-- end of methods -->\n"

ABOUT = {
    "Manager": "In addition to the queryset methods that managers have, see the first table:",
    "Reverse foreign key": "In addition to the methods of a manager, which work in the same way:",
    "Many to many": "In addition to the methods of a manager:",
    "Generic relation": "In addition to the methods of a manager:",
    "Attributes of instances": "If the object or value that they stand for hasn't been loaded:",
}

OPERATORS = {
    "__aiter__": "`async for`",
    "__and__": "`&`",
    "__bool__": "`bool()`",
    "__call__": "`(manager=…)`",
    "__deepcopy__": "`copy.deepcopy()`",
    "__getitem__": "`[…]`",
    "__getstate__": "`pickle.dumps()`",
    "__iter__": "`for`, `list()`",
    "__len__": "`len()`",
    "__or__": "<code>&#124;</code>",
    "__repr__": "`repr()`",
    "__setstate__": "`pickle.loads()`",
    "__xor__": "`^`",
}
# Not called
PROPERTIES = {
    "columns",
    "constrained_target",
    "db",
    "model_fields",
    "ordered",
    "pk",
    "query",
    "totally_ordered",
}


def written() -> str:
    """Return what stands between the marks on the page."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def tables() -> str:
    """Return the tables, each under its heading."""
    return "\n".join(line for title in TABLES for line in [*_table(title), ""])


def write() -> None:
    """Replace the tables on the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}{tables()}{END}{after}", encoding="utf-8")


def _table(title: str) -> Iterator[str]:
    of_querysets = title == "QuerySet"
    yield f"### {title}"
    yield ""
    if title in ABOUT:
        yield ABOUT[title]
        yield ""
    what = "attribute" if title == "Attributes of instances" else "method"
    head = [what, "in a coroutine", "how", *["on managers"] * of_querysets, "tested by"]
    yield _line(head)
    yield _line(["---"] * len(head))
    for alike, methods in groupby(TABLES[title], _likeness):
        first, *others = methods
        cells = [", ".join(map(_name, [first, *others])), _awaited(first), first.how]
        if of_querysets:
            cells.append("yes" if first.on_managers else "no")
        yield _line([*cells, f"`{alike.test}`"])


def _likeness(method: Method) -> Method:
    """Return what methods that share a line have in common."""
    return method._replace(name="" if method.how not in {NATIVE, BRIDGE} else method.name)


def _name(method: Method) -> str:
    name = OPERATORS.get(method.name) or _code(method.name)
    if method.since > (0, 0):
        return f"{name} (since {_version(method.since)})"
    if method.until < (99, 0):
        return f"{name} (until {_version(method.until)})"
    return name


def _code(name: str) -> str:
    if " " in name:
        return name
    return f"`{name}`" if name in PROPERTIES else f"`{name}()`"


def _awaited(method: Method) -> str:
    if method.how == PLAIN:
        return "the same"
    if not method.awaited:
        return "—"
    if "`" in method.awaited:
        return method.awaited
    return ", ".join(OPERATORS.get(name, f"`{name}()`") for name in method.awaited.split())


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write()
