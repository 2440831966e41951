"""A run: each server is started, checked, warmed up, and asked at each endpoint."""

from collections.abc import Iterator
from time import sleep
from urllib.error import HTTPError

import psycopg

from benches.http import check, wrk
from benches.http.measurement import Measurement
from benches.http.plan import POOL, Plan, Session
from benches.http.server import Server, server
from benches.http.usage import Usage

WARM_UP = 1
# When to look at what a server takes: before the load ends, with so many seconds to go.
EARLY = 0.4


def run(plan: Plan, dsn: str, connection: psycopg.Connection) -> Iterator[Measurement]:
    """Yield the measurements of a plan. ``connection`` is one to the same database.

    A server that answers no more is left for the next one.
    """
    answers = check.expected(dsn)
    for session in plan.sessions():
        with server(session.contender, session.application, dsn, POOL) as started:
            check.check(started, answers, connection)
            for endpoint in plan.endpoints:
                wrk.finish(wrk.start(f"{started.url}/{endpoint}", POOL, WARM_UP))
            yield from _session(plan, session, started, connection)
        check.check_writes(connection)


def _session(
    plan: Plan, session: Session, started: Server, connection: psycopg.Connection
) -> Iterator[Measurement]:
    # Memory is not given back, so the few clients come before the many.
    for clients, seconds in plan.seconds:
        for endpoint in plan.endpoints:
            load = wrk.start(f"{started.url}/{endpoint}", clients, seconds)
            sleep(seconds - EARLY)
            usage = Usage.of(started.process, connection)
            yield Measurement(
                session.application,
                session.contender,
                endpoint,
                clients,
                session.round,
                wrk.finish(load),
                usage,
            )
            # The server goes on with what nobody waits for any more. This waits for its turn,
            # whatever the answer is: a contender may have lost all of its connections.
            try:
                started.ask("get", 1)
            except HTTPError as error:
                error.close()
            except OSError:
                return
