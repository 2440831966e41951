"""Runs code in processes that have imported Django and psycopg already, and nothing of turbo-orm.

To import them takes a new process longer than most tests of a project take. So one process imports
them, and each run is a fork of it, with arguments, environment and output of its own.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

# Reads a request a line, and answers with the exit status of the fork. A fork leaves the loop and
# ends as a script does: what goes wrong at the interpreter's exit is written to its stderr.
_SERVER = """
import asyncio, json, os, sys, types
import django.contrib.postgres.fields, django.core.management, django.db.backends.postgresql.base
import django.db.migrations, django.db.models
import django.test, django_async_backend.db, psycopg

for line in sys.stdin:
    code, arguments, environment, output, errors = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for descriptor, path in enumerate([os.devnull, output, errors]):
        opened = os.open(path, os.O_WRONLY if descriptor else os.O_RDONLY)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
    break
"""


class Forks:
    """The process that is forked."""

    def __init__(self, path: list[str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _SERVER],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run code as ``python -c`` does, and return its exit status and what it has written."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with tempfile.TemporaryDirectory() as directory:
            output, errors = Path(directory, "output"), Path(directory, "errors")
            output.touch()
            errors.touch()
            request = [code, arguments, {**os.environ}, str(output), str(errors)]
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            ready, _, _ = select.select([self._server.stdout], [], [], 60)
            if not ready:
                end()
                raise TimeoutError(f"It has run for a minute, and written: {errors.read_text()}")
            status = int(self._server.stdout.readline())
            return subprocess.CompletedProcess(
                code, status, output.read_text(), errors.read_text()
            )

    def close(self) -> None:
        """End the process, and a fork that has not ended."""
        for process in psutil.Process(self._server.pid).children():
            process.kill()
        self._server.communicate()


_running: dict[tuple[str, ...], Forks] = {}


def forks(*path: str) -> Forks:
    """Return the process whose modules are found on a path, and start it if there is none."""
    if path not in _running:
        _running[path] = Forks([*path])
    return _running[path]


def end() -> None:
    """End all of them."""
    while _running:
        _running.popitem()[1].close()
