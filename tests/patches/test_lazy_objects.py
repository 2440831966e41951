"""Settings are read, and lazy objects made, as by Django's own methods."""

import copy
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.conf import LazySettings, settings
from django.test import override_settings
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from tests.support.counting import python_calls

_NAME = "TURBO_ORM_TEST_SETTING"


def _djangos(lazy: Any, name: str) -> Any:
    """Return what Django's own methods answer."""
    try:
        return LazyObject.__getattribute__(lazy, name)
    except AttributeError:
        return LazySettings.__getattr__(lazy, name)


def _read(read: Any, name: str) -> list[Any]:
    """Return what comes of reading it twice: the second time it is kept."""
    found = []
    for _ in range(2):
        try:
            value = read(settings, name)
        except Exception as exc:
            found.append((type(exc), str(exc)))
        else:
            found.append((type(value), value))
    return found


@pytest.fixture(autouse=True)
def _setting() -> Iterator[None]:
    yield
    if hasattr(settings, _NAME):
        delattr(settings, _NAME)


@pytest.mark.parametrize(
    "name",
    [
        "DEBUG",
        "ALLOWED_HOSTS",
        "FORCE_SCRIPT_NAME",
        "MEDIA_URL",
        "SECRET_KEY",
        "NOT_THERE",
        "configured",
        "_wrapped",
        "__class__",
        "__len__",
        "__iter__",
        "__str__",
        "__dict__",
        "is_overridden",
    ],
)
def test_a_setting_is_read_as_by_django(name: str) -> None:
    assert _read(getattr, name) == _read(_djangos, name)


def test_a_setting_follows_what_is_assigned() -> None:
    found = []
    for value in (1, None, "text", [1], object, 1):
        setattr(settings, _NAME, value)
        found.append((getattr(settings, _NAME), getattr(settings, _NAME)) == (value, value))
        with override_settings(**{_NAME: "overridden"}):
            found.append(getattr(settings, _NAME) == getattr(settings, _NAME) == "overridden")
        found.append(getattr(settings, _NAME) is value)
    delattr(settings, _NAME)
    assert all(found)
    assert not hasattr(settings, _NAME)


def test_a_setting_that_is_kept_takes_one_call() -> None:
    settings.DEBUG  # noqa: B018
    with python_calls() as called:
        settings.DEBUG  # noqa: B018
    names = [each.name for each in called if each.module.startswith(("django.", "turbo_orm."))]
    assert names == ["reading_what_is_kept.<locals>.get_attribute"]


def test_other_settings_are_read_from_themselves() -> None:
    other = LazySettings()
    setattr(settings, _NAME, "of the project")
    assert getattr(settings, _NAME) == "of the project"
    other.configure(**{_NAME: "its own"})
    assert getattr(other, _NAME) == getattr(other, _NAME) == "its own"


def test_a_setting_that_the_class_has_is_asked_for() -> None:
    setattr(settings, _NAME, "kept")
    assert getattr(settings, _NAME) == getattr(settings, _NAME) == "kept"
    with mock.patch.object(LazySettings, _NAME, new=property(lambda self: "mocked"), create=True):
        assert getattr(settings, _NAME) == _djangos(settings, _NAME) == "mocked"
    assert getattr(settings, _NAME) == "kept"


class _Masked:
    _mask_wrapped = False


def test_what_django_takes_for_a_method_is_asked_for_again() -> None:
    setattr(settings, _NAME, _Masked())
    assert _read(getattr, _NAME) == _read(_djangos, _NAME)


class _Own(SimpleLazyObject):
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self.__dict__.setdefault("set", []).append(name)


@pytest.mark.parametrize("class_", [SimpleLazyObject, _Own])
def test_a_lazy_object_is_made_as_by_django(class_: Any) -> None:
    djangos: Any = vars(SimpleLazyObject)["__init__"].__wrapped__

    def make() -> str:
        return "made"

    ours, theirs = class_(make), class_.__new__(class_)
    djangos(theirs, make)
    assert list(ours.__dict__.items()) == list(theirs.__dict__.items())
    assert ours.__dict__["_setupfunc"] is make
    assert ours.__dict__["_wrapped"] is empty
    assert (copy.copy(ours), str(ours), ours.upper(), repr(ours)) == (
        copy.copy(theirs),
        str(theirs),
        theirs.upper(),
        repr(theirs),
    )


def test_a_lazy_object_needs_a_function() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'func'"):
        SimpleLazyObject()  # type: ignore[call-arg]
