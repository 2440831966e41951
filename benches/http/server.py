"""A server's process: started, polled until it responds, and stopped."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil

PATIENCE = 120.0


class Server:
    """One contender behind one application."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = psutil.Process(process.pid)
        self.url = f"http://127.0.0.1:{port}"

    def get(self, endpoint: str, key: int) -> Any:
        """Return the data of an endpoint's response for an entry."""
        with urlopen(f"{self.url}/{endpoint}/{key}", timeout=PATIENCE) as response:
            return json.load(response)


@contextmanager
def server(contender: str, application: str, dsn: str, pool: int) -> Iterator[Server]:
    """Yield a server that responds, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benches.http.serve", contender, application]
    options = [f"--dsn={dsn}", f"--port={port}", f"--pool={pool}"]
    process = subprocess.Popen([*command, *options])
    try:
        started = Server(process, port)
        _wait(started, process)
        yield started
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(started: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            started.get("get", 1)
            return
        except URLError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
