"""Sessions in each store, users, messages, CSRF tokens, flat pages, redirects and sites."""

from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest

from tests.support.project import APPS, databases, run_in_project

_CONTRIB = ["auth", "flatpages", "messages", "redirects", "sessions", "sites"]
_APPS = [*[f"django.contrib.{name}" for name in _CONTRIB], *APPS]
_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sites.middleware.CurrentSiteMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
]
_TEMPLATES = {
    "shown.html": "{{ user }} {{ request.session.count }} {% for m in messages %}{{ m }},"
    "{% endfor %}{% csrf_token %}",
    "flatpages/default.html": "{{ flatpage.content }} for {{ user }}",
}
_DATABASE_CACHE = {
    "BACKEND": "django.core.cache.backends.db.DatabaseCache",
    "LOCATION": "cache_of_requests",
}
_LOCAL_CACHE = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]


def run_in_site(code: str, **changes: Any) -> Any:
    options = {**databases()["default"].get("OPTIONS", {}), "options": "-c search_path=handled"}
    settings = {
        "ALLOWED_HOSTS": ["testserver"],
        "DATABASES": databases(OPTIONS=options),
        "INSTALLED_APPS": _APPS,
        "LOGIN_URL": "/thread/log_in",
        "MIDDLEWARE": _MIDDLEWARE,
        "MIGRATION_MODULES": {name.rpartition(".")[2]: None for name in _APPS},
        "ROOT_URLCONF": "tests.handlers.contrib_site",
        "SITE_ID": 1,
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": _PROCESSORS,
                    "loaders": [("django.template.loaders.locmem.Loader", _TEMPLATES)],
                },
            }
        ],
        **changes,
    }
    return run_in_project(code, **settings)


@pytest.fixture(scope="module", autouse=True)
def _schema(tables: None) -> Iterator[None]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA handled")
    code = """
        from django.core.management import call_command
        call_command("migrate", run_syncdb=True, verbosity=0)
        call_command("createcachetable", verbosity=0)
        from django.contrib.flatpages.models import FlatPage
        from django.contrib.redirects.models import Redirect
        from django.contrib.sites.models import Site
        Site.objects.update_or_create(pk=1, defaults={"domain": "testserver", "name": "test"})
        for url, required in [("/flat/", False), ("/members/", True)]:
            page = FlatPage.objects.create(
                url=url, title="Flat", content="flat", registration_required=required
            )
            page.sites.add(1)
        Redirect.objects.create(site_id=1, old_path="/old/", new_path="/new/")
        Redirect.objects.create(site_id=1, old_path="/gone/", new_path="")
        answer(None)
    """
    run_in_site(code, CACHES={"default": _DATABASE_CACHE})
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA handled CASCADE")


PLAY = """
    import gc, warnings
    from tests.handlers.asking import Hops, in_both
    # Threads of Django's handler that call error views leave connections.
    warnings.simplefilter("ignore")

    def get(path, **kwargs):
        return (path,), kwargs

    def requests(place):
        return [
            get(f"/{place}/token"),
            get(f"/{place}/log_in", form="csrfmiddlewaretoken=TOKEN"),
            get(f"/{place}/shown"),
            get(f"/{place}/me"),
            get(f"/{place}/me"),
            get(f"/{place}/private"),
            get(f"/{place}/posted", form="a=1&csrfmiddlewaretoken=TOKEN"),
            get(f"/{place}/posted", form="a=1", headers={"x-csrftoken": "TOKEN"}),
            get(f"/{place}/posted", form="a=1"),
            get(f"/{place}/failing_with_session"),
            get(f"/{place}/me"),
            get("/members/"),
            get(f"/{place}/reading"),
            get(f"/{place}/log_out"),
            get(f"/{place}/me"),
            get(f"/{place}/private"),
            get("/thread/required"),
            get("/flat/"),
            get("/flat"),
            get("/members/"),
            get("/old/"),
            get("/gone/"),
            get("/missing/"),
            get(f"/{place}/site"),
            get(f"/{place}/shown"),
            get(f"/{place}/forged"),
        ]

    def requests_async():
        return [
            get("/async/log_in_async"),
            get("/async/shown_async"),
            get("/async/me_async"),
            get("/async/shown_async"),
            get("/async/me_async"),
            get("/async/log_out_async"),
            get("/async/me_async"),
        ]

    async def main():
        from django.core.cache import cache
        with Hops() as hops:
            for asked in (requests(PLACE), requests_async()):
                for _, options in asked:
                    options["signals"] = PLACE == "thread"
                django, turbo = await in_both(*asked)
                for (given, _), one, other in zip(asked, django, turbo):
                    one, other = one.compared(), other.compared()
                    # Tokens are masked anew in each form.
                    if "shown" in given[0] or "token" in given[0]:
                        one, other = (
                            each._replace(body=each.body.partition(b"<input")[0][:20].strip()
                            if "shown" in given[0] else b"") for each in (one, other)
                        )
                    if one != other:
                        different.append([given[0], repr(one), repr(other)])
                statuses.append([each.status or each.raised for each in turbo])

    different, statuses = [], []

    async def in_time():
        # What hangs is to say where.
        async with asyncio.timeout(50):
            await main()

    asyncio.run(in_time())
    gc.collect()
    answer([different, statuses])
"""

BACKENDS = ["db", "cached_db", "cache", "file", "signed_cookies"]
STORES = {
    **{name: {} for name in BACKENDS},
    "cache of db": {"CACHES": {"default": _DATABASE_CACHE}},
    "saved each time": {"SESSION_SAVE_EVERY_REQUEST": True},
    "csrf and messages": {
        "CSRF_USE_SESSIONS": True,
        "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
    },
}


@pytest.mark.parametrize(
    ("store", "place", "patched"),
    [
        *[(store, "bridge", True) for store in STORES],
        ("db", "bridge", False),
        ("db", "thread", True),
    ],
)
def test_a_visit(store, place, patched):
    name = store if store in BACKENDS else {"cache of db": "cache"}.get(store, "db")
    different, statuses = run_in_site(
        f"PLACE = {place!r}\n{dedent(PLAY)}",
        SESSION_ENGINE=f"django.contrib.sessions.backends.{name}",
        TURBO_ORM={"PATCH_DJANGO": patched},
        **{"CACHES": {"default": _LOCAL_CACHE}, **STORES[store]},
    )
    assert different == []
    assert {200, 302, 301, 403, 404, 410, 500} <= {status for each in statuses for status in each}
