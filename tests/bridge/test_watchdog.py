"""The watchdog: what keeps the event loop is logged, while it does."""

import asyncio
import inspect
import io
import logging
import os
import pdb
import threading
import time
from functools import partial
from pathlib import Path

import django
import pytest
from django.test import override_settings

from tests.library.models import Account
from tests.support.project import run_in_project
from tests.support.sleeping import sleep
from turbo_orm import lazy_loading, run_sync
from turbo_orm.bridge import await_
from turbo_orm.bridge.watchdog import watchdog

NAME = "turbo-orm watchdog"

# Longer than the limit by far, so that a machine that is busy samples it all the same.
LONG = 0.4
ON = {"PATCH_DJANGO": False, "LOOP_WATCHDOG": 50}


@pytest.fixture
def watched(caplog):
    """Have the watchdog on, with nothing logged. Return what is logged from then on."""
    watchdog._logged.clear()
    with override_settings(TURBO_ORM=ON), caplog.at_level(logging.WARNING, "turbo_orm"):
        yield lambda: [record.getMessage() for record in caplog.records]
    watchdog._logged.clear()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def line_of(function, text):
    """Return file and line of the first line of a function that has a text in it."""
    lines, first = inspect.getsourcelines(function)
    number = next(number for number, line in enumerate(lines) if text in line)
    return f"{inspect.getsourcefile(function)}:{first + number} "


def block():
    time.sleep(LONG)


def compute():
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        pass


def wait_in_library():
    threading.Event().wait(LONG)


def run_on_a_loop(function, *args):
    asyncio.run(run_sync(function, *args))


def test_what_blocks_is_logged_with_its_line(watched):
    run_on_a_loop(block)
    (said,) = watched()
    assert line_of(block, "time.sleep") in said
    assert "(block)" in said
    assert "`time.sleep(LONG)`" in said
    assert int(said.split(" ms ")[0].split()[-1]) >= 50
    for cure in ("async library", "sync_to_async", "@turbo_orm.in_thread"):
        assert cure in said


def test_a_lazy_function_is_logged_behind_what_it_awaits_on_a_bridge(watched):
    @lazy_loading
    async def work():
        await run_sync(int)
        block()

    asyncio.run(work())
    (said,) = watched()
    assert line_of(block, "time.sleep") in said


def test_each_line_is_logged_once(watched):
    for _ in range(3):
        run_on_a_loop(block)
    assert len(watched()) == 1
    run_on_a_loop(lambda: time.sleep(LONG))
    assert len(watched()) == 2


def test_what_computes_is_logged(watched):
    run_on_a_loop(compute)
    assert "(compute)" in watched()[0]


def test_what_a_library_does_is_logged_at_the_line_that_calls_it(watched):
    run_on_a_loop(wait_in_library)
    (said,) = watched()
    assert line_of(wait_in_library, "Event()") in said
    assert "which has called threading.Event.wait, and that threading.Condition.wait" in said


def test_library_code_alone_is_logged_at_the_innermost_line_of_a_package(watched):
    """As that of a view, or of middleware, that a package has written."""
    source = "def view(wait):\n    return wait()\n"
    namespace = {"__name__": "package"}
    exec(compile(source, str(Path(django.__file__).with_name("package.py")), "exec"), namespace)
    run_on_a_loop(namespace["view"], partial(threading.Event().wait, LONG))
    (said,) = watched()
    assert "package.py:2 (view), which has called threading.Event.wait" in said


def test_code_of_the_standard_library_alone_is_logged_at_its_innermost_line(watched):
    run_on_a_loop(threading.Event().wait, LONG)
    (said,) = watched()
    assert f"{threading.__file__}:" in said
    assert "(Condition.wait)" in said


def test_the_log_comes_while_the_code_blocks(watched):
    seen = []

    def wait_for_the_log():
        until = time.monotonic() + 30
        while not watched() and time.monotonic() < until:
            time.sleep(0.01)
        seen.extend(watched())

    run_on_a_loop(wait_for_the_log)
    assert len(seen) == 1


def test_the_code_after_an_await_is_watched(watched):
    def awaiting():
        await_(asyncio.sleep(0))
        block()

    run_on_a_loop(awaiting)
    (said,) = watched()
    assert line_of(block, "time.sleep") in said


def test_the_code_after_an_exception_is_watched(watched):
    async def fail():
        await asyncio.sleep(0)
        raise LookupError

    def catching():
        with pytest.raises(LookupError):
            await_(fail())
        block()

    run_on_a_loop(catching)
    assert len(watched()) == 1


def test_a_bridge_on_a_bridge_is_watched(watched):
    def inner():
        await_(asyncio.sleep(0))
        block()

    def outer():
        await_(run_sync(inner))
        time.sleep(LONG)

    run_on_a_loop(outer)
    first, second = watched()
    assert line_of(block, "time.sleep") in first
    assert line_of(outer, "time.sleep") in second
    assert not watchdog._marks


def test_waiting_is_not_logged(watched, run):
    """Neither for the database nor for anything else that is awaited."""

    def ask():
        assert list(Account.objects.annotate(slept=sleep(LONG)).values_list("slept")[:1]) == []
        with Account.objects.none().query.get_compiler("default").connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [LONG])
        await_(asyncio.sleep(LONG))

    run(lambda: run_sync(ask))
    assert watched() == []
    assert not watchdog._marks


def test_loops_in_several_threads_are_watched(watched):
    def block_elsewhere():
        time.sleep(LONG)

    other = threading.Thread(target=run_on_a_loop, args=[block_elsewhere])
    other.start()
    run_on_a_loop(block)
    other.join()
    assert {"(block)" in said for said in watched()} == {True, False}
    assert len(watched()) == 2
    assert len(threads()) == 1


def test_code_at_a_breakpoint_is_not_logged(watched):
    commands, answers = os.pipe()

    def stop_at_a_breakpoint():
        with open(commands) as stdin:
            debugger = pdb.Pdb(stdin=stdin, stdout=io.StringIO(), nosigint=True, readrc=False)
            debugger.set_trace()
            return "continued"

    def answer():
        with open(answers, "w") as stdin:
            stdin.write("continue\n")

    threading.Timer(LONG, answer).start()
    assert asyncio.run(run_sync(stop_at_a_breakpoint)) == "continued"
    assert watched() == []


def test_it_is_off_without_debug(caplog):
    assert not threads()
    with override_settings(DEBUG=False, TURBO_ORM={"PATCH_DJANGO": False}):
        run_on_a_loop(block)
        assert watchdog.is_off
    assert not threads()
    assert caplog.records == []


def test_it_is_on_with_debug(caplog):
    watchdog._logged.clear()
    with override_settings(DEBUG=True, TURBO_ORM={"PATCH_DJANGO": False}):
        run_on_a_loop(block)
        assert len(threads()) == 1
    assert not threads()
    assert len(caplog.records) == 1


def test_it_can_be_switched_off_with_debug(caplog):
    with override_settings(DEBUG=True, TURBO_ORM={**ON, "LOOP_WATCHDOG": 0}):
        run_on_a_loop(block)
        assert not threads()
    assert caplog.records == []


def test_its_thread_ends_when_it_is_switched_off(watched):
    assert not threads()
    run_on_a_loop(int)
    assert len(threads()) == 1
    with override_settings(TURBO_ORM={**ON, "LOOP_WATCHDOG": 0}):
        assert not threads()
        run_on_a_loop(int)
        assert not threads()
    run_on_a_loop(int)
    assert len(threads()) == 1


def test_a_process_that_is_forked_is_watched():
    """On the bridge, too, where the fork goes on with what runs."""
    code = """
        import asyncio, logging, os, sys, threading, time
        from turbo_orm import lazy_loading, run_sync
        from turbo_orm.bridge.watchdog import watchdog

        said = []
        logging.getLogger("turbo_orm").addFilter(lambda record: said.append(record) or False)

        def block():
            time.sleep(0.4)

        asyncio.run(run_sync(int))
        before = threading.active_count()
        fork = os.fork()
        if not fork:
            asyncio.run(run_sync(block))
            os._exit(len(said) * 10 + threading.active_count())
        in_fork = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])

        def fork_on_the_bridge():
            fork = os.fork()
            if not fork:
                asyncio.set_event_loop(None)
                os._exit(list(watchdog._marks) != [threading.get_ident()])
            return os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])

        status = asyncio.run(run_sync(fork_on_the_bridge))
        asyncio.run(run_sync(block))
        answer([before, in_fork, status, len(said), threading.active_count()])
    """
    assert run_in_project(code, TURBO_ORM={"LOOP_WATCHDOG": 50}) == [2, 12, 0, 1, 2]


def test_the_interpreter_ends_while_code_blocks():
    """With no thread that waits, and no error: the fork of a project prints none."""
    code = """
        import asyncio, threading, time
        from turbo_orm import lazy_loading, run_sync

        def loop():
            asyncio.run(run_sync(time.sleep, 30))

        asyncio.run(run_sync(int))
        threading.Thread(target=loop, daemon=True).start()
        answer(threading.active_count() >= 2)
    """
    assert run_in_project(code, TURBO_ORM={"LOOP_WATCHDOG": 50}) is True
