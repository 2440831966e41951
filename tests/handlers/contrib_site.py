"""A site with all of contrib that has to do with requests; imported by a project of its own."""

from django.contrib import messages
from django.contrib.auth import alogin, alogout, get_user_model, login, logout
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.sites.shortcuts import get_current_site
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.urls import path

from turbo_orm.handlers.places import on_bridge

User = get_user_model()


def token(request):
    return HttpResponse(get_token(request))


def log_in(request):
    user, _ = User.objects.get_or_create(username="Ada")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session["count"] = 1
    messages.info(request, "logged in")
    return HttpResponse(f"{request.user}")


def me(request):
    request.session["count"] = request.session.get("count", 0) + 1
    found = [str(message) for message in messages.get_messages(request)]
    return HttpResponse(f"{request.user} {request.session['count']} {found}")


def reading(request):
    return HttpResponse(f"{request.session.get('count')} {request.user.is_authenticated}")


def log_out(request):
    logout(request)
    return HttpResponse(f"{request.user}")


async def log_in_async(request):
    user, _ = await User.objects.aget_or_create(username="Ada")
    await alogin(request, user, backend="django.contrib.auth.backends.ModelBackend")
    messages.info(request, "logged in")
    return HttpResponse(f"{await request.auser()}")


async def me_async(request):
    await request.session.aset("count", await request.session.aget("count", 0) + 1)
    return HttpResponse(f"{await request.auser()} {await request.session.aget('count')}")


async def log_out_async(request):
    await alogout(request)
    return HttpResponse(f"{request.user}")


async def shown_async(request):
    return TemplateResponse(request, "shown.html")


def shown(request):
    return TemplateResponse(request, "shown.html")


def site(request):
    return HttpResponse(f"{request.site.domain} {get_current_site(request).name}")


def private(request):
    return HttpResponse(f"private of {request.user}")


def posted(request):
    return HttpResponse(str(sorted(k for k in request.POST)))


def failing_with_session(request):
    request.session["count"] = 99
    raise KeyError("of the view")


def forged(request):
    """Delete the session that another request is about to save."""
    request.session["count"] = 5
    type(request.session)(request.session.session_key).delete()
    return HttpResponse("never")


SYNC = [token, log_in, me, reading, log_out, shown, site, posted, failing_with_session, forged]
ASYNC = [log_in_async, me_async, log_out_async, shown_async]


def _copy(view):
    def copy(request):
        return view(request)

    return copy


urlpatterns = [
    *[path(f"thread/{v.__name__}", login_not_required(_copy(v))) for v in SYNC],
    *[path(f"bridge/{v.__name__}", on_bridge(login_not_required(_copy(v)))) for v in SYNC],
    *[path(f"async/{v.__name__}", login_not_required(v)) for v in ASYNC],
    path("thread/private", private),
    path("bridge/private", on_bridge(_copy(private))),
    path("thread/required", login_required(login_not_required(_copy(private)))),
]
