"""The circles in which a request refers to itself, broken when it has been answered.

Django's lazy user refers to its request, and so does what makes the messages. So each request
would be left to the garbage collector. That comes late where many are open: it has seen them in
use, and looks at such objects rarely.

A circle is broken where nothing outside can reach it, which the numbers of references tell. A
request that something has kept, or a part of it, stays as Django has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from sys import getrefcount
from types import FunctionType
from typing import Any

from django.utils.functional import SimpleLazyObject

from turbo_orm.handlers import messages

_get_own: Callable[[Any, str], Any] = object.__getattribute__


def _alone() -> int:
    """Return the number of references to what is in one container, while that is asked."""
    container = [object()]
    return getrefcount(container[0])


_ALONE = _alone()


def break_circles(held: list[Any]) -> None:
    """Break those of a request, which is the only item of a list, if that alone refers to it."""
    own = held[0].__dict__
    names = []
    if "user" in own and _user_refers(own, held[0]):
        names.append("user")
    if "auser" in own and _function_refers(own, held[0]):
        names.append("auser")
    if messages.PENDING in own and _pending_refers(own, held[0]):
        names.append(messages.PENDING)
    if names and getrefcount(held[0]) == _ALONE + len(names):
        for name in names:
            del own[name]


def _user_refers(own: dict[str, Any], request: Any) -> bool:
    """Return whether the lazy user refers to the request once, and only the request to it."""
    if type(own["user"]) is not SimpleLazyObject or getrefcount(own["user"]) != _ALONE:
        return False
    of_user = _get_own(own["user"], "__dict__")
    if type(of_user["_setupfunc"]) is not FunctionType or (
        getrefcount(of_user["_setupfunc"]) != _ALONE
    ):
        return False
    # What makes the user has no other variable than the request.
    cells = of_user["_setupfunc"].__closure__ or ()
    return (
        len(cells) == 1 and getrefcount(cells[0]) == _ALONE and cells[0].cell_contents is request
    )


def _function_refers(own: dict[str, Any], request: Any) -> bool:
    """Return whether ``auser()`` refers to the request once, and only the request to it."""
    if type(own["auser"]) is not partial or getrefcount(own["auser"]) != _ALONE:
        return False
    function = own["auser"]
    return len(function.args) == 1 and function.args[0] is request and not function.keywords


def _pending_refers(own: dict[str, Any], request: Any) -> bool:
    """Return whether what makes the messages refers to the request, and only the request to it."""
    return getrefcount(own[messages.PENDING]) == _ALONE and (
        own[messages.PENDING].made is None and own[messages.PENDING].request is request
    )
