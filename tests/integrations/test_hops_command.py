"""``manage.py turbo_orm hops``: the thread hops of a request, in a project of its own."""

import json
import os
import re
import subprocess
import sys
from textwrap import dedent

import pytest

from tests.support.project import databases, python_path, run_in_project

PROJECT = """
    import io
    from django.core.management import CommandError, call_command
    from django.http import HttpResponse, HttpResponseRedirect
    from django.urls import path


    async def awaiting(request):
        return HttpResponse("awaited")


    def sync(request):
        return HttpResponse("sync")


    async def own(request):
        for number in range(3):
            await asyncio.to_thread(abs, number)
        return HttpResponse()


    async def redirected(request):
        return HttpResponseRedirect("/elsewhere/")


    async def raising(request):
        raise ZeroDivisionError("a message")


    urlpatterns = [
        path("", awaiting),
        path("sync/", sync),
        path("own/", own),
        path("redirected/", redirected),
        path("raising/", raising),
    ]


    class Echo:
        "An application that answers with the scope and the body that it was given."

        async def __call__(self, scope, receive, send):
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message["body"], message["more_body"]
            seen.append({**scope, "headers": dict(scope["headers"]), "body": body})
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"all"})
            assert (await receive())["type"] == "http.disconnect"


    seen = []
    echoing = Echo()


    async def failing(scope, receive, send):
        raise LookupError("no handler")


    def report(*arguments):
        out, errors, failure = io.StringIO(), io.StringIO(), None
        try:
            call_command(
                "turbo_orm", "hops", *arguments, stdout=out, stderr=errors, no_color=True
            )
        except CommandError as exc:
            failure = str(exc)
        return out.getvalue(), errors.getvalue(), failure


    def found(*arguments):
        out, errors, failure = report(*arguments, "--json")
        assert not errors, errors
        assert failure is None
        return json.loads(out)
"""

SETTINGS = {
    "ALLOWED_HOSTS": [".example.org"],
    "LOGGING_CONFIG": None,
    "ROOT_URLCONF": "__main__",
}


def in_project(code, **changes):
    return run_in_project(PROJECT + code, **{**SETTINGS, **changes})


def test_the_report():
    out, errors, failure = in_project("\n    answer(report('/own/'))\n")
    assert (errors, failure) == ("", None)
    heading, answered, first, _, *rest = out.splitlines()
    assert heading == "GET /own/"
    assert answered.startswith("  200, 0 bytes, ")
    assert answered.endswith(" ms, by django.core.handlers.asgi.ASGIHandler")
    assert first.startswith("  First, serve it by turbo_orm.asgi.get_asgi_application()")
    assert rest[0].startswith("1. receivers of django.core.signals.request_started: ")
    assert rest[2] == "     cure: the application, see above"
    assert rest[3] == "2-4. the project's own call of abs()"
    assert rest[5].startswith("     cure: use an async form of the call")
    assert rest[6] == "5. response.close() sends request_finished"
    assert re.fullmatch(r"5 thread hops, \d threads started, \d tasks? created", rest[-1])


def test_the_report_as_json():
    result = in_project("\n    answer(found('/own/?page=2'))\n")
    hops = result.pop("hops")
    assert result.pop("milliseconds") > 0
    assert result.pop("threads_started") >= 1
    assert result.pop("tasks_created") >= 1
    assert result == {
        "method": "GET",
        "path": "/own/?page=2",
        "application": "django.core.handlers.asgi.ASGIHandler",
        "by_turbo_orm": False,
        "status": 200,
        "location": None,
        "bytes": 0,
        "exception": None,
        "total": 5,
    }
    assert [hop["kind"] for hop in hops] == ["signal", "call", "call", "call", "close"]
    assert {*hops[1]} == {"kind", "cause", "function", "file", "line", "thread", "cure"}
    assert hops[1] == hops[2]


def test_an_application_of_turbo_orm():
    code = """
    Echo.__module__ = "turbo_orm.asgi"
    out, *_ = report("/", "--application", "__main__:echoing")
    answer([out, found("/", "--application", "__main__.echoing")["by_turbo_orm"]])
    """
    out, by_turbo_orm = in_project(code)
    assert out.splitlines()[1].endswith("by turbo_orm.asgi.Echo")
    assert "First, serve it" not in out
    assert out.splitlines()[-1] == "0 thread hops, 0 threads started, 0 tasks created"
    assert by_turbo_orm is True


def test_the_application_of_the_settings():
    code = """
    answer([found("/")["application"], len(seen), found("/", "--warm", "2")["bytes"], len(seen)])
    """
    application, requests, size, more = in_project(code, ASGI_APPLICATION="__main__.echoing")
    assert application == "__main__.Echo"
    assert size == 3
    assert (requests, more) == (2, 5)


ASKED = """
    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    found(*{arguments!r}, "--application", "__main__:echoing", "--warm", "0")
    (scope,) = seen
    headers = {{text(name): text(value) for name, value in scope.pop("headers").items()}}
    answer({{name: text(value) for name, value in scope.items()}} | {{"headers": headers}})
"""


def asked(*arguments, **changes):
    """Return the scope that an application is given, with the body."""
    return in_project(ASKED.format(arguments=arguments), **changes)


def test_what_is_asked_for():
    scope = asked("/a%20path/?q=%20x")
    assert scope["method"] == "GET"
    assert scope["path"] == "/a path/"
    assert scope["raw_path"] == "/a%20path/"
    assert scope["query_string"] == "q=%20x"
    assert scope["scheme"] == "http"
    assert scope["server"] == ["example.org", 80]
    assert scope["headers"] == {"host": "example.org"}


def test_a_body_and_headers():
    scope = asked("/", "--data", "é=1", "--header", "X-One: 1", "--header", "Host:other.org:1")
    assert scope["method"] == "POST"
    assert scope["body"] == "é=1"
    headers = scope["headers"]
    assert headers["content-length"] == "4"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert (headers["host"], headers["x-one"]) == ("other.org:1", "1")
    assert headers["origin"] == "http://other.org:1"


def test_a_body_of_a_file(tmp_path):
    body = tmp_path / "body.json"
    body.write_text('{"long": "%s"}' % ("x" * 200_000))
    header = "Content-Type:application/json"
    scope = asked("/", "--method", "put", "--data", f"@{body}", "--header", header)
    assert scope["method"] == "PUT"
    assert scope["body"] == body.read_text()
    assert scope["headers"]["content-type"] == "application/json"


def test_a_project_that_wants_https():
    scope = asked("/", "--data", "x", SECURE_SSL_REDIRECT=True)
    assert scope["scheme"] == "https"
    assert scope["server"] == ["example.org", 443]
    assert scope["headers"]["origin"] == "https://example.org"


@pytest.mark.parametrize(
    ("hosts", "debug"), [(["*"], False), ([], True), ([".example.org"], False), (["a.org"], True)]
)
def test_the_host_is_one_that_is_allowed(hosts, debug):
    code = """
    answer([found("/")["status"], found("/sync/", "--data", "x=1")["status"]])
    """
    middleware = [
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ]
    changes = {"ALLOWED_HOSTS": hosts, "DEBUG": debug, "MIDDLEWARE": middleware}
    for https in (False, True):
        assert in_project(code, **changes, SECURE_SSL_REDIRECT=https) == [200, 200]


def test_where_a_redirection_goes():
    code = """
    answer([found("/redirected/")["location"], report("/redirected/")[0]])
    """
    location, out = in_project(code)
    assert location == "/elsewhere/"
    assert "  302 to /elsewhere/, 0 bytes" in out


def test_what_the_application_raises_is_written():
    out, errors, failure = in_project(
        "\n    answer(report('/', '--application', '__main__:failing'))\n"
    )
    assert "  no response, 0 bytes" in out
    assert "Traceback" in errors
    assert errors.endswith("LookupError: no handler\n")
    assert failure == "The application has raised LookupError."


def test_what_a_view_raises_is_written():
    code = """
    import logging

    logging.disable()
    answer([report("/raising/"), report("/raising/", "--warm", "0")])
    """
    (out, errors, failure), (_, nothing, cold) = in_project(code)
    assert "  500, " in out
    assert "in raising" in errors
    assert errors.endswith("ZeroDivisionError: a message\n")
    assert failure == "The application has raised ZeroDivisionError."
    # Without a request before it, the exception is Django's alone to know.
    assert nothing == ""
    assert cold.startswith("There is an error in the application: 500, ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["path/"], "The path has to begin with a slash: /path/"),
        (["/", "--application", "nowhere:at_all"], "The ASGI application cannot be imported: "),
        (["/", "--data", "@/nowhere/at/all"], "The body cannot be read: "),
        (["/", "--header", "none"], "argument --header: 'none' is not NAME:VALUE"),
        (["/", "--warm", "-1"], "--warm"),
        (["/", "--user", "ada"], "--user needs django.contrib.auth in INSTALLED_APPS."),
        (["/", "--max", "1"], "There are 2 thread hops, and --max is 1."),
        (["/", "--max", "2"], None),
    ],
    ids=str,
)
def test_what_is_refused(arguments, message):
    *_, failure = in_project(f"\n    answer(report(*{arguments!r}))\n")
    assert failure == message or message in failure


def test_a_user_is_logged_in_for_the_request(site):
    code = (
        PROJECT
        + """
    from django.contrib.auth import get_user_model
    from django.contrib.auth.decorators import login_required
    from django.contrib.sessions.models import Session

    @login_required
    async def welcome(request):
        return HttpResponse((await request.auser()).get_username())

    urlpatterns.append(path("welcome/", welcome))
    User = get_user_model()
    User.objects.create_user("ada")
    without, logged_in = found("/welcome/"), found("/welcome/", "--user", "ada")
    *_, missing = report("/welcome/", "--user", "bob")
    answer([without["status"], logged_in["status"], logged_in["bytes"], missing,
            Session.objects.count()])
    """
    )
    assert site(code) == [302, 200, 3, "There is no user 'bob'.", 0]


FILES = {
    "settings.py": """
        import json
        import os

        ALLOWED_HOSTS = ["testserver"]
        ASGI_APPLICATION = "asgi.application"
        DATABASES = json.loads(os.environ["PROJECTS_DATABASES"])
        INSTALLED_APPS = ["django.contrib.contenttypes", "turbo_orm", "tests.library"]
        ROOT_URLCONF = "urls"
        SECRET_KEY = "for tests only"
        USE_TZ = True
    """,
    "asgi.py": """
        from django.core.asgi import get_asgi_application

        application = get_asgi_application()
    """,
    "urls.py": """
        from django.http import HttpResponse
        from django.urls import path


        def sync(request):
            return HttpResponse("sync")


        urlpatterns = [path("", sync)]
    """,
}


def test_the_exit_status(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(dedent(text))

    def status(*arguments):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "django", "turbo_orm", "hops", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "settings",
                "PROJECTS_DATABASES": json.dumps(databases()),
                "PYTHONPATH": os.pathsep.join([str(tmp_path), *python_path()]),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    code, out, errors = status("/")
    assert (code, errors) == (0, "")
    # Of what is below the working directory, the path is short.
    assert "\n     urls.py:6 (thread-sensitive)\n" in out
    code, out, errors = status("/", "--max", "2", "--json")
    assert code == 1
    assert json.loads(out)["total"] == 3
    assert errors == "CommandError: There are 3 thread hops, and --max is 2.\n"
    code, _, errors = status()
    assert code == 2
    assert "path" in errors
