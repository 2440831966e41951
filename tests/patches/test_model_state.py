"""What an instance has cached is cleared when it is freed, as by Django's method, since 6.1."""

import gc
import sys
from functools import partial
from typing import Any

import django
import pytest
from django.db.models.base import ModelState

from tests.support.project import run_python
from turbo_orm._core import state_deleter
from turbo_orm.patches.model_state import GROUP, clearing_what_is_there

pytestmark = [
    pytest.mark.skipif(django.VERSION < (6, 1), reason="Django clears nothing"),
    pytest.mark.skipif(sys.version_info < (3, 13), reason="it is Django's there"),
]


def _plain(cache: Any) -> ModelState:
    state = ModelState()
    state.db = "default"
    if cache is not None:
        state.fields_cache = cache
    return state


def _with_dict(cache: Any) -> ModelState:
    state = _plain(cache)
    assert state.__dict__["db"] == "default"
    return state


def _with_other_dict(cache: Any) -> ModelState:
    state = _plain({"not": "it"} if cache is None else cache)
    state.__dict__ = {} if cache is None else {"fields_cache": cache}
    return state


def _with_many(cache: Any) -> ModelState:
    state = _plain(cache)
    for index in range(40):
        setattr(state, f"attribute_{index}", index)
    return state


def _of_a_subclass(cache: Any) -> ModelState:
    class Own(ModelState):
        pass

    state = Own()
    state.first = state.second = 1
    if cache is not None:
        state.fields_cache = cache
    return state


_STATES = [_plain, _with_dict, _with_other_dict, _with_many, _of_a_subclass]


class _Cleared(dict[str, Any]):
    def clear(self) -> None:
        self["cleared"] = True


def _djangos() -> Any:
    assert len(GROUP.installed) == 1
    GROUP.uninstall()
    try:
        return vars(ModelState)["__del__"]
    finally:
        GROUP.install()


def test_it_is_installed_once_and_undone() -> None:
    ours = vars(ModelState)["__del__"]
    theirs = _djangos()
    assert type(theirs) is type(_djangos)
    assert type(ours) is type(str.upper)
    assert vars(ModelState)["__del__"] is ours
    assert state_deleter(ModelState, theirs) is ours
    # What another package has put there stays, and so does the method of another class.
    other = partial(theirs)
    assert clearing_what_is_there(other) is other
    assert state_deleter(ModelState, other) is other
    assert state_deleter(dict, theirs) is theirs


@pytest.mark.parametrize("make", _STATES)
@pytest.mark.parametrize("cache", [dict, _Cleared])
def test_what_is_cached_is_cleared(make: Any, cache: Any) -> None:
    ours, theirs = cache({"one": 1}), cache({"one": 1})
    vars(ModelState)["__del__"](make(ours))
    _djangos()(make(theirs))
    assert ours == theirs
    assert "one" not in ours or "cleared" in ours
    freed = cache({"one": 1})
    state = make(freed)
    del state
    gc.collect()
    assert freed == theirs


@pytest.mark.parametrize("make", _STATES)
def test_where_nothing_is_cached(make: Any) -> None:
    state = make(None)
    before = state.__dict__.copy()
    vars(ModelState)["__del__"](state)
    assert state.__dict__ in (before, before | {"fields_cache": {}})
    assert state.fields_cache == {}


def test_what_cannot_be_cleared() -> None:
    state = ModelState()
    state.fields_cache = 7
    for delete in (vars(ModelState)["__del__"], _djangos()):
        with pytest.raises(AttributeError, match="'int' object has no attribute 'clear'"):
            delete(state)
    with pytest.raises(TypeError):
        vars(ModelState)["__del__"](object())
    state.fields_cache = {}


def test_no_reference_is_kept() -> None:
    value = object()
    references = sys.getrefcount(value)
    for make in _STATES:
        for _ in range(10):
            state = make({"one": value})
            del state
    gc.collect()
    assert sys.getrefcount(value) == references


def test_freeing_calls_no_function() -> None:
    """Nor does it at the end of the process."""
    code = """
import gc
import sys
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["turbo_orm"], DATABASES={}, USE_TZ=True)
django.setup()
from django.db.models.base import ModelState

states = [ModelState() for _ in range(10)]
for each in states[5:]:
    each.fields_cache["one"] = each
called = []

def profile(frame, event, argument):
    if event == "call":
        called.append(frame.f_code.co_qualname)

sys.setprofile(profile)
del states, each
gc.collect()
sys.setprofile(None)
left = ModelState()
left.circle = left
print([name for name in called if name.startswith("ModelState")])
"""
    assert run_python(code) == "[]\n"
