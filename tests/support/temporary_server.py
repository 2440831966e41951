"""A PostgreSQL server of programs that are there, in a temporary directory, while a block runs."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import make_conninfo

# Nothing in it outlives the process: durability would only cost time.
_OPTIONS = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 "
    "-c listen_addresses='' -c unix_socket_directories="
)


@contextmanager
def temporary_server(
    binaries: Path, environment: Mapping[str, str] | None = None, options: str = ""
) -> Iterator[str]:
    """Run the server of a directory of programs for the block, and yield its DSN."""
    with tempfile.TemporaryDirectory(prefix="turbo-orm-server-") as directory:
        user = _user()
        if user:
            shutil.chown(directory, user)
        data, log = Path(directory) / "data", Path(directory) / "log"

        def run(*command: str | Path) -> None:
            done = subprocess.run(
                command,
                user=user,
                cwd=directory,
                env={**os.environ, **(environment or {})},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

        run(binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--no-sync")
        control = [binaries / "pg_ctl", "-D", data, "-l", log, "-w"]
        run(*control, "-o", f"{_OPTIONS}{directory} {options}", "start")
        try:
            yield make_conninfo(host=directory, user="postgres", dbname="postgres")
        finally:
            run(*control, "-m", "immediate", "stop")


def _user() -> str | None:
    """Return whom to run as instead of root, as which PostgreSQL refuses to run."""
    if os.getuid() != 0:
        return None
    return "postgres" if "postgres" in {each.pw_name for each in pwd.getpwall()} else "nobody"
