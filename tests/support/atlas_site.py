"""The atlas as a site, in a process and a database of its own, and what it logs of requests."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil
import psycopg
from django.db import connections
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.project import python_path

ROWS = 300

# Logging in computes the hash of a password, which belongs in a thread.
IN_A_THREAD = {"GET /admin/login/ 200", "POST /admin/login/ 302"}


@dataclass
class Site:
    """A site that is served."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str
    password: str

    def has_threads(self, number: int) -> bool:
        """Return whether it has so many threads, once the one of a last request has ended."""
        process, until = psutil.Process(self.process.pid), monotonic() + 10
        while process.num_threads() != number and monotonic() < until:
            sleep(0.05)
        return process.num_threads() == number

    def end(self) -> list[tuple[str, int]]:
        """End it, and return how many thread hops each request has made."""
        self.process.terminate()
        assert self.process.wait(30) == 0
        printed = self.log.read_text()
        assert "Traceback" not in printed, printed
        logged = re.findall(r"^(.+), (\d+) thread hops$", printed, re.MULTILINE)
        return [(request, int(hops)) for request, hops in logged]


@contextmanager
def atlas_site(directory: Path) -> Iterator[Site]:
    """Start one of the largest cities, whose log is in a directory."""
    log = directory / "log"
    with database() as dsn, log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "atlas.site", "--port=0", f"--rows={ROWS}"],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(python_path()),
                "DATABASE_URL": dsn,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Site(process, log, *started(process, log))
        finally:
            process.kill()
            process.wait()


def started(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    """Wait until it is served, and return the URL and the password that it has printed."""
    until = monotonic() + 60
    while monotonic() < until and process.poll() is None:
        printed = re.search(r"at (http\S+)\n.* password (\S+)\n", log.read_text())
        if printed:
            return printed[1], printed[2]
        sleep(0.1)
    raise AssertionError(log.read_text())


@contextmanager
def database() -> Iterator[str]:
    """Have an empty database on the server of the tests, and yield its DSN."""
    given = connections["default"].get_connection_params()
    known = {"user", "password", "host", "port"} & set(given)
    server = {name: given[name] for name in known}
    name = sql.Identifier(dbname := f"atlas_site_{os.getpid()}")
    with psycopg.connect(**server, dbname=given["dbname"], autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield make_conninfo(**server, dbname=dbname)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
