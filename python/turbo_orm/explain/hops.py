"""Records the thread hops of a request: the calls that leave the event loop for a thread.

``recording()`` replaces methods of the event loop's class and of ``threading.Thread`` while it is
in use, and only then. What they do for the code of other contexts is what they always do.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from turbo_orm import bridge
from turbo_orm.explain.calls import sent
from turbo_orm.explain.causes import classify
from turbo_orm.explain.places import Place, stack


@dataclass(frozen=True)
class Hop:
    """A call that was sent to a thread."""

    #: Which of the causes that ``turbo_orm.explain.causes`` tells apart: ``"middleware"``.
    kind: str
    cause: str
    #: The dotted name of the function that the thread called.
    function: str
    #: The code in whose behalf it was sent; of what Django itself sends, the function's own.
    file: str
    line: int
    #: Whose thread it is: ``"thread-sensitive"``, ``"default executor"``, ``"own executor"``.
    thread: str
    #: How to be without it. It is empty where it is best left alone.
    cure: str


@dataclass
class Recording:
    """The hops of the code in a context, and of the tasks and threads that it starts.

    It grows until the block of ``recording()`` is left.
    """

    hops: list[Hop] = field(default_factory=list)
    threads_started: int = 0
    tasks_created: int = 0
    #: Whether Django's requests are handled by an application of turbo-orm, for the cures.
    by_turbo_orm: bool = False
    #: Whether the block has not been left. What it has started may go on.
    is_open: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return hops and totals, as a dict that ``json.dumps()`` can encode."""
        return {
            "total": len(self.hops),
            "threads_started": self.threads_started,
            "tasks_created": self.tasks_created,
            "hops": [asdict(hop) for hop in self.hops],
        }


_current: ContextVar[Recording | None] = ContextVar("turbo_orm_recorded_hops", default=None)

# By whom a task was created that a recording has seen. What it awaits says nothing of that.
_creators: WeakKeyDictionary[asyncio.Task[Any], list[Place]] = WeakKeyDictionary()


@contextmanager
def recording(by_turbo_orm: bool = False) -> Iterator[Recording]:
    """Record the thread hops of the code in the block, and return the recording.

    Tasks and threads that are started in the block are recorded, too, because they inherit its
    context; other requests aren't. If recorded blocks are nested, only the inner recording has the
    hops of its block. ``by_turbo_orm`` states that a handler of turbo-orm serves the requests, so
    the recording doesn't suggest one as the cure of Django's own hops.

    It records calls of an event loop's ``run_in_executor()``, which ``sync_to_async()``,
    ``asyncio.to_thread()`` and ``loop.getaddrinfo()`` make. It doesn't record code that submits to
    an executor itself, or the threads of uvloop's C code (its ``getaddrinfo()``).
    """
    found = Recording(by_turbo_orm=by_turbo_orm)
    replaced = _replace_methods()
    outer = _current.get()
    _current.set(found)
    try:
        yield found
    finally:
        found.is_open = False
        _current.set(outer)
        _put_back(replaced)


def _recorded() -> Recording | None:
    """Return the recording that the running code belongs to, unless that has ended."""
    recorded = _current.get()
    return recorded if recorded is not None and recorded.is_open else None


def _record(loop: Any, executor: Any, function: Any, args: tuple[Any, ...]) -> None:
    recorded = _recorded()
    if recorded is None:
        return
    call, thread = sent(executor, function, args, _places(loop))
    cause = classify(call)
    recorded.hops.append(
        Hop(
            kind=cause.kind,
            cause=cause.text,
            function=call.name,
            file=cause.place.file,
            line=cause.place.line,
            thread=thread,
            cure=cause.cure_by_turbo_orm if recorded.by_turbo_orm else cause.cure,
        )
    )


def _places(loop: Any) -> list[Place]:
    """Return the stack of the caller's caller, and behind a task's that of its creator."""
    frames = bridge.frames()
    next(frames)
    places = stack(frames)
    task = asyncio.current_task(loop)
    return places if task is None else places + _creators.get(task, [])


# What is replaced


def _run_in_executor(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run_in_executor(loop: Any, executor: Any, func: Any, *args: Any) -> Any:
        if _is_installed(run_in_executor):
            _record(loop, executor, func, args)
        return original(loop, executor, func, *args)

    return run_in_executor


def _create_task(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create_task(loop: Any, *args: Any, **kwargs: Any) -> Any:
        recorded = _recorded()
        task = original(loop, *args, **kwargs)
        if recorded is not None and _is_installed(create_task):
            recorded.tasks_created += 1
            _creators[task] = _places(loop)
        return task

    return create_task


def _start(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(thread: threading.Thread) -> None:
        if (recorded := _recorded()) is not None and _is_installed(start):
            recorded.threads_started += 1
        original(thread)

    return start


type _Method = tuple[type, str]

_WRAPPERS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "run_in_executor": _run_in_executor,
    "create_task": _create_task,
    "start": _start,
}
# Those that are replaced: how many recordings need it, what is there, and what was.
_installed: dict[_Method, list[Any]] = {}
_lock = threading.Lock()


def _is_installed(method: Any) -> bool:
    """Tell whether the wrapper is the one of the recordings that are open.

    One of earlier recordings is still called where another package has wrapped it.
    """
    return any(each is method for _, each, _ in _installed.values())


def _replace_methods() -> list[_Method]:
    methods: list[_Method] = [(threading.Thread, "start")]
    for cls in {asyncio.BaseEventLoop, _class_of_running_loop()}:
        methods += [(cls, "run_in_executor"), (cls, "create_task")]
    with _lock:
        for cls, name in methods:
            if (cls, name) in _installed:
                _installed[cls, name][0] += 1
                continue
            before = vars(cls).get(name)
            method = _WRAPPERS[name](getattr(cls, name))
            setattr(cls, name, method)
            _installed[cls, name] = [1, method, before]
    return methods


def _put_back(methods: list[_Method]) -> None:
    with _lock:
        for cls, name in methods:
            installed = _installed[cls, name]
            installed[0] -= 1
            if installed[0]:
                continue
            del _installed[cls, name]
            _, method, before = installed
            # Where another package has wrapped it meanwhile, it stays, and records nothing.
            if vars(cls).get(name) is not method:
                continue
            if before is None:
                delattr(cls, name)
            else:
                setattr(cls, name, before)


def _class_of_running_loop() -> type:
    """Return the running loop's class, unless it has asyncio's methods, or there is no loop."""
    try:
        cls = type(asyncio.get_running_loop())
    except RuntimeError:
        return asyncio.BaseEventLoop
    return asyncio.BaseEventLoop if issubclass(cls, asyncio.BaseEventLoop) else cls
