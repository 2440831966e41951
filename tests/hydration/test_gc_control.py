"""When Python's garbage collector is paused, and what is promoted past it."""

import gc
import threading
import weakref

import pytest

from turbo_orm.hydration import gc_control

LONG = gc_control.PROMOTED_SLICE


class Node:
    """Can be part of a cycle."""


@pytest.fixture(autouse=True)
def nothing_promoted(monkeypatch):
    gc.collect()
    monkeypatch.setattr(gc_control, "_promoted_rows", 0)
    monkeypatch.setattr(gc_control, "_blocks_in_use", 0)
    monkeypatch.setattr(gc_control, "_is_frozen", False)
    yield
    assert gc.isenabled()
    gc.unfreeze()


def is_young(thing):
    return any(thing is other for other in gc.get_objects(generation=0))


@pytest.mark.parametrize("rows", [LONG - 1, LONG])
def test_a_long_slice_goes_to_the_oldest_generation(rows):
    with gc_control.paused(rows):
        node = Node()
        assert not gc.isenabled()
    assert is_young(node) is (rows < LONG)
    assert gc.is_tracked(node)
    assert gc.get_freeze_count() < gc_control.FROZEN_BY_PYTHON


def test_what_is_to_stay_young_does():
    with gc_control.paused(LONG, promotes=False):
        node = Node()
    assert is_young(node)


def test_frozen_objects_stay_frozen(monkeypatch):
    gc.freeze()
    frozen = gc.get_freeze_count()
    assert frozen > gc_control.FROZEN_BY_PYTHON
    with gc_control.paused(LONG):
        node = Node()
    assert gc.get_freeze_count() == frozen
    assert is_young(node)
    # They are not counted again and again.
    with monkeypatch.context() as patch:
        patch.setattr(gc, "get_freeze_count", pytest.fail)
        with gc_control.paused(LONG):
            pass
    assert gc.get_freeze_count() == frozen


def test_a_collector_that_is_off_stays_off():
    gc.disable()
    try:
        with gc_control.paused(LONG):
            node = Node()
        assert not gc.isenabled()
        assert is_young(node)
    finally:
        gc.enable()


def test_an_exception_turns_it_on_again():
    with pytest.raises(ZeroDivisionError), gc_control.paused(LONG):
        raise ZeroDivisionError


def test_two_threads_pause_it():
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with gc_control.paused(1):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with gc_control.paused(1):
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()


def garbage(count):
    """Leave cycles behind that only a full collection finds. Return a reference to one."""
    with gc_control.paused(LONG):
        nodes = [Node() for _ in range(count)]
        for node in nodes:
            node.me = node
        return weakref.ref(nodes[0])


def test_garbage_is_collected_when_there_is_a_quarter_more(monkeypatch):
    monkeypatch.setattr(gc_control, "ROWS_BETWEEN_COUNTS", LONG)
    garbage(1)
    gc_control.collect_if_due()
    in_use = gc_control._blocks_in_use
    assert in_use
    little = garbage(10)
    gc_control.collect_if_due()
    assert little() is not None
    # A node, its cycle's reference, and whatever else: at least one block each.
    much = garbage(in_use // 3)
    gc_control.collect_if_due()
    assert (little(), much()) == (None, None)


def test_no_blocks_are_counted_before_many_rows_were_promoted(monkeypatch):
    monkeypatch.setattr(gc_control, "_count_blocks", pytest.fail)
    garbage(10)
    gc_control.collect_if_due()


def test_another_allocator_has_no_blocks_to_count(monkeypatch):
    monkeypatch.setattr("sys.getallocatedblocks", lambda: 0)
    assert gc_control._count_blocks() > 1000
