"""A run: each server is started, checked, warmed up, and loaded at each endpoint."""

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
# When to look at a server's resources: so many seconds before the load ends.
EARLY = 0.4


def run(plan: Plan, dsn: str, connection: psycopg.Connection) -> Iterator[Measurement]:
    """Yield the measurements of a plan. ``connection`` is one to the same database.

    A server that no longer responds is left for the next one.
    """
    answers = check.expected(dsn)
    for session in plan.sessions():
        with server(session.contender, session.application, dsn, POOL) as started:
            check.check(started, session.endpoints(), answers, connection)
            for endpoint in session.endpoints(plan.endpoints):
                wrk.finish(wrk.start(f"{started.url}/{endpoint}", POOL, WARM_UP))
            warm = Usage.of(started.process, connection).server
            yield from _session(plan, session, started, connection, warm)
        check.check_writes(connection)


def _session(
    plan: Plan,
    session: Session,
    started: Server,
    connection: psycopg.Connection,
    warm: int | None,
) -> Iterator[Measurement]:
    # Processes keep their memory, so few clients come before many.
    for clients, seconds in plan.seconds:
        for endpoint in session.endpoints(plan.endpoints):
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
                warm,
            )
            # The server still works on requests whose clients have gone. This one waits behind
            # them, whatever the response: a contender may have lost all of its connections.
            try:
                started.get("get", 1)
            except HTTPError as error:
                error.close()
            except OSError:
                return
