"""The cases: each contender on each event loop."""

import asyncio

import uvloop

from benches import names
from benches.concurrent.case import Crowd
from benches.concurrent.contenders import AsyncpgPool, PsycopgPool, Turbo

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def cases[C: Crowd](kind: type[C], *loops: str) -> list[C]:
    """Return a case of each contender on some event loops."""
    found = []
    for loop in loops:
        new_loop = LOOPS[loop]
        psycopg = PsycopgPool(new_loop)
        contenders = (
            psycopg,
            AsyncpgPool(new_loop),
            Turbo(new_loop, names.TURBO_ALONE, 0),
            Turbo(new_loop, names.TURBO_MULTIPLEX, 2),
        )
        found += [kind(loop, contender, psycopg) for contender in contenders]
    return found
