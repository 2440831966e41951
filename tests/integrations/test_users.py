"""A user model whose manager is an async one, too, logs in, and is who asks."""

CODE = """
    from asgiref.sync import sync_to_async
    from django.contrib.auth import aauthenticate, alogin, authenticate, get_user_model
    from django.contrib.auth.decorators import login_required
    from django.contrib.auth.models import Permission
    from django.db import connections
    from django.http import JsonResponse
    from django.test import AsyncClient, Client
    from django.urls import path
    from django_async_backend.db import async_connections
    from tests.support.event_loop import only_the_event_loop
    from turbo_orm import AsyncQuerySet

    Member = get_user_model()


    async def enter(request):
        user = await aauthenticate(request, **request.POST.dict())
        if user is None:
            return JsonResponse({"name": None})
        await alogin(request, user)
        return JsonResponse({"name": user.username})


    @login_required
    async def who(request):
        user = await request.auser()
        return JsonResponse({"name": user.username, "kind": type(user).__name__})


    urlpatterns = [path("enter/", enter), path("who/", who)]


    async def close():
        await async_connections["default"].close()
        # Sessions and permissions have plain managers, which ask in a thread.
        await sync_to_async(connections.close_all)()
"""


def test_users_are_made_and_found_in_the_event_loop(site):
    code = """
    async def main():
        with only_the_event_loop():
            made = await Member.objects.acreate_user("ada", "ada@EXAMPLE.COM", "secret")
            root = await Member.objects.acreate_superuser("root", password="secret")
            found = await Member.objects.aget_by_natural_key("ada")
            same = made == found
            staff = [user.username async for user in Member.objects.filter(is_staff=True)]
            await found.adelete()
            count = await Member.objects.acount()
        # It takes long, so Django does it in a thread.
        right = await found.acheck_password("secret")
        wrong = await found.acheck_password("public")
        await close()
        return [made.email, same, root.is_superuser, right, wrong, staff, count]

    assert type(Member.objects.all()) is AsyncQuerySet
    answer(asyncio.run(main()))
    """
    expected = ["ada@example.com", True, True, True, False, ["root"], 1]
    assert site(CODE + code) == expected


def test_users_log_in(site):
    code = """
    Member.objects.create_user("ada", password="secret")

    async def main():
        client = AsyncClient()
        stranger = await client.get("/who/")
        refused = await client.post("/enter/", {"username": "ada", "password": "public"})
        entered = await client.post("/enter/", {"username": "ada", "password": "secret"})
        known = await client.get("/who/")
        await client.alogout()
        forgotten = await client.get("/who/")
        await client.aforce_login(await Member.objects.aget(username="ada"))
        forced = await client.get("/who/")
        await close()
        sent_away = [response.status_code for response in (stranger, forgotten)]
        names = [response.json()["name"] for response in (refused, entered)]
        return [sent_away, names, known.json(), forced.json()]

    found = asyncio.run(main())
    sync = Client()
    assert sync.login(username="ada", password="secret")
    answer([*found, sync.get("/who/").json()])
    """
    ada = {"name": "ada", "kind": "Member"}
    assert site(CODE + code) == [[302, 302], [None, "ada"], ada, ada, ada]


def test_permissions_are_asked_for(site):
    code = """
    permission = Permission.objects.get(codename="add_team")
    Member.objects.create_user("ada", password="secret").user_permissions.add(permission)

    async def main():
        ada = await Member.objects.aget(username="ada")
        found = [await ada.ahas_perm(f"library.{name}") for name in ["add_team", "delete_team"]]
        holders = [m.username async for m in Member.objects.with_perm("library.add_team")]
        await close()
        return [found, holders, sorted(await ada.aget_all_permissions())]

    answer(asyncio.run(main()))
    """
    assert site(CODE + code) == [[True, False], ["ada"], ["library.add_team"]]


UNLOADED = """
    from django.core.exceptions import SynchronousOnlyOperation
    from django.http import HttpResponse
    from django.shortcuts import render
    from django.template import engines

    def show(request):
        return engines["django"].from_string("{{ user }}").render({}, request)

    WORK = {
        "user": lambda request: request.user.username,
        "session": lambda request: request.session["_auth_user_id"],
        "template": show,
    }

    async def touch(request, name):
        if request.GET.get("load"):
            request.user = await request.auser()
        try:
            return JsonResponse({"found": str(WORK[name](request))})
        except SynchronousOnlyOperation as exc:
            return JsonResponse({"error": str(exc)})

    urlpatterns.append(path("touch/<name>/", touch))

    async def main():
        await Member.objects.acreate_user("ada", "", "secret")
        client = AsyncClient()
        await client.post("/enter/", {"username": "ada", "password": "secret"})
        errors = [(await client.get(f"/touch/{name}/")).json() for name in WORK]
        found = [(await client.get(f"/touch/{name}/?load=1")).json() for name in WORK]
        await close()
        return [errors, found]

    answer(asyncio.run(main()))
"""


def test_a_user_or_a_session_that_is_not_loaded_is_named(site):
    errors, found = site(CODE + UNLOADED)
    user, session, template = [each["error"] for each in errors]
    assert "request.user is not loaded" in user
    assert "`await request.auser()`" in user
    assert "The session is not loaded" in session
    assert "request.session.aget(" in session
    assert "request.user is not loaded while the template of a string" in template
    assert "run_sync(render" in template
    assert [found[0], found[2]] == [{"found": "ada"}] * 2
    assert set(found[1]) == {"found"}
