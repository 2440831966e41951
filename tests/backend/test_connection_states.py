"""Random histories of connections: whatever tasks do, each has its own, and a clean one.

Hypothesis has some tasks query, begin, pin, iterate, start tasks of their own, be cancelled and
end, while the server closes sessions. After each step the states of all connections are compared
with the driver's, and the pool's with what they hold.
"""

import asyncio
from contextlib import suppress

import pytest
from django.db import Error, connections
from django.db.transaction import TransactionManagementError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.pq import ConnStatus, TransactionStatus

from tests.library.models import Account
from tests.support.cancellation import CancelledAt, uncancel
from tests.support.clients import Rival, until
from tests.support.statements import ask
from turbo_orm import async_atomic, async_connection, bridge
from turbo_orm.backend.connection_state import TRANSITIONS, Owner, Pin, State
from turbo_orm.backend.task_connections import async_connections, in_context
from turbo_orm.driver.pool import loop_pools

# More tasks than the pool has connections, and never so many that keep theirs.
TASKS = 6
KEEPERS = 3

# The session's process, the mark that its owner has put there, and whether it is in no transaction
# that was begun before.
LOOK = (
    "SELECT pg_backend_pid(), coalesce(current_setting('turbo_orm.mark', true), ''),"
    " now() = statement_timestamp()"
)

examples = settings(
    database=None,
    deadline=None,
    derandomize=True,
    # With a server, to find a shorter history takes minutes.
    phases=[Phase.generate],
    max_examples=25,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)


class OfNoAccount(Exception):
    """Raised by the tests alone."""


def look_on_the_bridge(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute(LOOK)
        pid, mark, is_first = cursor.fetchone()
        return str(pid), mark, "t" if is_first else "f"


class Actor:
    """A task that lives across the steps, and what it is in the midst of."""

    def __init__(self, alias, number):
        self.alias = alias
        self.mark = f"actor {number}"
        # Blocks as pairs of a kind and a context manager, the innermost last.
        self.blocks = []
        # The driver connection that they keep.
        self.driver = None
        self.iterator = None
        # The block of its parent's that it was started in.
        self.started_in = None
        # All wrappers that it has had.
        self.wrappers = []
        self.commands = asyncio.Queue()
        self.task = asyncio.create_task(self._work())

    async def _work(self):
        while (command := await self.commands.get()) is not None:
            function, answer = command
            try:
                answer.set_result(await function())
            except (Exception, asyncio.CancelledError) as exc:
                uncancel()
                answer.set_exception(Told(exc))
            finally:
                wrapper = in_context.get().get(self.alias)
                if wrapper is not None and wrapper.owner is asyncio.current_task():
                    self.wrappers = [each for each in self.wrappers if each is not wrapper]
                    self.wrappers.append(wrapper)

    async def do(self, function):
        """Have the task do something, and return or raise what comes of it."""
        answer = asyncio.get_running_loop().create_future()
        self.commands.put_nowait((function, answer))
        try:
            return await answer
        except Told as told:
            raise told.exc from None

    def enter(self, kind, block):
        if not self.blocks:
            self.driver = async_connections[self.alias].connection
        self.blocks.append((kind, block))

    async def end(self, how):
        if how == "is cancelled":
            self.task.cancel()
        self.commands.put_nowait(None)
        with suppress(asyncio.CancelledError):
            await self.task

    @property
    def wrapper(self):
        return self.wrappers[-1] if self.wrappers else None

    @property
    def is_keeper(self):
        return bool(self.blocks or self.iterator)

    @property
    def is_pinned_by(self):
        return [kind for kind, _ in self.blocks]


class Told(Exception):
    def __init__(self, exc):
        self.exc = exc


class Connections(RuleBasedStateMachine):
    actors = Bundle("actors")

    def __init__(self, alias):
        super().__init__()
        self.alias = alias
        self.rival = Rival()
        self.rival.commit()
        self.others = self.sessions()
        self.number = 0
        self.alive = []
        self.wrappers = {}
        # The sessions that the server has closed: the next statement on them fails.
        self.terminated = set()
        self.runner = asyncio.Runner()

    def run(self, coroutine):
        async def in_time():
            async with asyncio.timeout(20):
                return await coroutine

        return self.runner.run(in_time())

    def attempt(self, actor, function):
        """Have an actor do something. Return whether it could: the server may be gone."""
        try:
            self.run(actor.do(function))
        except Error:
            assert self.terminated
            return False
        return True

    # What tasks do

    @precondition(lambda self: len(self.alive) < TASKS)
    @rule(target=actors)
    def start(self):
        async def start():
            return Actor(self.alias, self.number)

        self.number += 1
        self.alive.append(self.run(start()))
        return self.alive[-1]

    @precondition(lambda self: len(self.alive) < TASKS)
    @rule(target=actors, parent=actors)
    def start_child(self, parent):
        async def start():
            return Actor(self.alias, self.number)

        if parent not in self.alive:
            return parent
        self.number += 1
        child = self.run(parent.do(start))
        if parent.wrapper is None:
            child.started_in = parent.started_in
        elif parent.blocks:
            child.started_in = parent.wrapper, parent.wrapper.block
        self.alive.append(child)
        return child

    def is_refused(self, actor):
        """Return whether an actor without a connection was started in a block that is open."""
        if actor.started_in is None or actor.wrappers:
            return False
        wrapper, block = actor.started_in
        return wrapper.block is block and wrapper.owner is not Owner.ENDED

    @rule(actor=actors, way=st.sampled_from(["a statement", "a call on the bridge"]))
    def query(self, actor, way):
        async def look():
            if way == "a statement":
                ((pid, mark, is_first),) = await ask(LOOK, using=self.alias)
            else:
                pid, mark, is_first = await bridge.run(look_on_the_bridge, self.alias)
            kinds = actor.is_pinned_by
            if "pin" in kinds:
                assert mark == actor.mark
            else:
                # Without a pool the session stays with its task.
                assert mark == "" or (mark == actor.mark and self.alias == "default")
            if "transaction" not in kinds:
                assert is_first == "t"
            return pid

        if actor not in self.alive:
            return
        if self.is_refused(actor):
            with pytest.raises(TransactionManagementError, match="was started inside it"):
                self.run(actor.do(look))
        else:
            self.attempt(actor, look)

    def may_keep(self, actor):
        keepers = sum(each.is_keeper for each in self.alive)
        return actor in self.alive and (actor.is_keeper or keepers < KEEPERS)

    @rule(actor=actors)
    def begin(self, actor):
        async def begin():
            await block.__aenter__()
            actor.enter("transaction", block)
            await Account.objects.using(self.alias).aget(owner="Ada")

        block = async_atomic(self.alias)
        if self.may_keep(actor) and not self.is_refused(actor) and len(actor.blocks) < 3:
            self.attempt(actor, begin)

    @rule(actor=actors)
    def pin(self, actor):
        async def pin():
            await block.__aenter__()
            actor.enter("pin", block)
            await ask(f"SET turbo_orm.mark = '{actor.mark}'", using=self.alias)

        block = async_connection(self.alias)
        if not self.may_keep(actor) or "transaction" in actor.is_pinned_by:
            return
        if not self.attempt(actor, pin):
            # The next session of the block would be without the mark.
            self.end_block(actor, "commit")

    @rule(actor=actors, how=st.sampled_from(["commit", "roll back"]))
    def end_block(self, actor, how):
        async def end():
            exc = OfNoAccount() if how == "roll back" else None
            with suppress(OfNoAccount):
                await block.__aexit__(exc and type(exc), exc, None)
                if exc is not None:
                    raise exc

        if actor in self.alive and actor.blocks and actor.iterator is None:
            _, block = actor.blocks.pop()
            self.attempt(actor, end)

    @rule(actor=actors)
    def iterate(self, actor):
        async def iterate():
            if actor.iterator is None:
                accounts = Account.objects.using(self.alias).order_by("pk")
                actor.iterator = accounts.aiterator(chunk_size=1)
            await anext(actor.iterator, None)

        if not self.may_keep(actor) or self.is_refused(actor):
            return
        if not self.attempt(actor, iterate):
            self.close_iterator(actor)

    @rule(actor=actors)
    def close_iterator(self, actor):
        async def close():
            iterator, actor.iterator = actor.iterator, None
            await iterator.aclose()

        if actor in self.alive and actor.iterator is not None:
            self.attempt(actor, close)

    @rule(actor=actors, number=st.integers(1, 8))
    def cancel(self, actor, number):
        async def work():
            await bridge.run(look_on_the_bridge, self.alias)
            async with async_atomic(self.alias):
                await Account.objects.using(self.alias).filter(owner="Bo").aupdate(balance=1)
            await ask(LOOK, using=self.alias)

        async def cancelled():
            with suppress(asyncio.CancelledError):
                await CancelledAt(work(), number)
            uncancel()

        if actor in self.alive and not actor.is_keeper and not self.is_refused(actor):
            self.attempt(actor, cancelled)

    @rule(actor=actors)
    def lose(self, actor):
        """Have the server close the session that an actor has."""
        if actor not in self.alive or actor.wrapper is None:
            return
        driver = actor.wrapper.connection
        if driver is None or driver.pgconn.status != ConnStatus.OK:
            return
        pid = driver.info.backend_pid
        if pid not in self.terminated:
            self.terminated.add(pid)
            self.rival.terminate(pid)
            # No statement is possible any more in its blocks.
            self.close_iterator(actor)
            while actor.blocks:
                self.end_block(actor, "roll back")

    @rule(actor=actors, how=st.sampled_from(["returns", "is cancelled"]))
    def end(self, actor, how):
        """End a task, be it in the midst of blocks and iterators."""
        if actor in self.alive:
            self.alive.remove(actor)
            self.run(actor.end(how))
            for wrapper in actor.wrappers:
                assert wrapper.owner is Owner.ENDED
            if actor.iterator is not None:
                # As the loop does with one that is forgotten.
                with suppress(Error):
                    self.run(actor.iterator.aclose())

    # What holds after each step

    def all_wrappers(self):
        for actor in self.alive:
            for wrapper in actor.wrappers:
                self.wrappers[id(wrapper)] = wrapper
        return list(self.wrappers.values())

    @invariant()
    def each_driver_connection_has_one_holder(self):
        drivers = [each.connection for each in self.all_wrappers() if each.connection is not None]
        if pool := self.pool():
            drivers += pool.driver_pool._pool
        assert len({id(driver) for driver in drivers}) == len(drivers)
        assert len({id(driver.pgconn) for driver in drivers}) == len(drivers)

    @invariant()
    def each_state_is_that_of_the_driver(self):
        for wrapper in self.all_wrappers():
            driver = wrapper.connection
            assert wrapper.state in TRANSITIONS
            assert (driver is None) == (wrapper.state is State.DETACHED)
            # Between the steps no call is running.
            assert wrapper.state is not State.IN_USE
            assert wrapper._calls == 0
            if wrapper.state is State.IDLE:
                assert wrapper.pins == {}
                assert wrapper.autocommit
                assert driver.pgconn.transaction_status in {
                    TransactionStatus.IDLE,
                    TransactionStatus.UNKNOWN,  # the server is gone, which no one has noticed yet
                }
            elif wrapper.state is State.PINNED:
                assert wrapper.pins
            if wrapper.owner is Owner.ENDED:
                assert driver is None
            else:
                self.is_pinned_for_its_actor(wrapper)

    def is_pinned_for_its_actor(self, wrapper):
        (actor,) = (each for each in self.alive if wrapper in each.wrappers)
        kinds = actor.is_pinned_by if wrapper is actor.wrapper else []
        assert wrapper.pins.get(Pin.BLOCK, 0) == kinds.count("pin")
        assert (Pin.TRANSACTION in wrapper.pins) == ("transaction" in kinds)
        assert (wrapper.block is not None) == bool(kinds)
        if kinds:
            assert wrapper.connection is actor.driver

    @invariant()
    def no_connection_is_lost(self):
        """What is free and what is held is what there is, and what is free is clean."""
        if (pool := self.pool()) is None:
            return

        def is_complete():
            stats = pool.driver_pool.get_stats()
            held = sum(each.connection is not None for each in self.all_wrappers())
            return stats["pool_available"] + held == stats["pool_size"]

        self.run(until(is_complete))
        assert pool.waiting == 0
        for driver in pool.driver_pool._pool:
            assert driver.pgconn.transaction_status in {
                TransactionStatus.IDLE,
                TransactionStatus.UNKNOWN,
            }

    def pool(self):
        async def pool():
            return loop_pools().get(self.alias)

        return self.run(pool())

    def sessions(self):
        """Return the server's processes of this database."""
        query = b"SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        found = self.rival._watch.pgconn.exec_(query)
        return {int(found.get_value(row, 0)) for row in range(found.ntuples)}

    def teardown(self):
        try:
            for actor in list(self.alive):
                self.end(actor, "returns")
            for wrapper in self.all_wrappers():
                assert wrapper.connection is None
                assert wrapper.state is State.DETACHED
            self.no_connection_is_lost()
            if self.pool() is None:
                self.run(until(lambda: self.sessions() <= self.others))
        finally:
            self.runner.close()
            self.rival.__exit__(None, None, None)


@pytest.mark.parametrize("alias", ["default", "pooled"])
def test_states(alias, scratch):
    Account.objects.bulk_create(Account(owner=owner) for owner in ("Ada", "Bo", "Cy"))
    assert async_connections.shared == {}
    run_state_machine_as_test(lambda: Connections(alias), settings=examples)
