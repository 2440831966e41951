"""Runs what the documentation shows: README.md and docs/, each page from top to bottom.

The Python blocks of a page share a namespace. One that awaits runs on an event loop, one that
does not runs without; the tables of the models that it defines are made for it. The cities that
``atlas.models`` finds are the most populous ones of the atlas.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import TestCase, TextTestRunner, defaultTestLoader

import pytest
from django.db import connection
from django.test.utils import isolate_apps

from atlas.dataset import Dataset
from atlas.models import City, Continent, Country
from tests.support import bypass_reasons, middleware_table
from tests.support.event_loop import Run
from turbo_orm.test import AsyncTestCase

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# tests/geodjango runs the one that needs PostGIS.
RUN = [page for page in PAGES if page.name != "geodjango.md"]
READ = [*PAGES, ROOT / "CONTRIBUTING.md"]
# Those that mkdocs does not look at, which follows the links of docs/ itself.
BESIDE = sorted({*ROOT.glob("*.md"), *ROOT.glob("benches/*.md"), *ROOT.glob("examples/*/*.md")})

# [text](target), and ![text](target "title")
LINK = re.compile(r"\]\(([^()\s]+)(?: \"[^\"]*\")?\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
FENCED = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    line: int
    code: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        line = text.count("\n", 0, found.start(3))
        yield Block(found[2], line, inspect.cleandoc(found[3]))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Return the most populous cities. Their keys come with them, so that each page has them."""
    return Dataset(2000)


@pytest.fixture
def atlas(dataset: Dataset, tables: None) -> Iterator[None]:
    """Fill the atlas for one page, which may change what it likes."""
    Continent.objects.bulk_create(dataset.continents)
    Country.objects.bulk_create(dataset.countries)
    City.objects.bulk_create(dataset.cities)
    yield
    for model in (City, Country, Continent):
        model.objects.all().delete()


@pytest.mark.usefixtures("atlas")
@pytest.mark.parametrize("page", RUN, ids=name)
def test_python_blocks(page: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ModuleType("turbo_orm.shown")
    monkeypatch.setitem(sys.modules, shown.__name__, shown)
    namespace = vars(shown)
    with isolate_apps("turbo_orm") as apps:
        try:
            for block in blocks(page):
                if block.language == "python":
                    execute(block, page, namespace, run)
                    make_tables(apps.get_models())
            run_test_cases(namespace)
        finally:
            drop_tables(apps.get_models())


def execute(block: Block, page: Path, namespace: dict[str, Any], run: Run) -> None:
    # With the lines above it as empty lines, a traceback shows the page's line.
    source = "\n" * block.line + block.code
    code = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        run(lambda: result)


def run_test_cases(namespace: dict[str, Any]) -> None:
    for case in namespace.values():
        if isinstance(case, type) and issubclass(case, TestCase) and case is not AsyncTestCase:
            tests = defaultTestLoader.loadTestsFromTestCase(case)
            result = TextTestRunner().run(tests)
            assert result.testsRun
            assert result.wasSuccessful(), result.errors + result.failures


def make_tables(models: list[Any]) -> None:
    existing = connection.introspection.table_names()
    with connection.schema_editor() as editor:
        for model in models:
            if model._meta.db_table not in existing:
                editor.create_model(model)


def drop_tables(models: list[Any]) -> None:
    existing = connection.introspection.table_names()
    with connection.schema_editor() as editor:
        for model in reversed(models):
            if model._meta.db_table in existing:
                editor.delete_model(model)


def test_the_table_of_middleware_is_true() -> None:
    assert middleware_table.written() == middleware_table.table(), "make methods writes it"


def test_the_tables_of_bypasses_are_complete() -> None:
    assert bypass_reasons.on_the_page() == bypass_reasons.in_code()


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return those of a page's headings, as GitHub makes them."""
    plain = (re.sub(r"\]\([^)]*\)|[`\[*]", "", text) for text in HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", BESIDE, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = set()
    for target in LINK.findall(prose(page)):
        if not target.startswith(("https:", "http:", "mailto:")):
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            if not linked.exists() or (anchor and anchor not in anchors(linked)):
                dead.add(target)
    assert dead == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_that_are_not_run_are_python(page: Path) -> None:
    for block in blocks(page):
        if block.language == "py":
            compile(block.code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", READ, ids=name)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    shown = {
        target
        for block in blocks(page)
        if block.language in {"bash", "console", "sh"}
        for target in re.findall(r"\bmake (?:[A-Z]+=\S+ )*([a-z]+)", block.code)
    }
    assert shown <= targets


def test_nothing_says_to_install_another_project() -> None:
    """The name on PyPI is that of an unrelated project, until there is a release."""
    sources = [*READ, *(ROOT / "python").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    installed = re.compile(
        r"(?:pip install|pip3 install|uv add|uv pip install|poetry add|pipx install)"
        r"(?:\s+-\S+)*\s+[\"'`]?turbo[-_]orm\b(?!-\*)"
    )
    found = {
        f"{source.relative_to(ROOT)}: {match[0]}"
        for source in sources
        for match in installed.finditer(source.read_text(encoding="utf-8"))
    }
    assert found == set()
