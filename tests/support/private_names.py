"""Where turbo-orm uses what other packages have not promised, and whether they still have it.

``make private-api`` writes the table of docs/architecture.md from
``turbo_orm.patches.private_api``. It is the same whichever versions are installed.
"""

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from turbo_orm.patches.private_api import NAMES, PrivateName

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "python" / "turbo_orm"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- private names -->\n\n", "<!-- end of private names -->\n"

HEADINGS = {
    "django": "Django",
    "django-async-backend": "django-async-backend",
    "django-debug-toolbar": "django-debug-toolbar",
    "psycopg": "psycopg",
    "psycopg-pool": "psycopg_pool",
}


# Whether it is there


def is_there(name: PrivateName) -> bool:
    """Return whether a package has a name, be it one that its code stores on instances only."""
    try:
        owner = resolve_name(name.owner)
    except (AttributeError, ImportError, ImproperlyConfigured):
        # The last, where GDAL is not installed.
        return False
    if hasattr(owner, name.name):
        return True
    return name.is_stored and any(name.name in stored_by(each) for each in _sources(owner))


def _sources(owner: Any) -> Iterator[ast.AST]:
    if inspect.ismodule(owner):
        yield _class_in(str(owner.__file__), "")
    for cls in owner.__mro__ if inspect.isclass(owner) else ():
        # psycopg's classes name the package as their module.
        for member in vars(cls).values():
            if inspect.isfunction(member) and member.__qualname__.startswith(f"{cls.__name__}."):
                code = inspect.unwrap(member).__code__
                yield _class_in(code.co_filename, cls.__name__)
                break


@cache
def _class_in(file: str, name: str) -> ast.AST:
    """Return the syntax tree of a class in a file, or of the whole file."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    return tree


@cache
def stored_by(tree: ast.AST) -> frozenset[str]:
    """Return the names of attributes that code stores on anything, or that a class has.

    Functions may make classes: those of a relation's managers.
    """
    return frozenset(_stored(tree))


def _stored(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.FunctionDef(name=name):
                yield name
            case ast.Call(
                func=ast.Name(id="_object_setattr"), args=[_, ast.Constant(str(name)), _]
            ):
                yield name
            case ast.Subscript(
                value=ast.Attribute(attr="__dict__"),
                slice=ast.Constant(str(name)),
                ctx=ast.Store(),
            ):
                yield name


def complaint(name: PrivateName) -> str:
    """Say what is missing, and which modules need it."""
    users = ", ".join(sorted(modules_that_use(name)))
    return f"{name.distribution} has no {name.path} any more, which is used by {users}"


# Who uses it


def modules_that_use(name: PrivateName) -> set[str]:
    """Return the modules, in the rooms that are listed, that have such an identifier."""
    return {
        module
        for module, identifiers in identifiers_by_module().items()
        if module.split(".")[1] in name.used_by and name.name in identifiers
    }


@cache
def identifiers_by_module() -> dict[str, frozenset[str]]:
    """Return which identifiers each module has, strings and keyword arguments among them."""
    return {module: frozenset(_identifiers(tree)) for module, tree in trees().items()}


def _identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ImportFrom(names=names):
                yield from (alias.name for alias in names)
            case ast.Constant(value=str(text)) if text.isidentifier():
                yield text


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules but the list itself."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in PACKAGE.rglob("*.py")
        if path.name != "private_api.py"
    }


def private_uses() -> dict[str, set[str]]:
    """Return the names with an underscore that modules use, and turbo-orm does not define.

    What it defines as well, as a method that overrides one, cannot be told apart by its name.
    """
    uses: dict[str, set[str]] = defaultdict(set)
    own: set[str] = set()
    for module, tree in trees().items():
        own.update(_definitions(tree))
        for name in _identifiers(tree):
            if name.startswith("_") and not name.startswith("__"):
                uses[name].add(module)
    return {name: modules for name, modules in uses.items() if name not in own}


def _definitions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.TypeAlias(name=ast.Name(id=name))
                | ast.Attribute(attr=name, value=ast.Name(id="self" | "cls"), ctx=ast.Store())
            ):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
                if any(isinstance(each, ast.Name) and each.id == "__slots__" for each in targets):
                    yield from _identifiers(node.value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                yield name
            case ast.For(target=ast.Name(id=name)) | ast.alias(asname=str(name)):
                yield name
            case ast.Dict(keys=keys):
                # What type() is given.
                yield from (key.value for key in keys if isinstance(key, ast.Constant))
            case ast.Tuple(elts=names, ctx=ast.Store()):
                yield from (each.id for each in names if isinstance(each, ast.Name))


# The page


def written() -> str:
    """Return what stands between the marks on the page."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def tables() -> str:
    """Return a table for each package."""
    head = "| of | names | used by |\n| --- | --- | --- |\n"
    return "".join(
        f"### {heading}\n\n{head}{''.join(_lines(distribution))}\n"
        for distribution, heading in HEADINGS.items()
    )


def _lines(distribution: str) -> Iterator[str]:
    names = [name for name in NAMES if name.distribution == distribution]
    ordered = sorted(names, key=lambda name: (name.owner, name.used_by))
    for (owner, used_by), alike in groupby(ordered, lambda name: (name.owner, name.used_by)):
        cells = ", ".join(f"`{name.name}`{_versions(name)}" for name in alike)
        yield f"| `{owner.replace(':', '.')}` | {cells} | {', '.join(used_by)} |\n"


def _versions(name: PrivateName) -> str:
    if name.since > (0, 0):
        return f" (since {'.'.join(map(str, name.since))})"
    if name.until < (99, 0):
        return f" (before {'.'.join(map(str, name.until))})"
    return ""


def write() -> None:
    """Replace the tables on the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}{tables()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
