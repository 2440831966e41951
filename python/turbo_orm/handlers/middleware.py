"""Where the methods of middleware run: those of Django's by what each does, others by the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.conf import global_settings, settings
from django.utils.module_loading import import_string

from turbo_orm._core import watch_class
from turbo_orm.bridge.replaced_methods import is_own, modifications
from turbo_orm.handlers import messages
from turbo_orm.handlers.places import Place, is_listed, own_place, place_of_view
from turbo_orm.handlers.stores import place_of_cache, place_of_databases, place_of_sessions

# A place, or what says it of a call: of the middleware and the method's arguments.
type Rule = Place | Callable[..., Place]

_FORMS = "multipart/form-data", "application/x-www-form-urlencoded"
# Methods whose requests are not checked.
_SAFE = "GET", "HEAD", "OPTIONS", "TRACE"
# A form of more bytes is parsed in a thread.
_SMALL = 2**16


def _session(*call: Any) -> Place:
    """It may load or save the session."""
    place = place_of_sessions()
    return Place.BRIDGE if place is Place.INLINE else place


def _user(*call: Any) -> Place:
    """It may load the session, and then the user."""
    if place_of_databases() is Place.THREAD or not all(
        map(_waits_for_database, settings.AUTHENTICATION_BACKENDS)
    ):
        return Place.THREAD
    return _session()


def _database(*call: Any) -> Place:
    return place_of_databases()


@cache
def _waits_for_database(path: str) -> bool:
    """Return whether the method of a backend by which users are loaded is Django's, or listed."""
    backend = import_string(path)
    return str(backend.get_user.__module__).startswith("django.") or is_listed(backend)


def _saved_session(middleware: Any, request: Any, response: Any) -> Place:
    """It saves the session, if that is due."""
    session = getattr(request, "session", None)
    if settings.SESSION_SAVE_EVERY_REQUEST or getattr(session, "modified", False):
        return place_of_sessions()
    if getattr(session, "accessed", True) or settings.SESSION_COOKIE_NAME in request.COOKIES:
        return Place.INLINE
    return Place.NOWHERE


def _new_messages(middleware: Any, request: Any) -> Place:
    """It makes their storage, which may be put off."""
    return Place.NOWHERE if messages.put_off(request) else Place.INLINE


def _messages(middleware: Any, request: Any, response: Any) -> Place:
    """It stores messages, if there are new ones or they were read."""
    if messages.is_put_off(request):
        return Place.NOWHERE
    storage = getattr(request, "_messages", None)
    if not getattr(storage, "used", False) and not getattr(storage, "added_new", False):
        return Place.INLINE
    is_djangos = type(storage).__module__.startswith("django.")
    return _session() if is_djangos or is_listed(storage) else Place.THREAD


def _csrf_secret(middleware: Any, request: Any, *args: Any) -> Place:
    """It reads the cookie, or the session."""
    return _session() if settings.CSRF_USE_SESSIONS else Place.INLINE


def _csrf_cookie(middleware: Any, request: Any, response: Any) -> Place:
    """It sets the cookie, if there is a new one."""
    if request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
        return _csrf_secret(middleware, request)
    return Place.NOWHERE


def _csrf_check(middleware: Any, request: Any, *args: Any) -> Place:
    """It looks for the token in the form, if one was sent, and may call the view for failures.

    That of Django renders a template of the project's, if there is one.
    """
    if request.method in _SAFE:
        return Place.INLINE
    if request.method == "POST" and _is_long_to_parse(request):
        return Place.THREAD
    path = settings.CSRF_FAILURE_VIEW
    if path == global_settings.CSRF_FAILURE_VIEW:
        at_failure = place_of_databases()
    else:
        at_failure = place_of_view(import_string(path))
    return _session() if settings.CSRF_USE_SESSIONS and at_failure is Place.BRIDGE else at_failure


def _is_long_to_parse(request: Any) -> bool:
    """Return whether a form is large, or has upload handlers that may wait."""
    if request.content_type not in _FORMS:
        return False
    try:
        length = int(request.META.get("CONTENT_LENGTH", ""))
    except ValueError:
        # The body came in chunks, and may be of any length.
        return True
    handlers = settings.FILE_UPLOAD_HANDLERS
    return length > _SMALL or (
        request.content_type == _FORMS[0] and handlers != global_settings.FILE_UPLOAD_HANDLERS
    )


def _cache(middleware: Any, *args: Any) -> Place:
    return place_of_cache(middleware.cache)


_ALL = "process_request process_view process_response"

_OF_CLASSES: dict[str, dict[str, Rule]] = {
    "middleware.cache.CacheMiddleware": {_ALL: _cache},
    "middleware.cache.FetchFromCacheMiddleware": {_ALL: _cache},
    "middleware.cache.UpdateCacheMiddleware": {_ALL: _cache},
    "middleware.clickjacking.XFrameOptionsMiddleware": {_ALL: Place.INLINE},
    "middleware.common.CommonMiddleware": {_ALL: Place.INLINE},
    "middleware.csp.ContentSecurityPolicyMiddleware": {_ALL: Place.INLINE},
    "middleware.csrf.CsrfViewMiddleware": {
        "process_request": _csrf_secret,
        "process_response": _csrf_cookie,
        "process_view": _csrf_check,
    },
    "middleware.gzip.GZipMiddleware": {_ALL: Place.INLINE},
    "middleware.http.ConditionalGetMiddleware": {_ALL: Place.INLINE},
    "middleware.locale.LocaleMiddleware": {_ALL: Place.INLINE},
    "middleware.security.SecurityMiddleware": {_ALL: Place.INLINE},
    "contrib.admindocs.middleware.XViewMiddleware": {_ALL: _user},
    "contrib.auth.middleware.AuthenticationMiddleware": {"process_request": Place.INLINE},
    "contrib.auth.middleware.LoginRequiredMiddleware": {"process_view": _user},
    "contrib.flatpages.middleware.FlatpageFallbackMiddleware": {_ALL: _user},
    "contrib.messages.middleware.MessageMiddleware": {
        "process_request": _new_messages,
        "process_response": _messages,
    },
    "contrib.redirects.middleware.RedirectFallbackMiddleware": {_ALL: _database},
    "contrib.sessions.middleware.SessionMiddleware": {
        "process_request": Place.INLINE,
        "process_response": _saved_session,
    },
    "contrib.sites.middleware.CurrentSiteMiddleware": {_ALL: _database},
}
#: The methods of Django's middleware by class. What is not in it goes to a thread.
_RULES: Mapping[str, Mapping[str, Rule]] = {
    f"django.{name}": {
        method: rule for methods, rule in rules.items() for method in methods.split()
    }
    for name, rules in _OF_CLASSES.items()
}

# By class and name of the method, until one of the classes is modified.
_known: dict[tuple[type, str], Rule] = {}
modifications.listen(_known.clear)


def place_of_method(method: Any, args: tuple[Any, ...]) -> Place:
    """Return where a method of middleware runs, called with these arguments.

    ``method`` may be middleware as a whole, too: a function, or an instance that is called.
    """
    owner = getattr(method, "__self__", method)
    kind, name = type(owner), getattr(method, "__name__", "")
    # A function's rule is not that of its type.
    rule = _rule(owner, kind, name) if owner is method else rule_of(owner, name)
    return rule if isinstance(rule, Place) else _called(rule(owner, *args))


def rule_of(middleware: Any, name: str) -> Rule:
    """Return the rule for a method of an instance. It holds while ``rules_version()`` stays."""
    key = type(middleware), name
    rule = _known.get(key)
    if rule is None:
        rule = _known[key] = _rule(middleware, *key)
    return rule


def rules_version() -> int:
    """Return another number when the rules may be others: a class was modified, or a setting."""
    return _forgotten + modifications.count


def _rule(owner: Any, kind: type, name: str) -> Rule:
    watch_class(kind)
    rules = _RULES.get(f"{kind.__module__}.{kind.__qualname__}", {})
    # A method that another package has put in its place may wait for anything: a tool's, that
    # only looks on, calls Django's.
    if name in rules and is_own(method := getattr(kind, name), ("django.", *_LOOKING_ON)):
        rule = rules[name]
        # A tool looks on.
        return rule if is_own(method, ("django.",)) else in_any_case(rule)
    return own_place(owner) or (Place.BRIDGE if is_listed(owner) else Place.THREAD)


def in_any_case(rule: Rule) -> Rule:
    """Return a rule for a method that is called even where that would do nothing."""
    return rule if isinstance(rule, Place) else lambda *call: _called(rule(*call))


def _called(place: Place) -> Place:
    """Return where what does nothing is called all the same."""
    return Place.INLINE if place is Place.NOWHERE else place


# Packages that time what Django does.
_LOOKING_ON = ("ddtrace.", "newrelic.", "scout_apm.", "sentry_sdk.", "wrapt.", "opentelemetry.")


_forgotten = 0


def forget(**kwargs: Any) -> None:
    """Receive ``setting_changed``: the list may be another one."""
    global _forgotten
    _forgotten += 1
    _known.clear()
    messages.forget()
    _waits_for_database.cache_clear()
