"""Runs what docs/geodjango.md shows."""

from tests.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "geodjango.md"


def test_python_blocks(gis):
    code = [block.code for block in blocks(PAGE) if block.language == "python"]
    gis(f"""
        import ast, inspect
        from types import ModuleType
        from django.db import connection
        from django.test.utils import isolate_apps

        shown = ModuleType("tests.geodjango.places.shown")
        sys.modules[shown.__name__] = shown
        with isolate_apps("tests.geodjango.places") as apps:
            for code in {code!r}:
                flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                result = eval(compile(code, "geodjango.md", "exec", flags=flags), vars(shown))
                if inspect.iscoroutine(result):
                    run(lambda: result)
                if "class Harbour" in code:
                    with connection.schema_editor() as editor:
                        editor.create_model(shown.Harbour)
        with connection.schema_editor() as editor:
            editor.delete_model(shown.Harbour)
        answer(None)
    """)
