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
# The classes of errors that a statement has each time: it is not supported, or not correct.
_REFUSALS = frozenset({b"0A", b"22", b"42"})

#: A statement is prepared after so many executions on a connection.
THRESHOLD = 5
#: So many are prepared on a connection. Of more, those that were used last.
MAX_PREPARED = 200
#: Of so many that are not prepared, the executions are counted.
_MAX_COUNTED = 2_000

logger = logging.getLogger("turbo_orm")


class Bound(Protocol):
    """A statement with its values."""

    @property
    def statement(self) -> Any:
        """What is prepared."""
        ...

    def numbered_sql(self, connection: Any) -> bytes:
        """Return the SQL with ``$1``, ``$2`` … for its parameters."""
        ...


class _Due(NamedTuple):
    """A statement to be prepared: the types of its parameters and of its columns."""

    bound: Bound
    parameters: Parameters
    columns: list[int]


class PreparedStatements:
    """The names of what a connection has prepared, by statement and types of parameters."""

    __slots__ = ("_discarded", "_due", "_executions", "_last", "_names", "is_off")

    def __init__(self) -> None:
        self._names: dict[tuple[Any, bytes], bytes] = {}
        self._executions: dict[tuple[Any, bytes], int] = {}
        self._due: list[_Due] = []
        # Names that are to be deallocated.
        self._discarded: list[bytes] = []
        self._last = 0
        # Whether a pooler is in between, once that was asked.
        self.is_off: bool | None = None

    def __len__(self) -> int:
        return len(self._names)

    def name(self, bound: Bound, parameters: Parameters) -> bytes | None:
        """Return the name of a statement, if it is prepared."""
        names = self._names
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
                if self.is_off is None:
                    self.is_off = await _is_behind_pooler(driver)
                if self.is_off is not False:
                    self._due.clear()
                    return
                await self._prepare(driver, *self._due.pop())

    async def _prepare(
        self, driver: Any, bound: Bound, parameters: Parameters, columns: list[int]
    ) -> None:
        pgconn, statement = driver.pgconn, bound.statement
        if statement.literals_reason:
            return
        self._last += 1
        name = b"turbo_orm_%d" % self._last
        pgconn.send_prepare(name, bound.numbered_sql(driver), parameters.oids)
        (result, *_) = await driver.wait(generators.execute(pgconn))
        if result.status != _COMMAND_OK:
            if (result.error_field(_SQLSTATE) or b"")[:2] in _REFUSALS:
                reason = result.error_message.decode(errors="replace").splitlines()[0]
                statement.literals_reason = f"it cannot be prepared: {reason}"
            return
        self._names[statement, parameters.types] = name
        if len(self._names) > MAX_PREPARED:
            oldest = next(iter(self._names))
            self._discarded.append(self._names.pop(oldest))
        pgconn.send_describe_prepared(name)
        (result, *_) = await driver.wait(generators.execute(pgconn))
        if result.status != _COMMAND_OK:
            self.discard(statement)
        elif _columns(result) != columns:
            statement.literals_reason = "its columns are of other types where it is prepared"
            self.discard(statement)


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
