"""The check of a contender: it answers what psycopg does, and writes what it should."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

import psycopg

from benches.http import answer, schema
from benches.http.contenders.psycopg_pool import PsycopgPool
from benches.http.endpoints import (
    AS_JSON,
    ENDPOINTS,
    JOINED_JSON,
    JSON,
    NO_QUERY,
    OF_SYNC_VIEWS,
    SERIALIZED,
    SLOW,
    WRITE,
)
from benches.http.server import Server

KEYS = (1, 17, 9_999)


def expected(dsn: str) -> dict[tuple[str, int], Any]:
    """Return what psycopg answers, by endpoint and key."""

    async def request() -> dict[tuple[str, int], Any]:
        driver = PsycopgPool(dsn, 8)
        await driver.open()
        try:
            return {
                (endpoint, key): json.loads(answer.body(await getattr(driver, endpoint)(key)))
                for endpoint in ENDPOINTS
                if endpoint not in (*OF_SYNC_VIEWS, NO_QUERY)
                for key in KEYS
            }
        finally:
            await driver.close()

    answers = asyncio.run(request())
    for key in KEYS:
        answers[JSON, key] = answer.by_millisecond(answers["list", key])
        answers[JOINED_JSON, key] = answer.by_millisecond(answers["joined", key])
        answers[SERIALIZED, key] = serialized(answers["list", key])
        answers[NO_QUERY, key] = answers[SLOW, key] = answers["get", key]
    return answers


def serialized(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the data of a list as Django REST framework writes it."""
    return [{**entry, "created": entry["created"].replace("+00:00", "Z")} for entry in entries]


def check(
    server: Server,
    endpoints: Collection[str],
    answers: dict[tuple[str, int], Any],
    connection: psycopg.Connection,
) -> None:
    """Raise ``AssertionError`` where a server answers something else, or has not written."""
    schema.reset(connection)
    for (endpoint, key), wanted in answers.items():
        if endpoint in endpoints:
            found = server.get(endpoint, key)
            if endpoint in AS_JSON:
                found = answer.by_millisecond(found)
            assert found == wanted, f"/{endpoint}/{key} answers {found!r}, and not {wanted!r}"
    if WRITE in endpoints:
        assert schema.written(connection) == dict.fromkeys(KEYS, (1, 1))


def check_writes(connection: psycopg.Connection) -> None:
    """Raise ``AssertionError`` where one of a transaction's two statements is missing."""
    halves = {key: pair for key, pair in schema.written(connection).items() if len({*pair}) > 1}
    assert not halves, f"visits and counters differ: {halves}"
