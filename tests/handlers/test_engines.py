"""A project with a database of another engine, which has no async connection."""

from tests.support.project import APPS, databases, run_in_project

CODE = """
    import warnings
    warnings.simplefilter("ignore", ResourceWarning)
    from django.db import connections
    from django.http import HttpResponse
    from django.template import engines
    from django.template.response import TemplateResponse
    from django.urls import path
    from tests.handlers.asking import HANDLERS, Hops, ask
    from django.contrib.sessions.models import Session

    class Router:
        def db_for_read(self, model, **hints):
            return "other" if model._meta.app_label == "sessions" else None

        db_for_write = db_for_read

    async def saving(request):
        await request.session.aset("a", 1)
        return HttpResponse("saved")

    async def shown(request):
        template = engines["django"].from_string("{{ sessions.count }}")
        return TemplateResponse(request, template, {"sessions": Session.objects.all()})

    async def nothing(request):
        return HttpResponse("nothing")

    urlpatterns = [path(view.__name__, view) for view in (saving, shown, nothing)]

    async def main():
        found = {}
        for name, handler in HANDLERS.items():
            application = handler()
            found[name] = []
            for path in ("saving", "shown", "nothing"):
                with Hops() as hops:
                    answer = await ask(application, f"/{path}", signals=False)
                found[name].append([answer.status, answer.text])
        return found["django"], found["turbo"], hops.names

    with connections["other"].schema_editor() as editor:
        editor.create_model(Session)
    answer(asyncio.run(main()))
"""


def test_sessions_and_templates_of_another_engine(tmp_path):
    """They wait in a thread, as with Django's handler."""
    other = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "other")}
    django, turbo, hops = run_in_project(
        CODE,
        ALLOWED_HOSTS=["testserver"],
        DATABASES={**databases(), "other": other},
        DATABASE_ROUTERS=["__main__.Router"],
        INSTALLED_APPS=["django.contrib.sessions", *APPS],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        MIGRATION_MODULES={"sessions": None, "contenttypes": None, "library": None},
        ROOT_URLCONF="__main__",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    assert [status for status, _ in turbo] == [200, 200, 200]
    assert [django[0], django[2]] == [turbo[0], turbo[2]]
    # Each has saved one more session.
    assert [django[1][1], turbo[1][1]] == ["1", "2"]
    assert hops == []
