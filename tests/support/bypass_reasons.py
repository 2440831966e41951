"""Why the query cache is bypassed: the reasons in the code, and those in docs/query_cache.md.

Where a reason names a class, a method or a value, the page has an ellipsis.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "query_cache.md"
# How rows of instances are read and written has reasons of its own, which no look-up gives.
MODULES = [
    module
    for room in ("query_cache", "orm")
    for module in (ROOT / "python" / "turbo_orm" / room).glob("*.py")
    if module.name
    not in {
        "delete.py",
        "delete_statements.py",
        "link_rows.py",
        "refresh.py",
        "save.py",
        "save_statements.py",
    }
]

# What is called with a reason, or returns one, and the variables that hold one.
_CALLED = {
    "Bypass",
    "NoCacheKey",
    "NotCacheable",
    "Refusal",
    "_Refused",
    "_by_django",
    "_bypass",
    "_leave",
    "_without_chain",
}
_RETURNING = {"_reason", "_reason_to_bypass", "_uncertainty", "uncertainty"}
_HOLDING = {
    "MISMATCH",
    "_MADE_OF_A_QUERY",
    "_NOT_INSTALLED",
    "_OFF",
    "_SUSPENDED",
    "_bypass_reason",
    "answer",
    "refusal",
    "why",
}

_ROW = re.compile(r"^\| (`.*?) \|", re.MULTILINE)


def in_code() -> set[str]:
    """Return the reasons that turbo-orm gives."""
    found: set[str] = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            found |= {_text(each) for each in _reasons(node)}
    # What is nothing but a name, or another reason, says nothing by itself.
    return {reason for reason in found if reason.strip("… ,.")}


def on_the_page() -> set[str]:
    """Return the reasons that the tables of the page explain."""
    text = PAGE.read_text(encoding="utf-8")
    return {reason for row in _ROW.findall(text) for reason in re.findall("`([^`]+)`", row)}


def _reasons(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the strings that a statement or an expression gives as reasons."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _CALLED:
            yield from _strings(*(node.args[-1:] if name == "_by_django" else node.args))
        case ast.FunctionDef(name=name) if name in _RETURNING:
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield from _strings(each.value)
        case (
            ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)])
            | ast.AnnAssign(target=ast.Name(id=name))
        ) if name in _HOLDING and node.value is not None:
            yield from _strings(node.value)


def _strings(*values: ast.expr) -> Iterator[ast.expr]:
    for value in values:
        match value:
            case ast.Constant(value=str()) | ast.JoinedStr():
                yield value
            case ast.IfExp():
                yield from _strings(value.body, value.orelse)
            case ast.BoolOp():
                yield from _strings(*value.values)


def _text(string: ast.expr) -> str:
    if isinstance(string, ast.Constant):
        return str(string.value)
    assert isinstance(string, ast.JoinedStr)
    return "".join(
        str(each.value) if isinstance(each, ast.Constant) else "…" for each in string.values
    )
