"""The processes of PostgreSQL behind a contender's connections, and the time that they compute."""

from pathlib import Path

from django.db import connection

_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"


def processor_time(application_name: str) -> float | None:
    """Return the seconds that the backends have computed, or ``None`` elsewhere than on Linux.

    It is what ``utime`` and ``stime`` in ``/proc/<pid>/stat`` are, in more than hundredths.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BACKENDS, [application_name])
        files = [Path(f"/proc/{pid}/schedstat") for (pid,) in cursor.fetchall()]
    if not files or not all(file.exists() for file in files):
        return None
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9
