"""Headers are stored, refused and found as by Django's own methods."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.http import HttpResponse
from django.http.response import ResponseHeaders
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe

from turbo_orm.patches import response_headers

_TEXTS = [
    "X-Plain",
    "x-plain",
    "",
    "é",
    "日本",
    "a\nb",
    "a\rb",
    "日\n",
    b"X-Bytes",
    b"\xe9",
    b"a\nb",
    17,
    None,
    lazystr("X-Lazy"),
    mark_safe("X-Safe"),
]


def _djangos(name: str) -> Any:
    return vars(ResponseHeaders)[name].__wrapped__


def _done(function: Any, headers: Any, *args: Any) -> Any:
    try:
        found = function(headers, *args)
    except Exception as exc:
        found = f"{type(exc).__name__}: {exc}"
    stored = {key: (*map(type, pair), *pair) for key, pair in headers._store.items()}
    return found, stored


@pytest.mark.parametrize("value", _TEXTS, ids=ascii)
@pytest.mark.parametrize("key", _TEXTS, ids=ascii)
def test_a_header_is_set_as_by_django(key: Any, value: Any) -> None:
    ours, theirs = ResponseHeaders({}), ResponseHeaders({})
    assert _done(ResponseHeaders.__setitem__, ours, key, value) == _done(
        _djangos("__setitem__"), theirs, key, value
    )


@pytest.mark.parametrize("key", _TEXTS, ids=ascii)
def test_a_header_is_found_as_by_django(key: Any) -> None:
    headers = HttpResponse(headers={"X-Plain": "1", "X-Lazy": "2"}).headers
    assert _djangos("__contains__") is Mapping.__contains__
    ours, theirs = (
        _done(function, headers, key)
        for function in (ResponseHeaders.__contains__, Mapping.__contains__)
    )
    assert ours == theirs


@pytest.mark.parametrize("default", [None, "none"])
@pytest.mark.parametrize("key", _TEXTS, ids=ascii)
def test_a_header_is_got_as_by_django(key: Any, default: Any) -> None:
    headers = HttpResponse(headers={"X-Plain": "1", "X-Lazy": "2"}).headers
    assert _djangos("get") is Mapping.get
    ours, theirs = (
        _done(function, headers, key, default) for function in (ResponseHeaders.get, Mapping.get)
    )
    assert ours == theirs
    assert headers.get("x-plain") == headers.get("X-PLAIN", default="none") == "1"


@pytest.mark.parametrize("value", _TEXTS, ids=ascii)
@pytest.mark.parametrize("key", _TEXTS, ids=ascii)
def test_a_header_is_set_by_default_as_by_django(key: Any, value: Any) -> None:
    ours, theirs = ResponseHeaders({"X-Plain": "1"}), ResponseHeaders({"X-Plain": "1"})
    assert _done(ResponseHeaders.setdefault, ours, key, value) == _done(
        _djangos("setdefault"), theirs, key, value
    )


def test_so_many_names_are_kept() -> None:
    headers = ResponseHeaders({})
    for number in range(2 * response_headers._MOST_KEYS):
        headers[f"X-{number}"] = "1"
        assert f"x-{number}" in headers
    assert len(response_headers._keys) <= response_headers._MOST_KEYS
    assert len(headers._store) == 2 * response_headers._MOST_KEYS


def test_methods_that_are_overridden_are_called() -> None:
    class Own(ResponseHeaders):
        def _convert_to_charset(self, value: Any, *args: Any, **kwargs: Any) -> Any:
            return super()._convert_to_charset(value, *args, **kwargs) + "!"

        def __getitem__(self, key: Any) -> Any:
            if key == "forbidden":
                raise KeyError(key)
            return "anything"

    headers = Own({})
    headers["X-Plain"] = "1"
    assert headers._store == {"x-plain!": ("X-Plain!", "1!")}
    assert "whatever" in headers
    assert "forbidden" not in headers
    assert headers.get("whatever") == "anything"
    assert headers.get("forbidden", "none") == "none"
    headers.setdefault("forbidden", "1")
    headers.setdefault("whatever", "1")
    assert headers._store.keys() == {"x-plain!", "forbidden!"}
