"""The table of docs/requests.md, which says where Django's middleware runs.

``make methods`` writes it anew, of the rules of ``turbo_orm.handlers.middleware``, and of the
source of Django's middleware that has none. It is the same whichever Django is installed.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from turbo_orm.handlers import middleware
from turbo_orm.handlers.places import Place

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "requests.md"
BEGIN, END = "<!-- middleware -->\n\n", "<!-- end of middleware -->\n"

INLINE = "inline"
WHERE: dict[Any, str] = {
    Place.INLINE: INLINE,
    Place.BRIDGE: "bridge",
    middleware._database: "bridge",
    middleware._user: "bridge; thread if [sessions](#sessions-and-caches) use one, or if users "
    "are loaded by a backend that is neither Django's nor listed",
    middleware._saved_session: "not called if the session wasn't touched; inline, or where "
    "[sessions](#sessions-and-caches) are stored if it has to be saved",
    middleware._new_messages: "inline: the storage is created when it is first accessed",
    middleware._messages: "not called, or inline; where sessions are stored if there are "
    "messages; thread for a storage that is neither Django's nor listed",
    middleware._csrf_secret: "inline; where sessions are stored with `CSRF_USE_SESSIONS`",
    middleware._csrf_cookie: "called only if there is a new cookie; then as `process_request`",
    middleware._csrf_check: "inline for a safe method; thread for a [large form](#uploads); "
    "otherwise where the CSRF failure view runs",
    middleware._cache: "where [the cache](#sessions-and-caches) is stored",
}
ASYNC = "none: it is async"
THREAD = "thread"


def written() -> str:
    """Return what stands between the marks on the page."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def table() -> str:
    """Return the table: what runs in the same place in all of its methods shares a row."""
    found = dict(_ruled())
    names = defaultdict(list)
    for name in sorted({*found, *django_has()}, key=lambda name: name.rpartition(".")[2]):
        names[found.get(name) or django_has()[name]].append(f"`{name.rpartition('.')[2]}`")
    rows = [f"| {', '.join(classes)} | {where} |" for where, classes in names.items()]
    rows.sort(key=lambda row: not row.endswith(f"| {INLINE} |"))
    return "\n".join(["| middleware | where its sync methods run |", "|---|---|", *rows, "", ""])


def _ruled() -> Iterator[tuple[str, str]]:
    for name, rules in middleware._RULES.items():
        methods = defaultdict(list)
        for method, rule in rules.items():
            methods[WHERE[rule]].append(f"`{method}`")
        if len(methods) == 1:
            yield name, *methods
        else:
            yield name, ". ".join(f"{', '.join(of)}: {where}" for where, of in methods.items())


def django_has() -> dict[str, str]:
    """Return the middleware of the installed Django, with where it runs if it has no rule."""
    root = Path(django.__file__).parent
    found = {}
    for file in [*root.glob("middleware/*.py"), *root.glob("contrib/*/middleware.py")]:
        module = ".".join(file.relative_to(root.parent).with_suffix("").parts)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Middleware"):
                methods = {getattr(each, "name", "") for each in node.body}
                bases = {getattr(base, "id", "") for base in node.bases}
                is_async = "__acall__" in methods or "RemoteUserMiddleware" in bases
                found[f"{module}.{node.name}"] = ASYNC if is_async else THREAD
    return found


if __name__ == "__main__":
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
