"""A PgBouncer in front of the tests' server, from the PATH or from ``.cache/pgbouncer``.

``make pgbouncer`` puts Debian's there.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg

UNPACKED = Path(__file__).parents[2] / ".cache" / "pgbouncer"


def program() -> str | None:
    """Return where PgBouncer is, if there is one."""
    unpacked = UNPACKED / "usr/sbin/pgbouncer"
    return str(unpacked) if unpacked.exists() else shutil.which("pgbouncer")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Return whether a connection to a port is accepted."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def pgbouncer(entry: dict[str, Any], **options: Any) -> Iterator[dict[str, Any]]:
    """Start one in front of a database, and yield the ``DATABASES`` entry of what is behind it."""
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="turbo-orm-pgbouncer-"))
    server = f"host={entry['HOST']} dbname={entry['NAME']} user={entry['USER']}"
    if entry.get("PORT"):
        server += f" port={entry['PORT']}"
    if entry.get("PASSWORD"):
        server += f" password={entry['PASSWORD']}"
    written = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": 5,
        "ignore_startup_parameters": "extra_float_digits,options",
        **options,
    }
    lines = [f"{name} = {value}" for name, value in written.items()]
    config = directory / "pgbouncer.ini"
    config.write_text("\n".join(["[databases]", f"through = {server}", "[pgbouncer]", *lines]))
    directory.chmod(0o755)
    found = program()
    assert found is not None
    command = [found, "-q", str(config)]
    if os.getuid() == 0:
        # It refuses to run as root, and has to reach the server's socket.
        host = Path(entry["HOST"])
        command[1:1] = ["-u", host.owner() if host.is_dir() else "nobody"]
    libraries = [*UNPACKED.glob("usr/lib/*")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    process = subprocess.Popen(command, env=environment)
    behind = {**entry, "HOST": "127.0.0.1", "PORT": str(port), "NAME": "through"}
    try:
        _wait_for(behind, process)
        yield behind
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for(entry: dict[str, Any], process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 20
    while monotonic() < deadline:
        assert process.poll() is None, "PgBouncer has ended."
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(
                host=entry["HOST"],
                port=entry["PORT"],
                dbname=entry["NAME"],
                user=entry["USER"],
                autocommit=True,
            ) as connection,
        ):
            connection.execute("SELECT 1")
            return
        sleep(0.05)
    raise TimeoutError("PgBouncer does not answer.")
