"""Has Django's sync methods drive their async namesakes, so that sync tests test those.

``get()`` calls ``aget()`` and waits for it: without an event loop (*hot*) or on one (*loop*). On
the bridge, and in an event loop, a sync method is Django's own.
"""

import asyncio
import importlib
import sys
import threading
from asyncio import _get_running_loop
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import psycopg
from django.db.models import Model, QuerySet, query
from django.db.models.fields import related_descriptors
from django.db.models.query import RawQuerySet, aprefetch_related_objects

from tests.conformance import guard, lending
from turbo_orm import bridge
from turbo_orm.bridge import replaced_methods

# What is driven calls what it takes the place of.
replaced_methods.TRANSPARENT.add(__name__)

type Drive = Callable[[Coroutine[Any, Any, Any]], Any]


def without_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing: a connection of ours blocks here."""
    with guard.operation():
        try:
            while (waits_for := coroutine.send(None)) is None:
                pass
        except StopIteration as stop:
            return stop.value
    raise AssertionError(f"A coroutine waits for {waits_for!r} where there is no event loop.")


class _Loop(threading.local):
    """The event loop of a thread, which ends with it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __del__(self) -> None:
        self.loop.close()


_loop = _Loop()


def on_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the thread's event loop."""
    # Connections that are first asked for in a task would be that task's.
    lending.of_thread()
    with guard.operation():
        return _loop.loop.run_until_complete(coroutine)


def wait_blocking(view: type) -> None:
    """Have an async connection block where no event loop runs."""
    wait = view.wait

    async def blocking_wait(self: Any, gen: Any, interval: float = 0.1) -> Any:
        if _get_running_loop() is not None:
            return await wait(self, gen, interval)
        return psycopg.waiting.wait(gen, self.pgconn.socket, interval=interval)

    view.wait = blocking_wait


def _is_inside() -> bool:
    return bridge.active() or _get_running_loop() is not None


def _drive_method(owner: type, name: str, drive: Drive) -> None:
    """Have a method drive its async namesake, or be run on the bridge where it is overridden."""
    original = getattr(owner, name)

    @wraps(original)
    def driven(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Until 5.2, save() takes its options by their positions, and names itself where it says
        # that this is deprecated.
        if _is_inside() or (name == "save" and args):
            return original(self, *args, **kwargs)
        if getattr(type(self), name) is driven:
            return drive(getattr(self, f"a{name}")(*args, **kwargs))
        # super() has been called by what would be called again.
        return drive(bridge.run(original, self, *args, **kwargs))

    setattr(owner, name, driven)


def drive_methods(owner: type, drive: Drive) -> None:
    """Have all methods of a class that have an async namesake drive that."""
    for name in dir(owner):
        namesake = getattr(owner, f"a{name}", None)
        if not name.startswith("_") and iscoroutinefunction(namesake):
            _drive_method(owner, name, drive)


async def _exhaust(results: Any) -> None:
    async for _ in results:
        pass


def _drive_iteration(owner: type, drive: Drive) -> None:
    fetch_all = owner._fetch_all

    @wraps(fetch_all)
    def _fetch_all(self: Any) -> None:
        if _is_inside():
            fetch_all(self)
        else:
            drive(_exhaust(self))

    owner._fetch_all = _fetch_all


def _drive_iterator(owner: type, drive: Drive) -> None:
    iterator = owner.iterator

    @wraps(iterator)
    def driven(self: Any, chunk_size: int | None = None) -> Iterator[Any]:
        is_refused = self._prefetch_related_lookups if chunk_size is None else chunk_size <= 0
        if _is_inside() or is_refused:
            return iterator(self, chunk_size)
        return _steps(self.aiterator(*filter(None, [chunk_size])), drive)

    owner.iterator = driven


def _steps(results: AsyncIterator[Any], drive: Drive) -> Iterator[Any]:
    async def step() -> Any:
        return await anext(results)

    try:
        while True:
            try:
                result = drive(step())
            except StopAsyncIteration:
                return
            yield result
    finally:
        drive(results.aclose())


def replace_everywhere(name: str, original: Any, replacement: Any) -> None:
    """Replace what Django's and turbo-orm's modules know by a name."""
    for module_name, module in list(sys.modules.items()):
        is_ours = module_name.split(".")[0] in {"django", "turbo_orm"}
        if is_ours and vars(module).get(name) is original:
            setattr(module, name, replacement)


def _drive_related_managers(module: Any, factory: str, drive: Drive) -> None:
    create = getattr(module, factory)

    @wraps(create)
    def create_driven(*args: Any, **kwargs: Any) -> type:
        manager: type = create(*args, **kwargs)
        drive_methods(manager, drive)
        return manager

    replace_everywhere(factory, create, create_driven)


def drive_generic_relations(drive: Drive) -> None:
    """Do the same for generic relations, whose module needs its models to be loaded."""
    module = importlib.import_module("django.contrib.contenttypes.fields")
    _drive_related_managers(module, "create_generic_related_manager", drive)


def drive_everything(queryset_class: type[QuerySet[Any]], drive: Drive) -> None:
    """Have querysets, instances, related managers and prefetching drive what is async of them."""
    drive_methods(queryset_class, drive)
    _drive_iteration(queryset_class, drive)
    _drive_iterator(queryset_class, drive)
    _drive_iteration(RawQuerySet, drive)
    drive_methods(Model, drive)
    _drive_related_managers(related_descriptors, "create_reverse_many_to_one_manager", drive)
    _drive_related_managers(related_descriptors, "create_forward_many_to_many_manager", drive)
    prefetch = query.prefetch_related_objects

    @wraps(prefetch)
    def prefetch_related_objects(*args: Any) -> None:
        if _is_inside():
            prefetch(*args)
        else:
            drive(aprefetch_related_objects(*args))

    replace_everywhere("prefetch_related_objects", prefetch, prefetch_related_objects)
