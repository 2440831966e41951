"""The drivers: psycopg and asyncpg."""

from typing import Any

import asyncpg
import psycopg
import uvloop
from django_async_backend.db import async_connections

from benches import names
from benches.harness.address import address
from benches.harness.contender import Contender


class Psycopg(Contender):
    """psycopg as Django configures it: its adapters, its cursor, its time zone."""

    name = names.PSYCOPG
    alias = "default"
    connection: psycopg.AsyncConnection[Any]

    async def open(self) -> None:
        parameters = async_connections[self.alias].get_connection_params()
        self.connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        await self.connection.execute("SET TIME ZONE 'UTC'")

    async def close(self) -> None:
        await self.connection.close()


class PsycopgOnUvloop(Psycopg):
    name = names.PSYCOPG_ON_UVLOOP
    new_loop = staticmethod(uvloop.new_event_loop)


class Asyncpg(Contender):
    """asyncpg with its defaults: prepared statements, binary results."""

    name = names.ASYNCPG
    connection: Any

    async def open(self) -> None:
        self.connection = await asyncpg.connect(**address())

    async def close(self) -> None:
        await self.connection.close()
