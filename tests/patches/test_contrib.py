"""Users, permissions and sessions of Django's own apps, where Django is patched by the setting.

Each is asked by its async methods where a thread is an error, and by its sync ones.
"""

import pytest

from tests.support.contrib import DATABASE_CACHE, make_tables, run_in_contrib


@pytest.fixture(scope="module", autouse=True)
def contrib_tables(tables):
    make_tables()


# Sessions

SESSIONS = """
    from importlib import import_module

    Store = import_module(settings.SESSION_ENGINE).SessionStore

    async def scenario(call):
        session = Store()
        await call(session, "set", "a", 1)
        await call(session, "get", "a")
        await call(session, "setdefault", "b", 2)
        await call(session, "save")
        first = session.session_key
        await call(session, "exists", first)
        await call(Store(first), "load")
        await call(Store(first), "save", must_create=True)
        await call(session, "cycle_key")
        await call(session, "exists", first)
        await call(Store(session.session_key), "load")
        await call(session, "pop", "a")
        await call(session, "has_key", "b")
        await call(session, "items")
        await call(session, "save")
        await call(Store(session.session_key), "get", "b")

        await call(session, "set_expiry", -10)
        await call(session, "save")
        await call(Store, "clear_expired")
        await call(session, "save")
        await call(session, "exists", session.session_key)

        another = Store()
        await call(another, "create")
        await call(Store(another.session_key), "load")
        await call(another, "delete")
        await call(another, "save")
        await call(another, "exists", another.session_key)
        await call(another, "flush")
        call.told.append([another.session_key, first != session.session_key])

    answer(both(scenario))
"""


@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_sessions(engine):
    told, by_django = run_in_contrib(
        SESSIONS, SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"
    )
    assert told == by_django
    assert ["save", "CreateError"] in told
    assert ["save", "UpdateError"] in told
    assert told.count(["load", "{'a': 1, 'b': 2}"]) == 2


def test_sessions_of_ones_own_with_nothing_but_sync_methods():
    code = """
        from django.contrib.sessions.backends.base import SessionBase
        from tests.plain.models import Shelf

        Shelf.objects.all().delete()

        class Store(SessionBase):
            def exists(self, session_key):
                return Shelf.objects.filter(name=session_key).exists()

            def create(self):
                self._session_key = Shelf.objects.create(name="shelved session").name

            def save(self, must_create=False):
                Shelf.objects.get(name=self.session_key).save(force_update=True)

            def load(self):
                return {"shelves": Shelf.objects.filter(name=self.session_key).count()}

            def delete(self, session_key=None):
                Shelf.objects.filter(name=session_key or self.session_key).delete()

            @classmethod
            def clear_expired(cls):
                return Shelf.objects.filter(name="expired").delete()

        async def scenario(call):
            session = Store()
            await call(session, "create")
            await call(session, "exists", "shelved session")
            await call(session, "load")
            await call(session, "save")
            await call(session, "delete")
            await call(session, "save")
            await call(Store, "clear_expired")

        answer(both(scenario))
    """
    told, by_django = run_in_contrib(code)
    assert told == by_django
    assert ["load", "{'shelves': 1}"] in told
    assert told[-2] == ["save", "DoesNotExist"]


def test_a_cache_in_the_database():
    code = """
        from django.core.cache import cache

        async def scenario(call):
            await call(cache, "clear")
            await call(cache, "add", "a", [1])
            await call(cache, "add", "a", [2])
            await call(cache, "get", "a")
            await call(cache, "get", "b", "nothing")
            await call(cache, "set_many", {"c": 1, "d": 2})
            await call(cache, "get_many", ["a", "c", "d"])
            await call(cache, "incr", "c", 5)
            await call(cache, "touch", "d", -1)
            await call(cache, "has_key", "d")
            await call(cache, "delete", "a")
            await call(cache, "delete_many", ["c"])
            await call(cache, "get_or_set", "e", 3)

        answer(both(scenario))
    """
    told, by_django = run_in_contrib(code, CACHES=DATABASE_CACHE)
    assert told == by_django
    assert ["get", "[1]"] in told
    assert ["incr", "6"] in told


# Users


def test_users_are_made_and_found():
    code = """
        from django.contrib import auth
        from django.contrib.auth.models import Group, User

        async def scenario(call):
            await call(User.objects, "create_user", "ada", "ada@Example.com", "secret")
            await call(User.objects, "create_superuser", "root", password="secret")
            await call(User.objects, "create_user", "ada")
            await call(User.objects, "create_user", "")
            found = await call(User.objects, "get_by_natural_key", "ada")
            call.told.append([found.email, found.is_superuser])
            await call(found, "check_password", "secret")
            await call(found, "check_password", "wrong")
            await call(Group.objects, "create", name="editors")
            await call(Group.objects, "get_by_natural_key", "editors")
            await call(auth, "authenticate", username="ada", password="secret")
            await call(auth, "authenticate", username="ada", password="wrong")
            await call(auth, "authenticate", username="nobody", password="secret")
            found.is_active = False
            await call(found, "save")
            await call(auth, "authenticate", username="ada", password="secret")

        answer(both(scenario))
    """
    told, by_django = run_in_contrib(code)
    assert told == by_django
    assert told.count(["authenticate", "ada"]) == 1
    assert ["create_user", "IntegrityError"] in told


def test_a_password_that_is_hashed_anew_is_saved():
    code = """
        from django.contrib.auth.hashers import identify_hasher, make_password
        from django.contrib.auth.models import User

        async def scenario(call):
            password = make_password("secret", hasher="pbkdf2_sha256")
            user = await call(User.objects, "create", username="ada", password=password)
            await call(user, "check_password", "secret")
            await call(user, "refresh_from_db")
            call.told.append(identify_hasher(user.password).algorithm)

        answer(both(scenario))
    """
    hashers = ["MD5PasswordHasher", "PBKDF2PasswordHasher"]
    told, by_django = run_in_contrib(
        code, PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}" for name in hashers]
    )
    assert told == by_django
    assert told[-1] == "md5"


PERMISSIONS = """
    from django.contrib.auth.models import AnonymousUser, Group, Permission, User

    def permission(name):
        return Permission.objects.get(content_type__app_label="plain", codename=name)

    view, change = permission("view_volume"), permission("change_volume")

    async def ask(call, user):
        await call(user, "has_perm", "plain.view_volume")
        await call(user, "has_perm", "plain.view_volume", user)
        await call(user, "has_perms", ["plain.view_volume", "plain.change_volume"])
        await call(user, "has_perms", ["plain.view_volume", "plain.delete_volume"])
        await call(user, "has_perms", "plain.view_volume")
        await call(user, "has_module_perms", "plain")
        await call(user, "has_module_perms", "auth")
        await call(user, "get_user_permissions")
        await call(user, "get_group_permissions")
        await call(user, "get_all_permissions")

    async def scenario(call):
        group = await call(Group.objects, "create", name="editors")
        await call(group.permissions, "add", change)
        for name, values in {
            "ada": {},
            "root": {"is_superuser": True},
            "gone": {"is_active": False},
        }.items():
            user = await call(User.objects, "create", username=name, **values)
            await call(user.user_permissions, "add", view)
            await call(user.groups, "set", [group])
            await ask(call, user)
        await ask(call, AnonymousUser())

    answer(both(scenario))
"""


def test_permissions():
    told, by_django = run_in_contrib(PERMISSIONS)
    assert told == by_django
    assert told.count(["has_perm", "True"]) == 3
    assert ["get_all_permissions", ["plain.change_volume", "plain.view_volume"]] in told


def test_a_backend_of_ones_own_with_nothing_but_sync_methods():
    code = """
        from django.contrib import auth
        from django.contrib.auth.backends import BaseBackend
        from django.contrib.auth.models import Permission, User

        class Trusting(BaseBackend):
            def authenticate(self, request, username=None):
                return User.objects.filter(username=username).first()

            def get_user(self, user_id):
                return User.objects.get(pk=user_id)

            def get_user_permissions(self, user_obj, obj=None):
                return {p.codename for p in Permission.objects.filter(codename="view_volume")}

        async def scenario(call):
            made = await call(User.objects, "create_user", "ada")
            await call(auth, "authenticate", username="ada")
            await call(auth, "authenticate", username="nobody")
            await call(Trusting(), "get_user", made.pk)
            await call(made, "get_user_permissions")
            await call(made, "has_perm", "view_volume")

        answer(both(scenario))
    """
    told, by_django = run_in_contrib(code, AUTHENTICATION_BACKENDS=["__main__.Trusting"])
    assert told == by_django
    assert told[-2:] == [["get_user_permissions", ["view_volume"]], ["has_perm", "True"]]


# Requests


def test_logging_in_and_out():
    code = """
        from django.contrib import auth
        from django.contrib.auth.models import User
        from django.contrib.sessions.backends.db import SessionStore
        from django.http import HttpRequest

        async def scenario(call):
            request = HttpRequest()
            request.session = SessionStore()
            user = await call(User.objects, "create_user", "ada", password="secret")
            await call(auth, "login", request, user)
            await call(user, "refresh_from_db")
            call.told.append(user.last_login is not None)
            await call(request.session, "save")

            another = HttpRequest()
            another.session = SessionStore(request.session.session_key)
            await call(auth, "get_user", another)
            await call(auth, "login", another, user)
            user.set_password("changed")
            await call(user, "save")
            async def auser():
                return user
            another.user, another.auser = user, auser
            await call(auth, "update_session_auth_hash", another, user)
            await call(auth, "get_user", another)
            key = another.session.session_key
            await call(auth, "logout", another)
            await call(another.session, "exists", key)
            await call(auth, "get_user", another)

        answer(both(scenario))
    """
    told, by_django = run_in_contrib(code)
    assert told == by_django
    assert True in told
    assert told[-1] == ["get_user", "AnonymousUser"]


SITE = """
    from asgiref.sync import sync_to_async
    from django.contrib.auth import aauthenticate, alogin, alogout
    from django.contrib.auth.decorators import (
        login_required, permission_required, user_passes_test
    )
    from django.contrib.auth.models import Permission, User
    from django.db import connections
    from django.http import HttpResponse
    from django.test import AsyncClient
    from django.urls import path
    from tests.support.event_loop import only_the_event_loop
    from tests.plain.models import Shelf

    def guarded(view):
        async def wrapped(request):
            with only_the_event_loop(), hashing_in_place():
                try:
                    return HttpResponse(str(await view(request)))
                finally:
                    await close_connections()
        return wrapped

    async def enter(request):
        user = await aauthenticate(request, username="ada", password="secret")
        await alogin(request, user)
        await request.session.aset("visits", 0)
        await request.session.asave()
        return user

    async def page(request):
        visits = 1 + await request.session.aget("visits", 0)
        await request.session.aset("visits", visits)
        await request.session.asave()
        user = await request.auser()
        return [str(user), visits, await user.ahas_perm("plain.view_volume")]

    async def leave(request):
        await alogout(request)
        return request.user

    @login_required
    async def inside(request):
        return HttpResponse("inside")

    @user_passes_test(lambda user: User.objects.filter(pk=user.pk, is_staff=True).exists())
    async def staff(request):
        return HttpResponse("staff")

    @permission_required("plain.view_volume")
    async def allowed(request):
        return HttpResponse("allowed")

    async def response_of(view, request):
        return (await view(request)).status_code

    async def decorated(request):
        return [await response_of(view, request) for view in (inside, staff, allowed)]

    urlpatterns = [
        path(f"{view.__name__}/", guarded(view)) for view in (enter, page, leave, decorated)
    ]
    ada = User.objects.create_user("ada", password="secret")
    ada.user_permissions.add(Permission.objects.get(codename="view_volume"))

    async def main():
        client = AsyncClient()
        answers = []
        for name in ("page", "decorated", "enter", "page", "page", "decorated", "leave", "page"):
            response = await client.get(f"/{name}/")
            answers.append(response.content.decode())
        # The middleware's, which Django calls in a thread.
        await sync_to_async(connections.close_all)()
        return answers

    answer(asyncio.run(main()))
"""


def test_a_visitor_logs_in_and_out():
    assert run_in_contrib(SITE) == [
        "['AnonymousUser', 1, False]",
        "[302, 302, 302]",
        "ada",
        "['ada', 1, True]",
        "['ada', 2, True]",
        "[200, 302, 200]",
        "AnonymousUser",
        "['AnonymousUser', 1, False]",
    ]


VISITS = """
    from django.conf import settings
    from django.contrib.sessions.middleware import SessionMiddleware
    from django.contrib.sessions.models import Session
    from django.http import HttpRequest, HttpResponse

    class Visited(HttpRequest):
        def __init__(self, key):
            super().__init__()
            if key:
                self.COOKIES[settings.SESSION_COOKIE_NAME] = key

    async def view(request):
        request.session["visits"] = await request.session.aget("visits", 0) + 1
        return HttpResponse(request.session["visits"])

    async def visit():
        middleware = SessionMiddleware(view)
        first = await middleware(Visited(None))
        key = first.cookies[settings.SESSION_COOKIE_NAME].value
        second = await middleware(Visited(key))
        return [int(first.content), int(second.content), await Session.objects.acount()]

    try:
        answer(in_the_event_loop(visit))
    except AssertionError as exc:
        answer(str(exc))
"""
FILES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"}}


@pytest.mark.parametrize(
    ("engine", "cache", "answer"),
    [
        ("db", None, [1, 2, 1]),
        ("cached_db", DATABASE_CACHE, [1, 2, 1]),
        ("cached_db", FILES, "sync_to_async() was called in async code"),
        ("file", None, "sync_to_async() was called in async code"),
    ],
)
def test_the_middleware_of_sessions(engine, cache, answer, tmp_path):
    """It is in the event loop where sessions are in the database, and in a thread elsewhere."""
    changes = {"SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}"}
    if cache:
        changes["CACHES"] = {"default": {"LOCATION": str(tmp_path), **cache["default"]}}
    assert run_in_contrib(VISITS, **changes) == answer
