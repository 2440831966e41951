"""The statements that a connection has prepared: the server parses and plans them once.

A statement is prepared when it was executed some times with literals, and the server then says
that the types of its columns are the same. It is prepared for types of its parameters: those that
PostgreSQL gives the literals (turbo_orm.codecs.literals). Where a pooler is in between, nothing is
prepared: each transaction may be in another session. What becomes due in a transaction is prepared
at its end, since an error would abort it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg import generators
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus

from turbo_orm._core import Parameters

_COMMAND_OK = ExecStatus.COMMAND_OK
_IDLE = TransactionStatus.IDLE
_SQLSTATE = DiagnosticField.SQLSTATE
_FUNCTION = DiagnosticField.SOURCE_FUNCTION
# PostgreSQL's, which finds that a statement's columns have changed. The message may be translated.
_FINDS_STALE = b"RevalidateCachedQuery"
# The classes of errors that a prepared statement may have raised where literals would not, or with
# another message: a changed table, a text that is no value of its type. Nothing was executed.
_OF_VALUE = b"22"
_OF_SESSION = b"26"
_OF_PREPARED = frozenset({b"0A", _OF_SESSION, b"42", _OF_VALUE})
# The classes of errors that a statement has each time: it is not supported, or not correct.
_REFUSALS = frozenset({b"0A", b"22", b"42"})

#: A statement is prepared after so many executions on a connection.
THRESHOLD = 5
#: So many are prepared on a connection. Of more, those that were used last.
MAX_PREPARED = 200
#: Of so many that are not prepared, the executions are counted.
_MAX_COUNTED = 2_000

logger = logging.getLogger("turbo_orm")

# How often a table was found to have changed under a prepared statement. What other connections
# have prepared may be stale, too, and in a transaction no statement can be sent once more.
_changes = 0


class Bound(Protocol):
    """A statement with its values."""

    @property
    def statement(self) -> Any:
        """What is prepared."""
        ...

    def render(self, connection: Any) -> bytes:
        """Return the SQL with literals for the values, as psycopg's client cursor would."""
        ...

    def numbered_sql(self, connection: Any) -> bytes:
        """Return the SQL with ``$1``, ``$2`` … for its parameters."""
        ...


class _Due(NamedTuple):
    """A statement to be prepared: the types of its parameters and of its columns."""

    bound: Bound
    parameters: Parameters
    columns: list[int]


class Preparation:
    """The preparation of a statement whose outcome is to come."""

    def __init__(self, due: _Due, name: bytes, sql: bytes, prepared: PreparedStatements) -> None:
        self.statement = due.bound.statement
        self.parameters = due.parameters
        self.name = name
        self.sql = sql
        self._columns = due.columns
        self._prepared = prepared

    def complete(self, results: list[Any]) -> None:
        """Take what the server has said: of the statement, and of its description."""
        statement = self.statement
        self._prepared.end_preparation(self)
        result = results[0]
        if result.status != _COMMAND_OK:
            if (result.error_field(_SQLSTATE) or b"")[:2] in _REFUSALS:
                reason = result.error_message.decode(errors="replace").splitlines()[0]
                statement.literals_reason = f"it cannot be prepared: {reason}"
            return
        self._prepared.add(self)
        if len(results) < 2 or results[1].status != _COMMAND_OK:
            self._prepared.discard(statement)
        elif _columns(results[1]) != self._columns:
            statement.literals_reason = "its columns are of other types where it is prepared"
            self._prepared.discard(statement)


class PreparedStatements:
    """The names of what a connection has prepared, by statement and types of parameters."""

    __slots__ = (
        "_discarded",
        "_due",
        "_executions",
        "_last",
        "_names",
        "_preparing",
        "_seen",
        "is_off",
    )

    def __init__(self) -> None:
        self._names: dict[tuple[Any, bytes], bytes] = {}
        self._executions: dict[tuple[Any, bytes], int] = {}
        self._due: list[_Due] = []
        # What is being prepared while others are executed.
        self._preparing: set[tuple[Any, bytes]] = set()
        # Names that are to be deallocated.
        self._discarded: list[bytes] = []
        self._last = 0
        self._seen = _changes
        # Whether a pooler is in between, once that was asked.
        self.is_off: bool | None = None

    def __len__(self) -> int:
        return len(self._names)

    def name(self, bound: Bound, parameters: Parameters) -> bytes | None:
        """Return the name of a statement, if it is prepared."""
        names = self._names
        if self._seen != _changes:
            self._discard_all()
        key = (bound.statement, parameters.types)
        name = names.get(key)
        if name is not None:
            # The ones that were used last are at the end.
            del names[key]
            names[key] = name
        return name

    def count(self, bound: Bound, parameters: Parameters, pgresult: Any) -> bool:
        """Count an execution with literals. Return whether statements are to be prepared now."""
        executions = self._executions
        key = (bound.statement, parameters.types)
        if key in self._names or key in self._preparing:
            # It was sent before.
            return bool(self._due)
        executed = executions[key] = executions.get(key, 0) + 1
        if executed >= THRESHOLD:
            del executions[key]
            self._due.append(_Due(bound, parameters, _columns(pgresult)))
        elif len(executions) > _MAX_COUNTED:
            executions.clear()
        return bool(self._due)

    @property
    def are_due(self) -> bool:
        """Whether statements are to be prepared or deallocated where no transaction is open."""
        return bool(self._due or self._discarded)

    def forget(self) -> None:
        """Take all statements for gone: the session was reset."""
        self._names.clear()
        self._discarded.clear()

    def discard(self, statement: Any) -> None:
        """Have a statement prepared anew, whatever the types of its parameters."""
        for key in [key for key in self._names if key[0] is statement]:
            self._discarded.append(self._names.pop(key))

    def _discard_all(self) -> None:
        """Have all statements prepared anew, since a table was changed."""
        self._seen = _changes
        self._discarded.extend(self._names.values())
        self._names.clear()

    def is_refused(self, statement: Any, results: list[Any]) -> bool:
        """Return whether literals may not raise the error that a prepared statement has.

        What is stale by now is prepared anew.
        """
        global _changes
        state = results[-1].error_field(_SQLSTATE) or b"" if results else b""
        if state[:2] in _OF_PREPARED and results[-1].error_field(_FUNCTION) == _FINDS_STALE:
            _changes += 1
        if state[:2] == _OF_SESSION:
            # The session was reset.
            self.forget()
        elif state[:2] in _OF_PREPARED and state[:2] != _OF_VALUE:
            self.discard(statement)
        return state[:2] in _OF_PREPARED

    def take_preparations(self, driver: Any) -> list[Preparation]:
        """Return what is due to be prepared. The caller sends it, and has it completed."""
        due, self._due = self._due, []
        found = []
        for each in due:
            if self._is_wanted(each):
                found.append(self._preparation(driver, each))
                self._preparing.add((each.bound.statement, each.parameters.types))
        return found

    def _is_wanted(self, due: _Due) -> bool:
        """Return whether a statement is still to be prepared.

        It is due more than once where it was executed often before it could be: in a transaction.
        """
        key = (due.bound.statement, due.parameters.types)
        is_there = key in self._names or key in self._preparing
        return not is_there and not due.bound.statement.literals_reason

    def end_preparation(self, preparation: Preparation) -> None:
        """Take a statement for one that is being prepared no more."""
        self._preparing.discard((preparation.statement, preparation.parameters.types))

    def _preparation(self, driver: Any, due: _Due) -> Preparation:
        self._last += 1
        sql = due.bound.numbered_sql(driver)
        return Preparation(due, b"turbo_orm_%d" % self._last, sql, self)

    def take_discarded(self) -> list[bytes]:
        """Return the names that are to be deallocated, which the caller does."""
        discarded, self._discarded = self._discarded, []
        return discarded

    def add(self, preparation: Preparation) -> None:
        """Take a statement for prepared, and the one that was used longest ago for too many."""
        self._names[preparation.statement, preparation.parameters.types] = preparation.name
        if len(self._names) > MAX_PREPARED:
            oldest = next(iter(self._names))
            self._discarded.append(self._names.pop(oldest))

    async def prepare(self, driver: Any) -> None:
        """Prepare and deallocate what is due, unless a transaction is open.

        The caller holds the lock. Raises nothing but what cancels the task: what the task has
        executed, it has.
        """
        with suppress(psycopg.Error):
            while self.are_due and driver.pgconn.transaction_status == _IDLE:
                if self._discarded:
                    await driver.exchange(b"DEALLOCATE " + self._discarded.pop())
                    continue
                if await self.ask_whether_off(driver):
                    self._due.clear()
                    return
                due = self._due.pop()
                if self._is_wanted(due):
                    await self._prepare(driver, self._preparation(driver, due))

    async def ask_whether_off(self, driver: Any) -> bool:
        """Return whether nothing may be prepared: a pooler is in between, or that is not known."""
        if self.is_off is None:
            self.is_off = await _is_behind_pooler(driver)
        return self.is_off is not False

    async def _prepare(self, driver: Any, preparation: Preparation) -> None:
        pgconn, name = driver.pgconn, preparation.name
        pgconn.send_prepare(name, preparation.sql, preparation.parameters.oids)
        results = [(await driver.wait(generators.execute(pgconn)))[0]]
        if results[0].status == _COMMAND_OK:
            # It is there, whatever happens to the description.
            self.add(preparation)
            pgconn.send_describe_prepared(name)
            results += (await driver.wait(generators.execute(pgconn)))[:1]
        preparation.complete(results)


async def _is_behind_pooler(driver: Any) -> bool | None:
    """Return whether another process answers than the one that has accepted the connection.

    ``None`` if none does.
    """
    results = await driver.exchange(b"SELECT pg_backend_pid()")
    if len(results) != 1 or results[0].status != ExecStatus.TUPLES_OK:
        return None
    is_behind: bool = results[0].get_value(0, 0) != b"%d" % driver.pgconn.backend_pid
    if is_behind:
        logger.info("A pooler is in front of the database: statements are not prepared.")
    return is_behind


def _columns(pgresult: Any) -> list[int]:
    return [pgresult.ftype(index) for index in range(pgresult.nfields)]
